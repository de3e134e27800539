/* bench-proxy - the egress proxy as a command sees it, against no proxy and against squid.
 *
 *     ninja -C build bench/bench-proxy postern-engine && build/bench/bench-proxy build/postern-engine
 *     build/bench/bench-proxy build/postern-engine /usr/sbin/squid    (Debian: apt-get install squid)
 *
 * One run measures all peers in turns, so that only the ratios count:
 *   get        one plain request per connection, 16 clients
 *   connect    one CONNECT and one request in it per connection, 16 clients
 *   keepalive  plain requests on 16 connections that stay open
 *   bulk       256 MiB through one CONNECT, server to client
 * Server and clients are small epoll programs of their own process, written here, so that the cost of
 * the peer in the middle is what differs.
 */
#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "sandbox/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

enum { CLIENTS = 16, ROUNDS = 3, ROUND_MS = 1500, PIECE = 256 << 10, EVENTS = 64 };
enum { BULK = 256 << 20 };
#define TOKEN "00112233445566778899aabbccddeeff"
#define BASIC "c3J0OjAwMTEyMjMzNDQ1NTY2Nzc4ODk5YWFiYmNjZGRlZWZm" /* srt:TOKEN */

enum work { WORK_GET, WORK_CONNECT, WORK_KEEPALIVE, WORK_BULK, WORKS };
static const char *const work_names[WORKS] = { "get", "connect", "keepalive", "bulk" };

struct peer {
    const char *name;
    uint16_t port; /* 0: no proxy */
    double best[WORKS];
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){ .sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
}

static int listen_any(uint16_t *port)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    struct sockaddr_in at = loopback(0);
    socklen_t size = sizeof at;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    CHECK(fd >= 0 && bind(fd, (struct sockaddr *)&at, sizeof at) == 0 && listen(fd, 1024) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&at, &size) == 0);
    *port = ntohs(at.sin_port);
    return fd;
}

/* ---- the server: "GET /" gives 128 bytes, "GET /bulk" BULK bytes ---- */

struct served {
    int fd;
    size_t in_n, bulk_left;
    char in[2048];
};

static const char small_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 128\r\n"
                                   "Content-Type: text/plain\r\n\r\n";

static void serve_bulk(int poller, struct served *s)
{
    static char zeros[PIECE];
    while (s->bulk_left) {
        size_t n = s->bulk_left < PIECE ? s->bulk_left : PIECE;
        ssize_t sent = send(s->fd, zeros, n, MSG_NOSIGNAL);
        if (sent < 0)
            break;
        s->bulk_left -= (size_t)sent;
    }
    struct epoll_event e = { .events = EPOLLIN | (s->bulk_left ? EPOLLOUT : 0u), .data.ptr = s };
    epoll_ctl(poller, EPOLL_CTL_MOD, s->fd, &e);
}

/* False when the connection has ended. */
static bool serve_some(int poller, struct served *s, unsigned events)
{
    if (events & EPOLLOUT)
        serve_bulk(poller, s);
    if (!(events & EPOLLIN))
        return !(events & (EPOLLERR | EPOLLHUP));
    ssize_t got = recv(s->fd, s->in + s->in_n, sizeof s->in - s->in_n, 0);
    if (got < 0 && errno == EAGAIN)
        return true;
    if (got <= 0)
        return false;
    s->in_n += (size_t)got;
    char *end;
    while ((end = memmem(s->in, s->in_n, "\r\n\r\n", 4))) {
        char answer[512];
        bool bulk = memmem(s->in, (size_t)(end - s->in), "/bulk", 5) != NULL;
        int n = bulk ? snprintf(answer, sizeof answer,
                                "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", BULK)
                     : snprintf(answer, sizeof answer, "%s%128s", small_answer, "x");
        CHECK(send(s->fd, answer, (size_t)n, MSG_NOSIGNAL) == n || errno == EPIPE ||
              errno == ECONNRESET);
        s->in_n -= (size_t)(end + 4 - s->in);
        memmove(s->in, end + 4, s->in_n);
        if (bulk) {
            s->bulk_left = BULK;
            serve_bulk(poller, s);
        }
    }
    return s->in_n < sizeof s->in;
}

