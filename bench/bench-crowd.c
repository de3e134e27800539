/* bench-crowd.c - many connections to one server: readers of streams, and workers that poll.
 *
 *   bench-crowd read PORT COUNT EVENTS   heads of requests on standard input, each to its blank line;
 *                                        connection n sends head n modulo their number
 *   bench-crowd poll PORT COUNT SECONDS  the same, asked again 1 to 3 s after each answer
 *
 * "read" prints "ready" once every connection has the head of its answer, waits until each has got
 * EVENTS events (0: until standard input ends, so that the readers just stay), and prints how
 * late they came after their own processed_at: median, 99th percentile and longest, in microseconds.
 * "poll" prints how many polls were answered. Keys come on standard input, never on the command line.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HEADS_MAX = 16384, INPUT_MAX = 16 << 20, CARRY = 64, PART = 65536 };

struct peer {
    int fd;
    unsigned events;   /* seen so far */
    bool answered;     /* its head has come */
    char carry[CARRY]; /* the end of what came last: a word may lie across two reads */
    size_t carried;
    double again; /* when it polls next; 0: an answer is awaited */
};

static char input[INPUT_MAX];
static const char *heads[HEADS_MAX];
static size_t head_lengths[HEADS_MAX], head_count;
static double *lags;
static size_t lag_count, lag_room;

static __attribute__((noreturn)) void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Standard input up to its end or to an empty head. */
static void read_heads(void)
{
    size_t length = 0, start = 0;
    while (fgets(input + length, (int)(sizeof input - length), stdin)) {
        size_t line = strlen(input + length);
        length += line;
        if (line == 2) {
            if (length - start == 2)
                return;
            if (head_count == HEADS_MAX)
                break;
            heads[head_count] = input + start;
            head_lengths[head_count++] = length - start;
            start = length;
        }
    }
}

static int connected(int port)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port) };
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        fail("connect");
    return fd;
}

static void ask(const struct peer *p, size_t i)
{
    size_t h = i % head_count;
    if (write(p->fd, heads[h], head_lengths[h]) != (ssize_t)head_lengths[h])
        fail("write");
}

/* Microseconds since 1970 of "2026-11-25T02:25:00.123456Z". */
static double moment(const char *text)
{
    struct tm t = { 0 };
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &t);
    return rest && *rest == '.' ? (double)timegm(&t) * 1e6 + strtod(rest, NULL) * 1e6 : 0;
}

static void note_lag(double lag)
{
    if (lag_count == lag_room) {
        lag_room = lag_room ? 2 * lag_room : 65536;
        lags = realloc(lags, lag_room * sizeof *lags);
        if (!lags)
            fail("realloc");
    }
    lags[lag_count++] = lag;
}

/* Counts the events in what came, and how old they are. */
static void look(struct peer *p, const char *part, size_t length, double at)
{
    static const char word[] = "\"processed_at\":\"";
    static char text[CARRY + PART + 1];
    memcpy(text, p->carry, p->carried);
    memcpy(text + p->carried, part, length);
    size_t whole = p->carried + length, used = 0;
    text[whole] = 0;
    for (char *found = text; (found = strstr(found, word)); found = text + used) {
        if ((size_t)(text + whole - found) < sizeof word + 27)
            break;
        note_lag(at - moment(found + sizeof word - 1));
        p->events++;
        used = (size_t)(found - text) + sizeof word + 26;
    }
    size_t keep = whole - used < CARRY - 1 ? whole - used : CARRY - 1;
    memcpy(p->carry, text + whole - keep, keep);
    p->carried = keep;
}

static int watch(struct peer *peers, size_t count)
{
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    for (size_t i = 0; i < count; i++) {
        struct epoll_event e = { .events = EPOLLIN, .data.ptr = &peers[i] };
        if (epoll_ctl(epoll, EPOLL_CTL_ADD, peers[i].fd, &e) < 0)
            fail("epoll");
    }
    return epoll;
}

/* One read of what is there; false when the server closed. */
static bool take(struct peer *p, bool looking)
{
    static char part[PART];
    ssize_t n = read(p->fd, part, sizeof part);
    if (n < 0)
        fail("read");
    if (n == 0)
        return false;
    if (!p->answered) {
        if (n < 12 || strncmp(part, "HTTP/1.1 200", 12) != 0) {
            fprintf(stderr, "bench-crowd: %.*s\n", (int)n, part);
            exit(1);
        }
        p->answered = true;
    }
    if (looking)
        look(p, part, (size_t)n, now(CLOCK_REALTIME));
    return true;
}

static void readers(struct peer *peers, size_t count, unsigned events)
{
    int epoll = watch(peers, count);
    struct epoll_event some[256];
    size_t answered = 0, finished = 0;
    for (bool told = false; !told || !events || finished < count;) {
        int n = epoll_wait(epoll, some, 256, told && !events ? 100 : 60000);
        if (n == 0 && (events || !told)) {
            fprintf(stderr, "bench-crowd: nothing comes; %zu answered, %zu finished\n", answered,
                    finished);
            exit(1);
        }
        for (int i = 0; i < n; i++) {
            struct peer *p = some[i].data.ptr;
            bool before = p->answered, done = events && p->events >= events;
            if (!take(p, events > 0)) {
                fprintf(stderr, "bench-crowd: the server closed a stream\n");
                exit(1);
            }
            answered += !before;
            finished += !done && events && p->events >= events;
        }
        if (!told && answered == count) {
            puts("ready");
            fflush(stdout);
            told = true;
        }
        if (told && !events && getppid() == 1)
            return;
    }
    if (lag_count) {
        qsort(lags, lag_count, sizeof *lags, compare);
        printf("%.0f %.0f %.0f\n", lags[lag_count / 2], lags[lag_count - 1 - lag_count / 100],
               lags[lag_count - 1]);
    }
}

static void pollers(struct peer *peers, size_t count, double seconds)
{
    int epoll = watch(peers, count);
    struct epoll_event some[256];
    unsigned long polls = 0;
    srandom(1);
    puts("ready");
    fflush(stdout);
    for (double end = now(CLOCK_MONOTONIC) + seconds * 1e6, at;
         (at = now(CLOCK_MONOTONIC)) < end;) {
        int n = epoll_wait(epoll, some, 256, 10);
        for (int i = 0; i < n; i++) {
            struct peer *p = some[i].data.ptr;
            if (!take(p, false))
                fail("a poll was cut off");
            polls++;
            p->again = at + 1e6 + (double)(random() % 2000000);
        }
        for (size_t i = 0; i < count; i++)
            if (peers[i].again > 0 && peers[i].again <= at) {
                peers[i].again = 0;
                ask(&peers[i], i);
            }
    }
    printf("%lu\n", polls);
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bench-crowd read|poll PORT COUNT EVENTS|SECONDS <HEADS\n");
        return 2;
    }
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    int port = (int)strtol(argv[2], NULL, 10);
    size_t count = strtoul(argv[3], NULL, 10);
    read_heads();
    struct peer *peers = calloc(count, sizeof *peers);
    if (!peers || !head_count)
        fail("no heads");
    for (size_t i = 0; i < count; i++) {
        peers[i].fd = connected(port);
        ask(&peers[i], i);
    }
    if (strcmp(argv[1], "read") == 0)
        readers(peers, count, (unsigned)strtoul(argv[4], NULL, 10));
    else
        pollers(peers, count, strtod(argv[4], NULL));
    return 0;
}
