/* bench-http.c - requests over kept connections, as fast as they are answered, and what they cost.
 *
 *   bench-http [-c CONNECTIONS] [-s SECONDS] [-p PID[,PID...]] [-H 'name: value']... http://ADDRESS:PORT/PATH
 *
 * Each connection sends the same GET again as soon as the answer is there (8 connections, 5 seconds).
 * Prints answers a second, the processor time of the processes PID for one answer in microseconds, and the
 * bytes of one answer's body. Ends with 1 when an answer is not 200 or a connection breaks. For
 * loopback: nothing is encrypted, and the answer has a Content-Length. */
#include "base/buf.h"
#include "base/check.h"
#include "base/err.h"
#include "io/socket.h"
#include "proto/http1_target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 10000, PIDS_MAX = 16, ROOM = 1 << 20 };

struct setup {
    unsigned connections, seconds;
    pid_t pids[PIDS_MAX];
    size_t pid_count;
    struct buf request;
    struct socket_address to;
};

struct connection {
    int fd;
    struct buf got;
    size_t need; /* bytes of head and body; 0 before the head is there */
};

struct run {
    const struct setup *setup;
    int poller;
    uint64_t answers;
    size_t body; /* of the last answer */
};

_Noreturn static void die(const char *what)
{
    fprintf(stderr, "bench-http: %s\n", what);
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Seconds of processor time that a process has used, its threads included. */
static double processor_time(pid_t pid)
{
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *in = fopen(path, "re");
    if (!in || !fgets(text, sizeof text, in))
        die("a process of -p is not there");
    fclose(in);
    unsigned long user, kernel;
    const char *behind_name = strrchr(text, ')');
    if (!behind_name ||
        sscanf(behind_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
               &kernel) != 2)
        die("/proc is not understood");
    return (double)(user + kernel) / (double)sysconf(_SC_CLK_TCK);
}

static double processor_time_of_all(const struct setup *s)
{
    double sum = 0;
    for (size_t i = 0; i < s->pid_count; i++)
        sum += processor_time(s->pids[i]);
    return sum;
}

static void send_request(struct connection *c, const struct setup *s)
{
    if (socket_write(c->fd, buf_str(&s->request)) != (ssize_t)s->request.n)
        die("a connection does not take a request");
}

static void read_head(struct run *r, struct connection *c)
{
    const char *end = memmem(c->got.p, c->got.n, "\r\n\r\n", 4);
    if (!end)
        return;
    static const char want[] = "HTTP/1.1 200 ";
    if (c->got.n < sizeof want || memcmp(c->got.p, want, sizeof want - 1) != 0) {
        fprintf(stderr, "%.*s\n", (int)c->got.n, c->got.p);
        die("an answer is not 200");
    }
    const char *length = strcasestr(c->got.p, "\r\ncontent-length:");
    if (!length || length > end)
        die("an answer has no Content-Length");
    r->body = strtoul(length + sizeof "\r\ncontent-length:" - 1, NULL, 10);
    c->need = (size_t)(end + 4 - c->got.p) + r->body;
}

static void read_some(struct run *r, struct connection *c)
{
    ssize_t n = socket_read(c->fd, buf_room(&c->got, ROOM), ROOM);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        die("a connection broke");
    buf_grew(&c->got, (size_t)n);
    if (!c->need)
        read_head(r, c);
    if (!c->need || c->got.n < c->need)
        return;
    r->answers++;
    buf_empty(&c->got);
    c->need = 0;
    send_request(c, r->setup);
}

static void begin(struct run *r, struct connection *c)
{
    int os = 0;
    *c = (struct connection){ .fd = socket_begin_connect(&r->setup->to) };
    if (c->fd < 0)
        die("cannot connect");
    while (!socket_connected(c->fd, &os))
        usleep(100);
    if (os)
        die("cannot connect");
    socket_no_delay(c->fd);
    struct epoll_event want = { .events = EPOLLIN, .data.ptr = c };
    CHECK(epoll_ctl(r->poller, EPOLL_CTL_ADD, c->fd, &want) == 0);
    send_request(c, r->setup);
}

static void turn_until(struct run *r, double end)
{
    struct epoll_event events[256];
    while (now() < end) {
        int n = epoll_wait(r->poller, events, 256, 100);
        for (int i = 0; i < n; i++)
            read_some(r, events[i].data.ptr);
    }
}

static void measure(const struct setup *s)
{
    struct run r = { .setup = s, .poller = epoll_create1(EPOLL_CLOEXEC) };
    struct connection *all = mem_array(s->connections, sizeof *all);
    for (unsigned i = 0; i < s->connections; i++)
        begin(&r, &all[i]);
    turn_until(&r, now() + 0.5); /* caches and buffers find their size */
    uint64_t answers = r.answers;
    double used = processor_time_of_all(s), began = now();
    turn_until(&r, began + s->seconds);
    double seconds = now() - began;
    used = processor_time_of_all(s) - used;
    answers = r.answers - answers;
    if (!answers)
        die("no answer came");
    printf("answers/s %.0f  processor_us/answer %.2f  body_bytes %zu\n", (double)answers / seconds,
           s->pid_count ? used * 1e6 / (double)answers : 0.0, r.body);
    for (unsigned i = 0; i < s->connections; i++) {
        close(all[i].fd);
        buf_release(&all[i].got);
    }
    free(all);
    close(r.poller);
}

static void read_pids(struct setup *s, const char *text)
{
    for (char *end; s->pid_count < PIDS_MAX; text = end + 1) {
        s->pids[s->pid_count++] = (pid_t)strtol(text, &end, 10);
        if (*end != ',')
            return;
    }
}

static void read_url(struct setup *s, const char *url, struct str fields)
{
    struct err e;
    struct http1_target target;
    char host[64];
    if (http1_target_parse(STR("GET"), str_of(url), &target, &e) != 0 || target.tls ||
        target.form != HTTP1_ABSOLUTE || target.host.n >= sizeof host)
        die("a URL of the form http://127.0.0.1:8080/path is needed");
    snprintf(host, sizeof host, "%.*s", STR_ARGS(target.host));
    s->to.v4.sin_family = AF_INET;
    s->to.v4.sin_port = htons(target.port);
    if (inet_pton(AF_INET, host, &s->to.v4.sin_addr) != 1)
        die("the URL needs an IPv4 address");
    buf_addf(&s->request, "GET %.*s HTTP/1.1\r\nHost: %s:%u\r\n", STR_ARGS(target.path), host,
             target.port);
    buf_add(&s->request, fields);
    buf_add(&s->request, STR("\r\n"));
}

int main(int argc, char **argv)
{
    struct setup s = { .connections = 8, .seconds = 5 };
    AUTO_BUF fields = { 0 };
    for (int option; (option = getopt(argc, argv, "c:s:p:H:")) != -1;) {
        switch (option) {
        case 'c':
            s.connections = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 's':
            s.seconds = (unsigned)strtoul(optarg, NULL, 10);
            break;
        case 'p':
            read_pids(&s, optarg);
            break;
        case 'H':
            buf_addf(&fields, "%s\r\n", optarg);
            break;
        default:
            return 2;
        }
    }
    if (optind != argc - 1 || !s.connections || s.connections > CONNECTIONS_MAX || !s.seconds)
        die("usage: bench-http [-c N] [-s SECONDS] [-p PIDS] [-H FIELD]... URL");
    read_url(&s, argv[optind], buf_str(&fields));
    measure(&s);
    buf_release(&s.request);
    return 0;
}