_Noreturn static void server_main(int listener)
{
    int poller = epoll_create1(0);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = NULL }, got[EVENTS];
    fcntl(listener, F_SETFL, O_NONBLOCK);
    epoll_ctl(poller, EPOLL_CTL_ADD, listener, &e);
    for (;;) {
        int n = epoll_wait(poller, got, EVENTS, -1);
        for (int i = 0; i < n; i++) {
            struct served *s = got[i].data.ptr;
            if (s) {
                if (!serve_some(poller, s, got[i].events)) {
                    close(s->fd);
                    free(s);
                }
                continue;
            }
            int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
            if (fd < 0)
                continue;
            s = mem_get(sizeof *s);
            s->fd = fd;
            struct epoll_event first = { .events = EPOLLIN, .data.ptr = s };
            epoll_ctl(poller, EPOLL_CTL_ADD, fd, &first);
        }
    }
}

/* ---- the clients ---- */

struct load {
    enum work work;
    const struct peer *peer;
    uint16_t server;
    int poller;
    uint64_t done, failed;
    size_t received; /* bulk */
};

struct slot {
    int fd;
    bool tunnel_open;
    size_t n;
    char in[4096];
};

static void send_text(struct slot *s, const char *text)
{
    size_t n = strlen(text);
    if (send(s->fd, text, n, MSG_NOSIGNAL) != (ssize_t)n)
        s->n = sizeof s->in; /* counted as failed at the next event */
}

static void send_request(const struct load *l, struct slot *s)
{
    char text[512];
    bool through = l->peer->port && !s->tunnel_open;
    const char *path = l->work == WORK_BULK ? "/bulk" : "/";
    char prefix[64] = "";
    if (through)
        snprintf(prefix, sizeof prefix, "http://127.0.0.1:%u", l->server);
    snprintf(text, sizeof text, "GET %s%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n%s\r\n", prefix, path,
             l->server, through ? "Proxy-Authorization: Basic " BASIC "\r\n" : "");
    send_text(s, text);
}

static void send_first(const struct load *l, struct slot *s)
{
    bool tunnel = l->peer->port && (l->work == WORK_CONNECT || l->work == WORK_BULK);
    s->tunnel_open = false;
    s->n = 0;
    if (!tunnel) {
        send_request(l, s);
        return;
    }
    char text[512];
    snprintf(text, sizeof text,
             "CONNECT 127.0.0.1:%u HTTP/1.1\r\nHost: 127.0.0.1:%u\r\n"
             "Proxy-Authorization: Basic " BASIC "\r\n\r\n",
             l->server, l->server);
    send_text(s, text);
}

