/* Claims of egress/proxy.h in one process: several sandboxes on one loop, and everything is given back
 * whatever state a connection is in (the sanitized build looks for leaks). */
#include "egress/proxy.h"

#include "base/mem.h"
#include "io/timer.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cmocka.h>

#define CREDENTIAL "Proxy-Authorization: Basic c3J0OnRva2Vu\r\n" /* srt:token */

struct bench {
    struct loop *loop;
    struct egress *egress;
    struct timer *tick;
    int events, denied, asks, cancels;
    uint64_t asked;
    bool lose_events;
};

static bool on_event(void *ctx, const struct egress_event *event)
{
    struct bench *b = ctx;
    b->events++;
    b->denied += event->denied;
    assert_true(event->denied == (event->violation != NULL));
    return !b->lose_events;
}

static void on_ask(void *ctx, const struct egress_question *question)
{
    struct bench *b = ctx;
    b->asks++;
    b->asked = question->id;
}

static void on_cancel(void *ctx, uint64_t id)
{
    struct bench *b = ctx;
    (void)id;
    b->cancels++;
}

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
    assert_int_equal(loop_new(&b->loop, &e), 0);
    b->tick = timer_new(b->loop, on_tick, b);
    b->egress = egress_new(b->loop);
}

static void end(struct bench *b)
{
    egress_free(b->egress);
    timer_free(b->tick);
    loop_free(b->loop);
}

static int listen_any(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t size = sizeof at;
    assert_int_equal(bind(fd, (struct sockaddr *)&at, size), 0);
    assert_int_equal(listen(fd, 64), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &size), 0);
    *port = ntohs(at.sin_port);
    return fd;
}

