/* Claims of base/buf.h, bufq.h, arena.h and err.h. */
#include "base/arena.h"
#include "base/buf.h"
#include "base/bufq.h"
#include "base/err.h"

#include <errno.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void a_buffer_grows_and_stays_terminated(void **state)
{
    AUTO_BUF b = { 0 };
    for (int i = 0; i < 5000; i++)
        buf_add_byte(&b, (char)('a' + i % 26));
    assert_int_equal(b.n, 5000);
    assert_int_equal(b.p[5000], '\0');
    assert_int_equal(b.p[27], 'b');
}

static void a_buffer_keeps_nul_bytes(void **state)
{
    AUTO_BUF b = { 0 };
    buf_add(&b, STR("a\0b"));
    buf_add(&b, (struct str){ NULL, 0 });
    assert_true(str_eq(buf_str(&b), STR("a\0b")));
}

static void an_empty_buffer_is_empty_text(void **state)
{
    AUTO_BUF b = { 0 };
    assert_string_equal(buf_text(&b), "");
    AUTO_FREE char *taken = buf_take(&b);
    assert_non_null(taken);
    assert_string_equal(taken, "");
    assert_null(b.p);
}

static void format_adds_behind_what_is_there(void **state)
{
    AUTO_BUF b = { 0 };
    buf_add(&b, STR("x="));
    buf_addf(&b, "%d;%0*d", 7, 300, 1);
    assert_int_equal(b.n, 2 + 2 + 300);
    assert_memory_equal(b.p, "x=7;000", 7);
    buf_empty(&b);
    assert_string_equal(buf_text(&b), "");
    buf_addf(&b, "%s", "");
    assert_int_equal(b.n, 0);
}

static void numbers_are_written_in_decimal(void **state)
{
    AUTO_BUF b = { 0 };
    static const uint64_t numbers[] = { 0, 9, 10, 1234567890, UINT64_MAX };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        buf_add_number(&b, numbers[i]);
        buf_add_byte(&b, ' ');
    }
    assert_string_equal(buf_text(&b), "0 9 10 1234567890 18446744073709551615 ");
}

static void room_is_filled_and_then_counted(void **state)
{
    AUTO_BUF b = { 0 };
    memset(buf_room(&b, 64), 'z', 64);
    buf_grew(&b, 64);
    assert_int_equal(b.n, 64);
    assert_int_equal(b.p[64], '\0');
    assert_int_equal(b.p[63], 'z');
}

static void take_hands_over_and_empties(void **state)
{
    AUTO_BUF b = { 0 };
    buf_add(&b, STR("mine"));
    AUTO_FREE char *taken = buf_take(&b);
    assert_string_equal(taken, "mine");
    assert_null(b.p);
    assert_int_equal(b.n, 0);
    buf_add(&b, STR("again"));
    assert_string_equal(buf_text(&b), "again");
}

static void a_queue_takes_what_fits(void **state)
{
    struct bufq q;
    bufq_init(&q, 4);
    assert_null(q.mem); /* an idle queue costs nothing */
    assert_int_equal(bufq_put(&q, STR("abcdef")), 4);
    assert_int_equal(bufq_put(&q, STR("x")), 0);
    assert_int_equal(bufq_room(&q), 0);
    size_t space;
    bufq_space(&q, &space);
    assert_int_equal(space, 0);
    assert_true(str_eq(bufq_peek(&q), STR("abcd")));
    bufq_release(&q);
}

static void a_queue_keeps_order_round_its_end(void **state)
{
    struct bufq q;
    bufq_init(&q, 4);
    bufq_put(&q, STR("abc"));
    bufq_skip(&q, 2);
    assert_int_equal(bufq_put(&q, STR("defg")), 3);
    AUTO_BUF out = { 0 };
    while (q.len) {
        struct str run = bufq_peek(&q);
        buf_add(&out, run);
        bufq_skip(&q, run.n);
    }
    assert_string_equal(buf_text(&out), "cdef");
    assert_int_equal(bufq_peek(&q).n, 0);
    bufq_release(&q);
}

static void a_queue_gives_the_same_bytes_for_any_cut(void **state)
{
    struct bufq q;
    AUTO_BUF in = { 0 }, out = { 0 };
    for (int i = 0; i < 1000; i++)
        buf_addf(&in, "%d,", i);
    bufq_init(&q, 37);
    size_t put = 0;
    for (unsigned turn = 0; out.n < in.n; turn++) {
        struct str rest = str_skip(buf_str(&in), put);
        rest.n = rest.n < 1 + turn % 23 ? rest.n : 1 + turn % 23;
        put += bufq_put(&q, rest);
        struct str run = bufq_peek(&q);
        run.n = run.n < 1 + turn % 19 ? run.n : 1 + turn % 19;
        buf_add(&out, run);
        bufq_skip(&q, run.n);
    }
    assert_true(str_eq(buf_str(&in), buf_str(&out)));
    bufq_release(&q);
}

static void a_released_queue_can_be_used_again(void **state)
{
    struct bufq q;
    bufq_init(&q, 8);
    bufq_put(&q, STR("12345"));
    bufq_skip(&q, 3);
    bufq_release(&q);
    assert_int_equal(bufq_put(&q, STR("abcdefgh")), 8);
    assert_true(str_eq(bufq_peek(&q), STR("abcdefgh")));
    bufq_release(&q);
}

