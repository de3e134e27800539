/* Claims of egress/inlet.h against the real maker of sockets (sandbox/dialer.h), in one process. */
#include "egress/inlet.h"

#include "base/fd.h"
#include "io/timer.h"
#include "sandbox/dialer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>
#include <cmocka.h>

enum { MANY = 50, PATIENCE_MS = 20000 };

struct bench {
    struct loop *loop;
    struct timer *tick;
    struct inlet *inlet;
    int init; /* init's end */
    int ended, connected, os;
    int fds[MANY];
};

static void on_tick(void *ctx)
{
    struct bench *b = ctx;
    loop_stop(b->loop);
}

static void turn(struct bench *b)
{
    timer_start(b->tick, 1);
    loop_run(b->loop);
    timer_stop(b->tick);
}

static void begin(struct bench *b)
{
    struct err e;
    int outer;
    *b = (struct bench){ 0 };
    assert_int_equal(loop_new(&b->loop, &e), 0);
    assert_int_equal(dialer_make(&b->init, &outer, &e), 0);
    b->tick = timer_new(b->loop, on_tick, b);
    b->inlet = inlet_new(b->loop, outer);
}

static void end(struct bench *b)
{
    for (int i = 0; i < b->connected; i++)
        close(b->fds[i]);
    inlet_free(b->inlet);
    turn(b); /* what was cancelled is given back from the loop */
    timer_free(b->tick);
    loop_free(b->loop);
    fd_drop(&b->init);
}

static void on_done(void *ctx, int fd, int os)
{
    struct bench *b = ctx;
    b->ended++;
    b->os = os;
    if (fd >= 0)
        b->fds[b->connected++] = fd;
}

static int listen_any(int family, uint16_t *port)
{
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in v4 = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    struct sockaddr_in6 v6 = { .sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT };
    struct sockaddr *at = family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6;
    socklen_t size = family == AF_INET ? sizeof v4 : sizeof v6;
    if (bind(fd, at, size) < 0)
        skip(); /* no IPv6 here */
    assert_int_equal(listen(fd, MANY), 0);
    assert_int_equal(getsockname(fd, at, &size), 0);
    *port = ntohs(family == AF_INET ? v4.sin_port : v6.sin6_port);
    return fd;
}

/* Serves until `ended` entries have ended. */
static void serve(struct bench *b, int ended)
{
    for (int i = 0; i < PATIENCE_MS && b->ended < ended; i++) {
        turn(b);
        dialer_serve(b->init);
    }
    assert_int_equal(b->ended, ended);
}

static void connects_to_either_family(void **state)
{
    static const int families[] = { AF_INET, AF_INET6 };
    for (int i = 0; i < 2; i++) {
        struct bench b;
        uint16_t port;
        AUTO_FD server = listen_any(families[i], &port);
        begin(&b);
        entry_new(b.inlet, port, PATIENCE_MS, on_done, &b);
        serve(&b, 1);
        assert_int_equal(b.connected, 1);
        AUTO_FD peer = accept(server, NULL, NULL);
        assert_int_equal(send(b.fds[0], "x", 1, MSG_NOSIGNAL), 1);
        char byte = 0;
        assert_int_equal(read(peer, &byte, 1), 1);
        assert_int_equal(byte, 'x');
        end(&b);
    }
}

static void says_why_nobody_answers(void **state)
{
    struct bench b;
    uint16_t port;
    close(listen_any(AF_INET, &port));
    begin(&b);
    entry_new(b.inlet, port, PATIENCE_MS, on_done, &b);
    serve(&b, 1);
    assert_int_equal(b.connected, 0);
    assert_true(b.os == ECONNREFUSED || b.os == EADDRNOTAVAIL);
    end(&b);
}