static int dial(uint16_t port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = { .sin_family = AF_INET,
                              .sin_port = htons(port),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static struct egress_sandbox *sandbox_new(struct bench *b, const char *allowed, bool can_ask,
                                          uint16_t *port)
{
    struct egress_policy policy;
    struct err e;
    egress_policy_init(&policy);
    policy.allowed.items = mem_array(1, sizeof *policy.allowed.items);
    policy.allowed.count = 1;
    assert_int_equal(
        domain_pattern_parse(str_of(allowed), DOMAIN_ALLOWED, policy.allowed.items, &e), 0);
    struct egress_hooks hooks = { on_event, on_ask, on_cancel, b };
    struct egress_sandbox *s =
        egress_sandbox_new(b->egress, &policy, STR("token"), can_ask, &hooks);
    assert_int_equal(egress_sandbox_listen(s, EGRESS_LISTEN_HTTP, listen_any(port), &e), 0);
    return s;
}

/* Sends a request and waits for the first bytes of its answer. */
static void expect(struct bench *b, uint16_t port, const char *request, const char *answer)
{
    char got[1024] = "";
    size_t n = 0;
    int fd = dial(port);
    assert_int_equal(write(fd, request, strlen(request)), (ssize_t)strlen(request));
    for (int i = 0; i < 5000 && n < strlen(answer); i++) {
        turn(b);
        ssize_t more = read(fd, got + n, sizeof got - 1 - n);
        n += more > 0 ? (size_t)more : 0;
    }
    assert_memory_equal(got, answer, strlen(answer));
    close(fd);
}

static void each_sandbox_has_its_own_rules(void **state)
{
    struct bench b = { 0 };
    uint16_t first_port, second_port, server_port;
    begin(&b);
    int server = listen_any(&server_port);
    struct egress_sandbox *first = sandbox_new(&b, "127.0.0.1", false, &first_port);
    struct egress_sandbox *second = sandbox_new(&b, "a.example.com", false, &second_port);
    char request[256];
    snprintf(request, sizeof request, "CONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: x\r\n%s\r\n",
             server_port, CREDENTIAL);
    expect(&b, first_port, request, "HTTP/1.1 200 ");
    expect(&b, second_port, request, "HTTP/1.1 403 host is not on the allow list\r\n");
    assert_int_equal(egress_sandbox_totals(first).denied, 0);
    assert_int_equal(egress_sandbox_totals(second).denied, 1);
    egress_sandbox_free(first);
    expect(&b, second_port, request, "HTTP/1.1 403 ");
    egress_sandbox_free(second);
    close(server);
    end(&b);
}

static void what_cannot_be_recorded_is_refused(void **state)
{
    struct bench b = { .lose_events = true };
    uint16_t port, server_port;
    begin(&b);
    int server = listen_any(&server_port);
    struct egress_sandbox *s = sandbox_new(&b, "127.0.0.1", false, &port);
    char request[256];
    snprintf(request, sizeof request, "GET http://127.0.0.1:%u/ HTTP/1.1\r\nHost: x\r\n%s\r\n",
             server_port, CREDENTIAL);
    expect(&b, port, request, "HTTP/1.1 403 ");
    assert_int_equal(accept(server, NULL, NULL), -1);
    egress_sandbox_free(s);
    close(server);
    end(&b);
}

/* Every row leaves a connection in another state; then everything is freed. */
static void a_sandbox_can_end_in_any_state(void **state)
{
    /* With `after`, the server's port stands between the two. */
    static const struct {
        const char *before, *after;
    } beginnings[] = {
        { "", NULL },
        { "G", NULL },
        { "GET http://127.0.0.1:", "/ HTTP/1.1\r\nHost: x\r\n" },
        { "GET http://127.0.0.1:", "/ HTTP/1.1\r\nHost: x\r\n" CREDENTIAL "\r\n" },
        { "POST http://127.0.0.1:",
          "/ HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n" CREDENTIAL "\r\nab" },
        { "CONNECT 127.0.0.1:", " HTTP/1.1\r\nHost: x\r\n" CREDENTIAL "\r\n" },
        { "CONNECT 127.0.0.1:", " HTTP/1.1\r\nHost: x\r\n" CREDENTIAL "\r\n\x16\x03\x01" },
        { "CONNECT ask.example.com:", " HTTP/1.1\r\nHost: x\r\n" CREDENTIAL "\r\n" },
        { "GET http://ask.example.com:", "/ HTTP/1.1\r\nHost: x\r\n" CREDENTIAL "\r\n" },
        { "GET http://localhost:", "/ HTTP/1.1\r\nHost: x\r\n" CREDENTIAL "\r\n" },
        { "\x05", NULL },
        { "\x05\x02\x00\x02", NULL },
        { "bad", NULL },
    };
    enum { ROWS = sizeof beginnings / sizeof *beginnings };
    for (int turns = 0; turns < 4; turns++) {
        struct bench b = { 0 };
        uint16_t port, server_port;
        int clients[ROWS];
        begin(&b);
        int server = listen_any(&server_port);
        struct egress_sandbox *s = sandbox_new(&b, "127.0.0.1", true, &port);
        for (size_t i = 0; i < ROWS; i++) {
            char text[256];
            const char *after = beginnings[i].after;
            int n = after ? snprintf(text, sizeof text, "%s%u%s", beginnings[i].before, server_port,
                                     after)
                          : snprintf(text, sizeof text, "%s", beginnings[i].before);
            clients[i] = dial(port);
            assert_int_equal(write(clients[i], text, (size_t)n), n);
        }
        for (int i = 0; i < turns * 10; i++)
            turn(&b);
        egress_sandbox_free(s);
        for (size_t i = 0; i < ROWS; i++)
            close(clients[i]);
        close(server);
        end(&b);
        if (turns == 3)
            assert_true(b.asks == 1 || b.asks == 2); /* the same host and port: one question */
    }
}

static void the_last_asker_to_go_takes_the_question_along(void **state)
{
    struct bench b = { 0 };
    uint16_t port;
    begin(&b);
    struct egress_sandbox *s = sandbox_new(&b, "127.0.0.1", true, &port);
    const char *request = "CONNECT ask.example.com:1 HTTP/1.1\r\nHost: x\r\n" CREDENTIAL "\r\n";
    int first = dial(port), second = dial(port);
    assert_true(write(first, request, strlen(request)) > 0);
    assert_true(write(second, request, strlen(request)) > 0);
    for (int i = 0; i < 5000 && b.asks == 0; i++)
        turn(&b);
    for (int i = 0; i < 20; i++)
        turn(&b);
    assert_int_equal(b.asks, 1);
    close(first);
    for (int i = 0; i < 20; i++)
        turn(&b);
    assert_int_equal(b.cancels, 0);
    close(second);
    for (int i = 0; i < 5000 && b.cancels == 0; i++)
        turn(&b);
    assert_int_equal(b.cancels, 1);
    egress_sandbox_answer(s, b.asked, true, STR(""));
    egress_sandbox_free(s);
    end(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_sandbox_has_its_own_rules),
        cmocka_unit_test(what_cannot_be_recorded_is_refused),
        cmocka_unit_test(a_sandbox_can_end_in_any_state),
        cmocka_unit_test(the_last_asker_to_go_takes_the_question_along),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