static void an_arena_gives_zeroed_aligned_memory(void **state)
{
    AUTO_ARENA a;
    arena_init(&a, 1 << 20);
    for (size_t n = 0; n < 300; n++) {
        unsigned char *p = arena_get(&a, n);
        assert_non_null(p);
        assert_int_equal((uintptr_t)p % alignof(max_align_t), 0);
        for (size_t i = 0; i < n; i++)
            assert_int_equal(p[i], 0);
        memset(p, 0xff, n);
    }
}

static void two_gets_of_nothing_are_two_places(void **state)
{
    AUTO_ARENA a;
    arena_init(&a, 1 << 20);
    char *first = arena_get(&a, 0), *second = arena_get(&a, 0);
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
}

static void an_arena_has_a_ceiling(void **state)
{
    AUTO_ARENA a;
    arena_init(&a, 100000);
    size_t got = 0;
    while (arena_get(&a, 1000))
        got += 1000;
    assert_true(got > 80000 && got <= 100000);
    assert_true(a.spent <= a.limit);
    assert_null(arena_get(&a, 200000));
    assert_null(arena_get(&a, SIZE_MAX));
    assert_null(arena_get(&a, SIZE_MAX - 3));
}

static void a_small_arena_can_be_filled_to_its_ceiling(void **state)
{
    AUTO_ARENA a;
    arena_init(&a, 160);
    assert_non_null(arena_get(&a, 100));
    assert_non_null(arena_get(&a, 40));
    assert_null(arena_get(&a, 40));
}

static void a_size_near_the_end_of_numbers_does_not_wrap(void **state)
{
    AUTO_ARENA a;
    arena_init(&a, SIZE_MAX);
    assert_null(arena_get(&a, SIZE_MAX));
    assert_null(arena_get(&a, SIZE_MAX - 7));
    assert_null(arena_dup(&a, (struct str){ "x", SIZE_MAX }));
}

static void a_released_arena_can_be_used_again(void **state)
{
    AUTO_ARENA a;
    arena_init(&a, 1 << 20);
    assert_non_null(arena_get(&a, 5000));
    arena_release(&a);
    assert_int_equal(a.spent, 0);
    assert_string_equal(arena_dup(&a, STR("text")), "text");
    assert_string_equal(arena_dup(&a, (struct str){ NULL, 0 }), "");
}

static void an_error_says_what_the_errno_means(void **state)
{
    struct err e;
    assert_int_equal(err_set(&e, E_IO, ENOENT, "open '%s'", "x"), -1);
    assert_string_equal(e.text, "open 'x': No such file or directory");
    assert_int_equal(e.kind, E_IO);
    assert_int_equal(e.os, ENOENT);
    err_set(&e, E_IO, 99999, "odd");
    assert_string_equal(e.text, "odd: unknown");
}

static void context_goes_in_front(void **state)
{
    struct err e;
    err_set(&e, E_DENIED, 0, "no");
    assert_int_equal(err_while(&e, "mount '%s'", "/src"), -1);
    assert_string_equal(e.text, "mount '/src': no");
    assert_int_equal(e.kind, E_DENIED);
}

static void a_cut_error_ends_in_dots(void **state)
{
    struct err e;
    AUTO_BUF longer = { 0 };
    for (int i = 0; i < 600; i++)
        buf_add_byte(&longer, 'l');
    err_set(&e, E_INPUT, 0, "%s", buf_text(&longer));
    assert_int_equal(strlen(e.text), sizeof e.text - 1);
    assert_string_equal(e.text + sizeof e.text - 4, "...");
    err_set(&e, E_INPUT, EACCES, "%.*s", 505, buf_text(&longer));
    assert_string_equal(e.text + sizeof e.text - 4, "...");
    err_while(&e, "why");
    assert_memory_equal(e.text, "why: lll", 8);
    assert_string_equal(e.text + sizeof e.text - 4, "...");
}

static void every_kind_has_its_faces(void **state)
{
    for (int kind = 0; kind < E_KINDS; kind++) {
        assert_non_null(err_name((enum err_kind)kind));
        assert_true(err_http((enum err_kind)kind) >= 200);
    }
    assert_int_equal(err_exit_code(E_INPUT), 1);
    assert_int_equal(err_exit_code(E_SANDBOX), 125);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_buffer_grows_and_stays_terminated),
        cmocka_unit_test(a_buffer_keeps_nul_bytes),
        cmocka_unit_test(an_empty_buffer_is_empty_text),
        cmocka_unit_test(format_adds_behind_what_is_there),
        cmocka_unit_test(numbers_are_written_in_decimal),
        cmocka_unit_test(room_is_filled_and_then_counted),
        cmocka_unit_test(take_hands_over_and_empties),
        cmocka_unit_test(a_queue_takes_what_fits),
        cmocka_unit_test(a_queue_keeps_order_round_its_end),
        cmocka_unit_test(a_queue_gives_the_same_bytes_for_any_cut),
        cmocka_unit_test(a_released_queue_can_be_used_again),
        cmocka_unit_test(an_arena_gives_zeroed_aligned_memory),
        cmocka_unit_test(two_gets_of_nothing_are_two_places),
        cmocka_unit_test(an_arena_has_a_ceiling),
        cmocka_unit_test(a_small_arena_can_be_filled_to_its_ceiling),
        cmocka_unit_test(a_size_near_the_end_of_numbers_does_not_wrap),
        cmocka_unit_test(a_released_arena_can_be_used_again),
        cmocka_unit_test(an_error_says_what_the_errno_means),
        cmocka_unit_test(context_goes_in_front),
        cmocka_unit_test(a_cut_error_ends_in_dots),
        cmocka_unit_test(every_kind_has_its_faces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
