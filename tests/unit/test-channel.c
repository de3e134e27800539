/* Claims of sandbox/channel.h, over a socket pair. */
#include "sandbox/channel.h"

#include "base/fd.h"

#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

static void make_pair(struct channel *a, struct channel *b)
{
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    channel_init(a, fds[0]);
    channel_init(b, fds[1]);
}

static void a_frame_arrives_whole(void **state)
{
    struct channel a, b;
    struct err e;
    struct str json;
    make_pair(&a, &b);
    assert_int_equal(channel_put(&a, STR("{\"t\":\"one\"}"), NULL, 0, &e), 0);
    assert_int_equal(channel_put(&a, STR("{\"t\":\"two\"}"), NULL, 0, &e), 0);
    assert_int_equal(channel_flush(&a, &e), 0);
    assert_int_equal(channel_fill(&b, &e), 1);
    assert_true(channel_next(&b, &json));
    assert_true(str_eq(json, STR("{\"t\":\"one\"}")));
    assert_true(channel_next(&b, &json));
    assert_true(str_eq(json, STR("{\"t\":\"two\"}")));
    assert_false(channel_next(&b, &json));
    assert_int_equal(channel_fill(&b, &e), 0);
    channel_release(&a);
    channel_release(&b);
}

static void a_frame_in_pieces_waits_for_its_end(void **state)
{
    struct channel a, b;
    struct err e;
    struct str json;
    make_pair(&a, &b);
    const char bytes[] = "\0\0\0\x02{}\0\0\0\x03{ }";
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        assert_int_equal(write(a.fd, bytes + i, 1), 1);
        assert_int_equal(channel_fill(&b, &e), 1);
        bool whole = i == 5 || i == 12;
        assert_int_equal(channel_next(&b, &json), whole);
    }
    channel_release(&a);
    channel_release(&b);
}

static void descriptors_ride_with_their_frame(void **state)
{
    struct channel a, b;
    struct err e;
    struct str json;
    int pipe_fds[2];
    char byte = 0;
    make_pair(&a, &b);
    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    assert_int_equal(channel_put(&a, STR("{}"), pipe_fds, 2, &e), 0);
    assert_int_equal(channel_flush(&a, &e), 0);
    assert_int_equal(channel_fill(&b, &e), 1);
    assert_true(channel_next(&b, &json));
    assert_int_equal(b.fds_in_count, 2);
    assert_int_equal(write(b.fds_in[1], "x", 1), 1);
    assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    assert_int_equal(fcntl(b.fds_in[0], F_GETFD), FD_CLOEXEC);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    channel_release(&a);
    channel_release(&b);
}

static void descriptors_behind_waiting_bytes_are_refused(void **state)
{
    struct channel a, b;
    struct err e;
    make_pair(&a, &b);
    assert_int_equal(channel_put(&a, STR("{}"), NULL, 0, &e), 0);
    int fd = 0;
    assert_int_equal(channel_put(&a, STR("{}"), &fd, 1, &e), -1);
    assert_int_equal(e.kind, E_BUSY);
    channel_release(&a);
    channel_release(&b);
}

static void a_frame_that_is_too_long_breaks_the_channel(void **state)
{
    static const char *const heads[] = { "\xff\xff\xff\xff", "\0\0\0\0" };
    for (size_t i = 0; i < 2; i++) {
        struct channel a, b;
        struct err e;
        make_pair(&a, &b);
        assert_int_equal(write(a.fd, heads[i], 4), 4);
        assert_int_equal(channel_fill(&b, &e), -1);
        assert_int_equal(e.kind, E_INPUT);
        channel_release(&a);
        channel_release(&b);
    }
}

static void more_than_fits_is_busy_and_nothing_is_lost(void **state)
{
    struct channel a, b;
    struct err e;
    struct str json;
    size_t put = 0, got = 0, size = 1 << 20;
    make_pair(&a, &b);
    AUTO_FREE char *text = mem_get(size);
    memset(text, ' ', size);
    while (channel_put(&a, (struct str){ text, size }, NULL, 0, &e) == 0)
        put++;
    assert_int_equal(e.kind, E_BUSY);
    assert_int_equal(put, 3);
    for (int turn = 0; got < put && turn < 100000; turn++) {
        assert_int_equal(channel_flush(&a, &e), 0);
        channel_fill(&b, &e);
        while (channel_next(&b, &json)) {
            assert_int_equal(json.n, size);
            got++;
        }
    }
    assert_int_equal(got, put);
    channel_release(&a);
    channel_release(&b);
}

static void a_clean_end_is_missing_and_a_cut_frame_is_an_error(void **state)
{
    struct channel a, b;
    struct err e;
    make_pair(&a, &b);
    channel_release(&a);
    assert_int_equal(channel_fill(&b, &e), -1);
    assert_int_equal(e.kind, E_MISSING);
    channel_release(&b);

    make_pair(&a, &b);
    assert_int_equal(write(a.fd, "\0\0\0\x05{", 5), 5);
    channel_release(&a);
    assert_int_equal(channel_fill(&b, &e), 1);
    assert_int_equal(channel_fill(&b, &e), -1);
    assert_int_equal(e.kind, E_IO);
    channel_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_frame_arrives_whole),
        cmocka_unit_test(a_frame_in_pieces_waits_for_its_end),
        cmocka_unit_test(descriptors_ride_with_their_frame),
        cmocka_unit_test(descriptors_behind_waiting_bytes_are_refused),
        cmocka_unit_test(a_frame_that_is_too_long_breaks_the_channel),
        cmocka_unit_test(more_than_fits_is_busy_and_nothing_is_lost),
        cmocka_unit_test(a_clean_end_is_missing_and_a_cut_frame_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