static void open_slot(struct load *l, struct slot *s)
{
    struct sockaddr_in to = loopback(l->peer->port ? l->peer->port : l->server);
    s->fd = socket(AF_INET, SOCK_STREAM, 0);
    CHECK(s->fd >= 0 && connect(s->fd, (struct sockaddr *)&to, sizeof to) == 0);
    fcntl(s->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event e = { .events = EPOLLIN, .data.ptr = s };
    epoll_ctl(l->poller, EPOLL_CTL_ADD, s->fd, &e);
    send_first(l, s);
}

static void close_slot(struct slot *s)
{
    close(s->fd);
    s->fd = -1;
}

/* True when the answer to what was sent last is complete; -1 as failed is s->n == sizeof s->in. */
static bool answer_complete(const struct load *l, struct slot *s)
{
    const char *end = memmem(s->in, s->n, "\r\n\r\n", 4);
    if (!end)
        return false;
    if (memcmp(s->in, "HTTP/1.1 200", 12) != 0) {
        s->n = sizeof s->in;
        return false;
    }
    bool connect_reply = l->peer->port && l->work == WORK_CONNECT && !s->tunnel_open;
    return connect_reply || (size_t)(s->in + s->n - end) >= 4 + 128;
}

static void on_slot(struct load *l, struct slot *s)
{
    ssize_t got = recv(s->fd, s->in + s->n, sizeof s->in - s->n, 0);
    if (got < 0 && errno == EAGAIN)
        return;
    s->n += got > 0 ? (size_t)got : 0;
    bool complete = got > 0 && answer_complete(l, s);
    if (got <= 0 || s->n == sizeof s->in) {
        l->failed++;
        close_slot(s);
        open_slot(l, s);
    } else if (complete && l->peer->port && l->work == WORK_CONNECT && !s->tunnel_open) {
        s->tunnel_open = true;
        s->n = 0;
        send_request(l, s);
    } else if (complete) {
        l->done++;
        if (l->work == WORK_KEEPALIVE) {
            s->n = 0;
            send_request(l, s);
        } else {
            close_slot(s);
            open_slot(l, s);
        }
    }
}

/* Requests a second. */
static double run_requests(struct load *l)
{
    struct slot slots[CLIENTS];
    struct epoll_event got[EVENTS];
    l->poller = epoll_create1(0);
    for (int i = 0; i < CLIENTS; i++)
        open_slot(l, &slots[i]);
    double start = now_s(), end = start + ROUND_MS / 1e3;
    while (now_s() < end) {
        int n = epoll_wait(l->poller, got, EVENTS, 100);
        for (int i = 0; i < n; i++)
            on_slot(l, got[i].data.ptr);
    }
    double rate = (double)l->done / (now_s() - start);
    for (int i = 0; i < CLIENTS; i++)
        close_slot(&slots[i]);
    close(l->poller);
    return rate;
}

static ssize_t read_waiting(int fd, char *to, size_t n)
{
    struct pollfd ready = { .fd = fd, .events = POLLIN };
    ssize_t got;
    while ((got = recv(fd, to, n, 0)) < 0 && errno == EAGAIN)
        poll(&ready, 1, 1000);
    return got;
}

/* MB a second of one transfer. */
static double run_bulk(struct load *l)
{
    static char bytes[PIECE];
    struct slot s;
    l->poller = epoll_create1(0);
    open_slot(l, &s);
    if (l->peer->port) {
        CHECK(read_waiting(s.fd, bytes, sizeof bytes) > 12 && memcmp(bytes + 9, "200", 3) == 0);
        s.tunnel_open = true;
        send_request(l, &s);
    }
    double start = now_s();
    size_t received = 0;
    while (received < BULK) {
        ssize_t got = read_waiting(s.fd, bytes, sizeof bytes);
        CHECK(got > 0);
        received += (size_t)got;
    }
    double rate = BULK / 1e6 / (now_s() - start);
    close_slot(&s);
    close(l->poller);
    return rate;
}

/* ---- the peers ---- */

static pid_t start_engine(const char *program, uint16_t *port, struct channel *channel)
{
    int pair[2], listener = listen_any(port);
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        dup2(pair[1], 3);
        fcntl(3, F_SETFD, 0);
        execl(program, program, "egress", (char *)NULL);
        perror(program);
        _exit(127);
    }
    close(pair[1]);
    channel_init(channel, pair[0]);
    struct err e;
    struct str config =
        STR("{\"t\":\"config\",\"strict\":false,\"ask\":false,\"transparent\":false,"
            "\"token\":\"" TOKEN "\",\"listeners\":[\"http\"],\"settings\":"
            "\"{\\\"network\\\":{\\\"allowedDomains\\\":[\\\"127.0.0.1\\\"],"
            "\\\"deniedDomains\\\":[]},\\\"filesystem\\\":{\\\"denyRead\\\":[],"
            "\\\"allowWrite\\\":[],\\\"denyWrite\\\":[]}}\"}");
    CHECK(channel_put(channel, config, &listener, 1, &e) == 0 && channel_flush(channel, &e) == 0);
    close(listener);
    return pid;
}

/* The supervisor reads what the proxy reports, as in a real run. */
static pid_t start_reader(struct channel *channel)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct pollfd ready = { .fd = channel->fd, .events = POLLIN };
    struct err e;
    struct str frame;
    for (;;) {
        poll(&ready, 1, -1);
        if (channel_fill(channel, &e) < 0)
            _exit(0);
        while (channel_next(channel, &frame))
            ;
    }
}