static void asks_for_a_bounded_number_at_once_and_serves_all(void **state)
{
    struct bench b;
    uint16_t port;
    char bytes[1];
    int asked = 0;
    AUTO_FD server = listen_any(AF_INET, &port);
    assert_true(server >= 0);
    begin(&b);
    for (int i = 0; i < MANY; i++)
        entry_new(b.inlet, port, PATIENCE_MS, on_done, &b);
    while (recv(b.init, bytes, 1, MSG_PEEK) == 1 && asked <= MANY && recv(b.init, bytes, 1, 0) == 1)
        asked++;
    assert_int_equal(asked, INLET_ASKED_MAX);
    const unsigned char no = EMFILE; /* these go on to their second family, behind the others */
    for (int i = 0; i < asked; i++)
        assert_int_equal(send(b.init, &no, 1, MSG_NOSIGNAL), 1);
    serve(&b, MANY);
    assert_int_equal(b.connected, MANY - INLET_ASKED_MAX);
    end(&b);
}

static void a_cancelled_entry_leaves_nothing(void **state)
{
    for (int turns = 0; turns < 4; turns++) {
        struct bench b;
        uint16_t port;
        struct entry *all[MANY];
        AUTO_FD server = listen_any(AF_INET, &port);
        assert_true(server >= 0);
        begin(&b);
        for (int i = 0; i < MANY; i++)
            all[i] = entry_new(b.inlet, port, PATIENCE_MS, on_done, &b);
        if (turns & 1)
            dialer_serve(b.init); /* the answers are on their way */
        for (int i = 0; i < MANY; i++)
            if (i % 2 || turns & 2)
                entry_cancel(all[i]);
        serve(&b, turns & 2 ? 0 : MANY / 2);
        for (int i = 0; i < 20; i++)
            turn(&b);
        assert_int_equal(b.connected, turns & 2 ? 0 : MANY / 2);
        end(&b);
    }
}

static void ends_with_init(void **state)
{
    struct bench b;
    begin(&b);
    for (int i = 0; i < MANY; i++)
        entry_new(b.inlet, 1, PATIENCE_MS, on_done, &b);
    fd_drop(&b.init);
    for (int i = 0; i < PATIENCE_MS && b.ended < MANY; i++)
        turn(&b);
    assert_int_equal(b.ended, MANY);
    assert_int_equal(b.os, ENETDOWN);
    entry_new(b.inlet, 1, PATIENCE_MS, on_done, &b);
    turn(&b);
    assert_int_equal(b.ended, MANY + 1);
    end(&b);
}

static void a_socket_that_is_announced_and_does_not_come_ends_it(void **state)
{
    struct bench b;
    begin(&b);
    entry_new(b.inlet, 1, PATIENCE_MS, on_done, &b);
    assert_int_equal(send(b.init, "\0", 1, MSG_NOSIGNAL), 1);
    for (int i = 0; i < PATIENCE_MS && b.ended == 0; i++)
        turn(&b);
    assert_int_equal(b.ended, 1);
    assert_int_equal(b.os, ENETDOWN);
    end(&b);
}

static void has_an_end(void **state)
{
    struct bench b;
    begin(&b);
    entry_new(b.inlet, 1, 5, on_done, &b); /* init never answers */
    for (int k = 0; k < PATIENCE_MS && b.ended == 0; k++)
        turn(&b);
    assert_int_equal(b.os, ETIMEDOUT);
    end(&b);
}

static void init_serves_nobody_who_asks_for_something_else(void **state)
{
    struct bench b;
    begin(&b);
    assert_true(dialer_serve(b.init));
    int pair[2];
    struct err e;
    assert_int_equal(dialer_make(&pair[0], &pair[1], &e), 0);
    assert_int_equal(send(pair[1], "x", 1, MSG_NOSIGNAL), 1);
    assert_false(dialer_serve(pair[0]));
    close(pair[0]);
    close(pair[1]);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(connects_to_either_family),
        cmocka_unit_test(says_why_nobody_answers),
        cmocka_unit_test(asks_for_a_bounded_number_at_once_and_serves_all),
        cmocka_unit_test(a_cancelled_entry_leaves_nothing),
        cmocka_unit_test(ends_with_init),
        cmocka_unit_test(a_socket_that_is_announced_and_does_not_come_ends_it),
        cmocka_unit_test(has_an_end),
        cmocka_unit_test(init_serves_nobody_who_asks_for_something_else),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
