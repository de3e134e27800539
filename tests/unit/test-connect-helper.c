/* git's ssh through the proxy: `postern connect-helper HOST PORT` (contract 2.1).
 *
 * The helper dials port 3128 of its own loopback, so each claim runs in a network namespace of its own.
 * Where the kernel grants none the claims are skipped. */
#include "base/buf.h"
#include "base/fd.h"
#include "cmd/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

static int listener = -1;
static bool granted;

static bool enter_namespace(void)
{
    struct ifreq loopback = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    int flags = geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET;
    AUTO_FD fd = -1;
    return unshare(flags) == 0 && (fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) >= 0 &&
           ioctl(fd, SIOCSIFFLAGS, &loopback) == 0;
}

static int set_up(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(3128),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    granted = enter_namespace();
    if (!granted)
        return 0;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return bind(listener, (struct sockaddr *)&at, sizeof at) < 0 || listen(listener, 8) < 0;
}

static int tear_down(void **state)
{
    fd_drop(&listener);
    return 0;
}

struct helper {
    pid_t pid;
    int in, out, err; /* our ends of its standard descriptors */
    int proxy;        /* its connection, or -1 */
};

static struct helper start(const char *proxy_variable, const char *host, const char *port)
{
    int in[2], out[2], err[2];
    struct helper h = { .proxy = -1 };
    assert_int_equal(pipe2(in, O_CLOEXEC) | pipe2(out, O_CLOEXEC) | pipe2(err, O_CLOEXEC), 0);
    h.pid = fork();
    if (h.pid == 0) {
        const char *argv[] = { "connect-helper", host, port, NULL };
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(in[0], 0);
        dup2(out[1], 1);
        dup2(err[1], 2);
        for (int fd = 3; fd < 64; fd++)
            close(fd); /* no exec closes them */
        unsetenv("https_proxy");
        unsetenv("HTTPS_PROXY");
        if (proxy_variable)
            setenv("HTTPS_PROXY", proxy_variable, 1);
        _exit(cmd_connect_helper(port ? 3 : 2, (char **)argv));
    }
    close(in[0]);
    close(out[1]);
    close(err[1]);
    h.in = in[1];
    h.out = out[0];
    h.err = err[0];
    return h;
}

static void read_until(int fd, struct buf *out, const char *end)
{
    while (!end || !out->n || !strstr(out->p, end)) {
        ssize_t got = read(fd, buf_room(out, 65536), 65536);
        if (got <= 0)
            return;
        buf_grew(out, (size_t)got);
    }
}

/* Accepts the helper's connection and gives the head that it sends. */
static void take_request(struct helper *h, struct buf *head)
{
    h->proxy = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    read_until(h->proxy, head, "\r\n\r\n");
}

static int finish(struct helper *h)
{
    int status;
    fd_drop(&h->in);
    fd_drop(&h->proxy);
    waitpid(h->pid, &status, 0);
    fd_drop(&h->out);
    fd_drop(&h->err);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128;
}

