/* `postern connect-helper HOST PORT`: git's ssh through the run's proxy.
 *
 * The sandbox names it in GIT_SSH_COMMAND (contract 2.1). The credential comes from the proxy variable
 * that it inherits, so the token stands in no argument list. Exit status: 0 after both directions have
 * ended, 1 when the proxy refuses or cannot be reached, 2 for wrong usage.
 */
#include "cmd/commands.h"

#include "base/buf.h"
#include "base/bufq.h"
#include "base/fd.h"
#include "base/log.h"
#include "egress/clean.h"
#include "egress/policy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    PROXY_PORT = 3128,
    HEAD_MAX = 16384,
    QUEUE = 65536,
    CHUNK =
        4096, /* PIPE_BUF: what a pipe takes without blocking once poll says it can be written */
};

/* One direction: bytes of `from` wait in `queue` for `to`. */
struct way {
    int from, to;
    struct bufq queue;
    bool ended;     /* `from` has nothing more */
    bool passed_on; /* and `to` has been told */
};

static int dial(int *out, struct err *e)
{
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in at = { .sin_family = AF_INET,
                              .sin_port = htons(PROXY_PORT),
                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        return err_set(e, E_IO, errno, "reach the sandbox's proxy on 127.0.0.1:%d", PROXY_PORT);
    *out = fd_take(&fd);
    return 0;
}

static int send_request(int fd, const char *authority, struct err *e)
{
    const char *url = getenv("HTTPS_PROXY");
    if (!url || !*url)
        url = getenv("https_proxy");
    struct proxy_hop hop = { 0 };
    if (url && *url && proxy_hop_parse(str_of(url), &hop, e) < 0)
        return err_while(e, "HTTPS_PROXY");
    AUTO_BUF head = { 0 };
    buf_addf(&head, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", authority, authority);
    if (hop.authorization)
        buf_addf(&head, "Proxy-Authorization: %s\r\n", hop.authorization);
    buf_add(&head, STR("\r\n"));
    proxy_hop_release(&hop);
    int result = 0;
    for (size_t done = 0; done < head.n && result == 0;) {
        ssize_t sent = send(fd, head.p + done, head.n - done, MSG_NOSIGNAL);
        if (sent < 0 && errno != EINTR)
            result = err_set(e, E_IO, errno, "write to the proxy");
        done += sent > 0 ? (size_t)sent : 0;
    }
    mem_wipe(head.p, head.n);
    return result;
}

/* Reads the answer's head; what came behind it goes to `rest`. */
static int read_answer(int fd, struct bufq *rest, const char *authority, struct err *e)
{
    AUTO_BUF head = { 0 };
    const char *end = NULL;
    while (!end) {
        if (head.n >= HEAD_MAX)
            return err_set(e, E_INPUT, 0, "the proxy's answer has no end");
        ssize_t got = read(fd, buf_room(&head, CHUNK), CHUNK);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(e, E_IO, got < 0 ? errno : 0, "the proxy closed the connection");
        buf_grew(&head, (size_t)got);
        end = memmem(head.p, head.n, "\r\n\r\n", 4);
    }
    struct str status = { head.p, (size_t)((char *)memchr(head.p, '\r', head.n) - head.p) };
    if (!str_starts(status, STR("HTTP/1.1 ")) && !str_starts(status, STR("HTTP/1.0 ")))
        return err_set(e, E_INPUT, 0, "the proxy does not speak HTTP");
    status = str_skip(status, 9);
    if (!str_starts(status, STR("2"))) {
        AUTO_BUF clean = { 0 };
        clean_phrase(&clean, status);
        return err_set(e, E_DENIED, 0, "%s: %s", authority, buf_text(&clean));
    }
    size_t used = (size_t)(end + 4 - head.p);
    bufq_put(rest, (struct str){ head.p + used, head.n - used });
    return 0;
}

/* False when the way is broken. */
static bool way_fill(struct way *w)
{
    size_t room;
    char *at = bufq_space(&w->queue, &room);
    ssize_t got = read(w->from, at, room);
    if (got < 0)
        return errno == EINTR || errno == EAGAIN;
    w->ended = got == 0;
    bufq_filled(&w->queue, (size_t)got);
    return true;
}

static bool way_drain(struct way *w)
{
    struct str run = bufq_peek(&w->queue);
    size_t n = run.n < CHUNK ? run.n : CHUNK;
    ssize_t sent = send(w->to, run.p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno == ENOTSOCK)
        sent = write(w->to, run.p, n);
    if (sent < 0)
        return errno == EINTR || errno == EAGAIN;
    bufq_skip(&w->queue, (size_t)sent);
    return true;
}

/* Half-close: the end of one direction is told on, the other goes on. */
static void way_pass_end(struct way *w)
{
    if (!w->ended || w->passed_on || w->queue.len)
        return;
    if (shutdown(w->to, SHUT_WR) < 0 && errno == ENOTSOCK)
        close(w->to);
    w->passed_on = true;
}

/* Until both directions have ended, or one of them breaks. */
static int relay(struct way ways[2])
{
    for (;;) {
        struct pollfd polls[4];
        for (int i = 0; i < 2; i++) {
            struct way *w = &ways[i];
            way_pass_end(w);
            bool reads = !w->ended && bufq_room(&w->queue) > 0;
            polls[2 * i] = (struct pollfd){ reads ? w->from : -1, POLLIN, 0 };
            polls[2 * i + 1] = (struct pollfd){ w->queue.len ? w->to : -1, POLLOUT, 0 };
        }
        if (ways[0].passed_on && ways[1].passed_on)
            return 0;
        if (poll(polls, 4, -1) < 0 && errno != EINTR)
            return 1;
        for (int i = 0; i < 2; i++)
            if ((polls[2 * i].revents && !way_fill(&ways[i])) ||
                (polls[2 * i + 1].revents && !way_drain(&ways[i])))
                return 1;
    }
}

static int run(const char *host_text, const char *port_text, struct err *e)
{
    struct host host;
    uint64_t port;
    char authority[270];
    if (host_parse(str_of(host_text), &host, e) < 0)
        return -1;
    if (!str_to_u64(str_of(port_text), &port) || port < 1 || port > 65535)
        return err_set(e, E_INPUT, 0, "the port is a number from 1 to 65535");
    host_authority(&host, (uint16_t)port, 0, authority);
    AUTO_FD proxy = -1;
    struct way ways[2];
    if (dial(&proxy, e) < 0 || send_request(proxy, authority, e) < 0)
        return -1;
    ways[0] = (struct way){ .from = STDIN_FILENO, .to = proxy };
    ways[1] = (struct way){ .from = proxy, .to = STDOUT_FILENO };
    for (int i = 0; i < 2; i++)
        bufq_init(&ways[i].queue, QUEUE);
    int result = read_answer(proxy, &ways[1].queue, authority, e);
    if (result == 0 && relay(ways) != 0)
        result = err_set(e, E_IO, errno, "%s", authority);
    for (int i = 0; i < 2; i++)
        bufq_release(&ways[i].queue);
    return result;
}

int cmd_connect_helper(int argc, char **argv)
{
    if (argc != 3) {
        log_error("usage: postern connect-helper HOST PORT");
        return 2;
    }
    struct err e;
    if (run(argv[1], argv[2], &e) == 0)
        return 0;
    log_error("%s", e.text);
    return 1;
}