static pid_t start_squid(const char *program, const char *directory, uint16_t *port)
{
    char path[256];
    close(listen_any(port));
    snprintf(path, sizeof path, "%s/squid.conf", directory);
    FILE *conf = fopen(path, "w");
    CHECK(conf);
    fprintf(conf,
            "http_port 127.0.0.1:%u\nacl CONNECT method CONNECT\nhttp_access allow all\n"
            "cache deny all\naccess_log none\ncache_log /dev/null\npid_filename none\n"
            "cache_mem 8 MB\nmax_filedescriptors 4096\nshutdown_lifetime 0 seconds\n"
            "coredump_dir none\npinger_enable off\n",
            *port);
    fclose(conf);
    pid_t pid = fork();
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        int nothing = open("/dev/null", O_RDWR);
        dup2(nothing, 1);
        dup2(nothing, 2);
        execl(program, program, "-N", "-f", path, (char *)NULL);
        _exit(127);
    }
    return pid;
}

/* Until somebody listens. */
static void wait_for_port(const char *name, uint16_t port)
{
    for (int i = 0; i < 1000; i++) {
        struct sockaddr_in to = loopback(port);
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        bool up = connect(fd, (struct sockaddr *)&to, sizeof to) == 0;
        close(fd);
        if (up)
            return;
        struct timespec moment = { .tv_nsec = 10 * 1000 * 1000 };
        nanosleep(&moment, NULL);
    }
    fprintf(stderr, "%s does not listen\n", name);
    exit(1);
}

static void measure(struct peer *peers, size_t count, uint16_t server)
{
    for (int round = 0; round < ROUNDS; round++)
        for (int work = 0; work < WORKS; work++)
            for (size_t i = 0; i < count; i++) {
                struct load load = { .work = (enum work)work, .peer = &peers[i], .server = server };
                double rate = work == WORK_BULK ? run_bulk(&load) : run_requests(&load);
                if (rate > peers[i].best[work])
                    peers[i].best[work] = rate;
                if (load.failed)
                    printf("%s %s: %llu failed\n", peers[i].name, work_names[work],
                           (unsigned long long)load.failed);
            }
}

static void print(const struct peer *peers, size_t count)
{
    printf("%-10s", "");
    for (size_t i = 0; i < count; i++)
        printf(" %12s", peers[i].name);
    printf("  ours/direct  ours/squid\n");
    for (int work = 0; work < WORKS; work++) {
        printf("%-10s", work_names[work]);
        for (size_t i = 0; i < count; i++)
            printf(" %8.0f %s", peers[i].best[work],
                   work == WORK_BULK ? "MB/"
                                       "s"
                                     : "r/s ");
        printf("  %11.2f", peers[1].best[work] / peers[0].best[work]);
        if (count > 2)
            printf("  %10.2f", peers[1].best[work] / peers[2].best[work]);
        printf("\n");
    }
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: bench-proxy POSTERN-ENGINE [SQUID]\n");
        return 2;
    }
    struct peer peers[3] = { { .name = "direct" }, { .name = "ours" }, { .name = "squid" } };
    size_t count = argc > 2 ? 3 : 2;
    uint16_t server;
    struct channel channel;
    char directory[] = "/tmp/bench-proxy-XXXXXX";
    CHECK(mkdtemp(directory) && chmod(directory, 0755) == 0);
    int listener = listen_any(&server);
    pid_t pids[4] = { 0 };
    pids[0] = fork();
    if (pids[0] == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        server_main(listener);
    }
    close(listener);
    pids[1] = start_engine(argv[1], &peers[1].port, &channel);
    pids[2] = start_reader(&channel);
    if (count > 2) {
        pids[3] = start_squid(argv[2], directory, &peers[2].port);
        wait_for_port("squid", peers[2].port);
    }
    measure(peers, count, server);
    print(peers, count);
    for (int i = 0; i < 4; i++)
        if (pids[i] > 0) {
            kill(pids[i], SIGKILL);
            waitpid(pids[i], NULL, 0);
        }
    char path[256];
    snprintf(path, sizeof path, "%s/squid.conf", directory);
    unlink(path);
    rmdir(directory);
    channel_release(&channel);
    return 0;
}