static void put(int fd, const char *text)
{
    assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

static void the_request_has_the_host_and_the_credential(void **state)
{
    static const struct {
        const char *variable, *host, *port, *want;
    } rows[] = {
        { "http://srt:0123@localhost:3128", "Git.Example", "22",
          "CONNECT git.example:22 HTTP/1.1\r\nHost: git.example:22\r\n"
          "Proxy-Authorization: Basic c3J0OjAxMjM=\r\n\r\n" },
        { "http://srt.YT8%2BPw%3D%3D:0123@localhost:3128", "1.2.3.4", "2222",
          "CONNECT 1.2.3.4:2222 HTTP/1.1\r\nHost: 1.2.3.4:2222\r\n"
          "Proxy-Authorization: Basic c3J0LllUOCtQdz09OjAxMjM=\r\n\r\n" },
        { "http://localhost:3128", "::1", "22",
          "CONNECT [::1]:22 HTTP/1.1\r\nHost: [::1]:22\r\n\r\n" },
        { NULL, "a.example", "22", "CONNECT a.example:22 HTTP/1.1\r\nHost: a.example:22\r\n\r\n" },
    };
    for (size_t i = 0; granted && i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF head = { 0 };
        struct helper h = start(rows[i].variable, rows[i].host, rows[i].port);
        take_request(&h, &head);
        assert_string_equal(buf_text(&head), rows[i].want);
        finish(&h);
    }
}

static void bytes_pass_both_ways_and_each_end_is_passed_on(void **state)
{
    if (!granted)
        skip();
    AUTO_BUF head = { 0 };
    AUTO_BUF got = { 0 };
    struct helper h = start("http://u:p@localhost:3128", "a.example", "22");
    take_request(&h, &head);
    put(h.proxy, "HTTP/1.1 200 Connection established\r\n\r\nSSH-2.0-server\r\n");
    read_until(h.out, &got, "server\r\n");
    assert_string_equal(buf_text(&got), "SSH-2.0-server\r\n");
    put(h.in, "SSH-2.0-client\r\n");
    fd_drop(&h.in);
    buf_empty(&got);
    read_until(h.proxy, &got, NULL); /* to the end: half-close came through */
    assert_string_equal(buf_text(&got), "SSH-2.0-client\r\n");
    put(h.proxy, "last words");
    fd_drop(&h.proxy);
    buf_empty(&got);
    read_until(h.out, &got, NULL);
    assert_string_equal(buf_text(&got), "last words");
    assert_int_equal(finish(&h), 0);
}

static void a_large_transfer_is_whole_both_ways(void **state)
{
    enum { TOTAL = 2000000 };
    if (!granted)
        skip();
    AUTO_BUF head = { 0 };
    struct helper h = start("http://u:p@localhost:3128", "a.example", "22");
    take_request(&h, &head);
    put(h.proxy, "HTTP/1.1 200 OK\r\n\r\n");
    fcntl(h.in, F_SETFL, O_NONBLOCK);
    fcntl(h.out, F_SETFL, O_NONBLOCK);
    /* What goes in comes back by our echo; its sum is the proof. */
    size_t sent = 0, got = 0;
    uint64_t sum_in = 0, sum_out = 0;
    char block[10000];
    while (got < TOTAL) {
        struct pollfd polls[] = { { sent < TOTAL ? h.in : -1, POLLOUT, 0 },
                                  { h.proxy, POLLIN, 0 },
                                  { h.out, POLLIN, 0 } };
        assert_true(poll(polls, 3, 20000) > 0);
        if (polls[0].revents) {
            size_t n = TOTAL - sent < sizeof block ? TOTAL - sent : sizeof block;
            for (size_t i = 0; i < n; i++)
                block[i] = (char)((sent + i) * 7);
            ssize_t done = write(h.in, block, n);
            for (ssize_t i = 0; i < done; i++)
                sum_in = sum_in * 31 + (unsigned char)block[i];
            sent += done > 0 ? (size_t)done : 0;
        }
        if (polls[1].revents) {
            ssize_t n = recv(h.proxy, block, sizeof block, MSG_DONTWAIT);
            assert_true(n > 0 && send(h.proxy, block, (size_t)n, 0) == n);
        }
        ssize_t n = polls[2].revents ? read(h.out, block, sizeof block) : 0;
        for (ssize_t i = 0; i < n; i++)
            sum_out = sum_out * 31 + (unsigned char)block[i];
        got += n > 0 ? (size_t)n : 0;
    }
    assert_int_equal(got, TOTAL);
    assert_true(sum_in == sum_out);
    assert_int_equal(finish(&h), 0);
}

static void a_refusal_is_told_with_its_reason_and_without_the_credential(void **state)
{
    static const struct {
        const char *answer, *words;
    } rows[] = {
        { "HTTP/1.1 403 not on a Friday\r\nX: y\r\n\r\n", "a.example:22: 403 not on a Friday" },
        { "HTTP/1.1 403 evil\x1b[2J\xe2\x80\xae<b>\r\n\r\n", "403 evil [2J b" },
        { "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", "407" },
        { "SSH-2.0-x\r\n\r\n", "does not speak HTTP" },
        { "HTTP/1.1 200 OK", "closed the connection" },
        { "", "closed the connection" },
    };
    for (size_t i = 0; granted && i < sizeof rows / sizeof *rows; i++) {
        AUTO_BUF head = { 0 };
        AUTO_BUF said = { 0 };
        struct helper h = start("http://user:secret@localhost:3128", "a.example", "22");
        take_request(&h, &head);
        put(h.proxy, rows[i].answer);
        fd_drop(&h.proxy);
        read_until(h.err, &said, NULL);
        if (!strstr(buf_text(&said), rows[i].words) || strstr(buf_text(&said), "secret"))
            fail_msg("'%s' does not say '%s'", buf_text(&said), rows[i].words);
        assert_int_equal(finish(&h), 1);
    }
}

static void an_endless_head_is_given_up(void **state)
{
    if (!granted)
        skip();
    AUTO_BUF head = { 0 };
    struct helper h = start("http://u:p@localhost:3128", "a.example", "22");
    take_request(&h, &head);
    put(h.proxy, "HTTP/1.1 200 OK\r\n");
    for (int i = 0; i < 2000; i++)
        if (send(h.proxy, "X: 12345678\r\n", 13, MSG_NOSIGNAL) < 0)
            break; /* it has given up */
    int status;
    waitpid(h.pid, &status, 0);
    assert_int_equal(WEXITSTATUS(status), 1);
    fd_drop(&h.proxy);
    fd_drop(&h.in);
    fd_drop(&h.out);
    fd_drop(&h.err);
}

static void wrong_arguments_are_refused(void **state)
{
    static const struct {
        const char *host, *port;
        int want;
    } rows[] = {
        { "a.example", NULL, 2 }, { "a b", "22", 1 },          { "a\r\nX: y", "22", 1 },
        { "a.example", "0", 1 },  { "a.example", "65536", 1 }, { "a.example", "22 ", 1 },
        { "", "22", 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct helper h = start(NULL, rows[i].host, rows[i].port);
        assert_int_equal(finish(&h), rows[i].want);
    }
}

int main(void)
{
    sigset_t broken_pipe;
    sigemptyset(&broken_pipe);
    sigaddset(&broken_pipe, SIGPIPE);
    sigprocmask(SIG_BLOCK, &broken_pipe, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_request_has_the_host_and_the_credential),
        cmocka_unit_test(bytes_pass_both_ways_and_each_end_is_passed_on),
        cmocka_unit_test(a_large_transfer_is_whole_both_ways),
        cmocka_unit_test(a_refusal_is_told_with_its_reason_and_without_the_credential),
        cmocka_unit_test(an_endless_head_is_given_up),
        cmocka_unit_test(wrong_arguments_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
