/* Claims of proto/sse.h. */
#include "proto/sse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

enum { LIMIT = 64 };

/* Every event as "name|id|data;", and "!" when the limit is passed. */
static void story(struct str bytes, size_t cut, struct buf *out)
{
    struct sse s;
    struct err e;
    int found = SSE_MORE;
    sse_init(&s, LIMIT);
    while (bytes.n && found >= 0) {
        struct str piece = { bytes.p, bytes.n < cut ? bytes.n : cut };
        bytes = str_skip(bytes, piece.n);
        size_t used;
        while ((found = sse_feed(&s, piece, &used, &e)) > SSE_MORE) {
            piece = str_skip(piece, used);
            buf_addf(out, "%.*s|%.*s|%.*s;", STR_ARGS(s.event.name), STR_ARGS(s.event.id),
                     STR_ARGS(s.event.data));
        }
    }
    if (found < 0)
        buf_add(out, STR("!"));
    sse_release(&s);
}

static void check(struct str bytes, const char *want)
{
    for (size_t cut = 1; cut <= bytes.n + 1; cut++) {
        AUTO_BUF told = { 0 };
        story(bytes, cut, &told);
        assert_string_equal(buf_text(&told), want);
    }
}

static void events_are_told_the_same_in_every_cut(void **state)
{
    check(STR("event: a\ndata: 1\n\ndata: 2\nid: x\n\n"), "a||1;|x|2;");
    check(STR("event: a\r\ndata: 1\r\n\r\nevent: b\rdata: 2\r\rdata:3\n\n"), "a||1;b||2;||3;");
}

static void data_lines_are_joined_and_one_blank_is_taken_off(void **state)
{
    check(STR("data: a\ndata:b\ndata:  c\n\n"), "||a\nb\n c;");
    check(STR("data: a\ndata\ndata: b\n\n"), "||a\n\nb;");
}

static void comments_and_unknown_fields_are_skipped(void **state)
{
    check(STR(": hello\nretry: 10\nDATA: x\nfoo\ndata: 1\n\n"), "||1;");
}

static void an_event_without_data_is_not_told_and_leaves_nothing_behind(void **state)
{
    check(STR("event: a\nid: 1\n\ndata:\n\nevent: b\n\n\n\ndata: 2\n\n"), "||2;");
}

static void an_event_without_its_blank_line_is_not_told(void **state)
{
    check(STR("data: 1\n\ndata: 2\n"), "||1;");
}

static void a_byte_order_mark_is_skipped_at_the_start_only(void **state)
{
    check(STR("\xef\xbb\xbf"
              "data: 1\n\n\xef\xbb\xbf"
              "data: 2\n\n"),
          "||1;");
}

static void an_id_with_a_nul_is_ignored(void **state)
{
    static const char bytes[] = "id: a\0b\ndata: 1\n\n";
    check((struct str){ bytes, sizeof bytes - 1 }, "||1;");
}

static void a_line_or_an_event_beyond_the_limit_ends_the_reading(void **state)
{
    AUTO_BUF bytes = { 0 };
    buf_add(&bytes, STR("data: 1\n\n"));
    for (int i = 0; i <= LIMIT; i++)
        buf_add_byte(&bytes, 'x');
    check(buf_str(&bytes), "||1;!");
    buf_empty(&bytes);
    for (int i = 0; i < LIMIT / 4 + 1; i++)
        buf_add(&bytes, STR("data: abc\n"));
    buf_add(&bytes, STR("\n"));
    check(buf_str(&bytes), "!");
}

static void what_is_written_is_read_again(void **state)
{
    static const struct {
        struct str name, id, data;
        const char *text, *told;
    } rows[] = {
        { STR("ping"), STR(""), STR("{}"), "event: ping\ndata: {}\n\n", "ping||{};" },
        { STR("a.b"), STR("sevt_1"), STR("{\"a\":1}"),
          "event: a.b\nid: sevt_1\ndata: {\"a\":1}\n\n", "a.b|sevt_1|{\"a\":1};" },
        { STR(""), STR(""), STR("a\r\nb\rc\n"), "data: a\ndata: b\ndata: c\ndata: \n\n",
          "||a\nb\nc\n;" },
        { STR("x"), STR(""), STR(""), "event: x\ndata: \n\n", "" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF out = { 0 };
        sse_write(&out, rows[i].name, rows[i].id, rows[i].data);
        assert_string_equal(buf_text(&out), rows[i].text);
        check(buf_str(&out), rows[i].told);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_are_told_the_same_in_every_cut),
        cmocka_unit_test(data_lines_are_joined_and_one_blank_is_taken_off),
        cmocka_unit_test(comments_and_unknown_fields_are_skipped),
        cmocka_unit_test(an_event_without_data_is_not_told_and_leaves_nothing_behind),
        cmocka_unit_test(an_event_without_its_blank_line_is_not_told),
        cmocka_unit_test(a_byte_order_mark_is_skipped_at_the_start_only),
        cmocka_unit_test(an_id_with_a_nul_is_ignored),
        cmocka_unit_test(a_line_or_an_event_beyond_the_limit_ends_the_reading),
        cmocka_unit_test(what_is_written_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
