/* bench-many.c - many sandboxes at once: how long each start takes, and what each costs in memory.
 *
 *   bench-many --count N [--at-once] COMMAND [ARG...]
 *
 * COMMAND ends in bench-hold, which writes one byte when it runs and lives until its input ends.
 * Starts N of them, one after the other or (--at-once) without waiting, keeps all alive, looks at
 * MemAvailable, lets all go. Prints: median, p95, p99 and longest start in microseconds, the time
 * until all ran, and the memory of each in kB.
 */
#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { COUNT_MAX = 2000, START_LIMIT_MS = 120 * 1000 };

struct one {
    pid_t pid;
    int says;           /* its standard output */
    double began, took; /* microseconds; took is 0 until it runs */
};

static struct one all[COUNT_MAX];

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static __attribute__((noreturn)) void fail(const char *what)
{
    perror(what);
    exit(1);
}

static long memory_available_kb(void)
{
    char line[128];
    long value = 0;
    FILE *f = fopen("/proc/meminfo", "re");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, "MemAvailable:", 13) == 0)
            value = strtol(line + 13, NULL, 10);
    if (f)
        fclose(f);
    return value;
}

static void pause_ms(long ms)
{
    nanosleep(&(struct timespec){ ms / 1000, ms % 1000 * 1000000 }, NULL);
}

/* MemAvailable, once what the kernel frees late (namespaces above all) is free. */
static long memory_at_rest_kb(void)
{
    enum { STEP_MS = 500, STEPS_MAX = 40, CALM_STEPS = 3, NOISE_KB = 256 };
    long last = memory_available_kb();
    for (int step = 0, calm = 0; step < STEPS_MAX && calm < CALM_STEPS; step++) {
        pause_ms(STEP_MS);
        long now_kb = memory_available_kb();
        calm = labs(now_kb - last) <= NOISE_KB ? calm + 1 : 0;
        last = now_kb;
    }
    return last;
}

static void start(struct one *one, char **argv, int input)
{
    int pipe_ends[2];
    if (pipe2(pipe_ends, O_CLOEXEC) < 0)
        fail("pipe");
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_adddup2(&files, input, 0);
    posix_spawn_file_actions_adddup2(&files, pipe_ends[1], 1);
    one->began = now();
    if (posix_spawnp(&one->pid, argv[0], &files, NULL, argv, environ) != 0)
        fail(argv[0]);
    posix_spawn_file_actions_destroy(&files);
    close(pipe_ends[1]);
    one->says = pipe_ends[0];
}

/* Waits until the first `count` run; how many do not after the limit. */
static size_t wait_running(size_t count)
{
    static struct pollfd ready[COUNT_MAX];
    double limit = now() + START_LIMIT_MS * 1e3;
    for (;;) {
        size_t waiting = 0;
        for (size_t i = 0; i < count; i++) {
            ready[i] =
                (struct pollfd){ .fd = all[i].took > 0 ? -1 : all[i].says, .events = POLLIN };
            waiting += all[i].took <= 0;
        }
        int left_ms = (int)((limit - now()) / 1e3);
        if (waiting == 0 || left_ms <= 0)
            return waiting;
        poll(ready, count, left_ms);
        for (size_t i = 0; i < count; i++) {
            char byte;
            if (!(ready[i].revents & (POLLIN | POLLHUP)))
                continue;
            if (read(all[i].says, &byte, 1) != 1) {
                fprintf(stderr, "bench-many: number %zu ended instead of running\n", i + 1);
                exit(1);
            }
            all[i].took = now() - all[i].began;
        }
    }
}

static void report(size_t count, double total, long memory_kb)
{
    static double took[COUNT_MAX];
    for (size_t i = 0; i < count; i++)
        took[i] = all[i].took;
    qsort(took, count, sizeof *took, compare);
    printf("%.0f %.0f %.0f %.0f %.0f %.0f\n", took[count / 2], took[count * 95 / 100],
           took[count * 99 / 100], took[count - 1], total, (double)memory_kb / (double)count);
}

int main(int argc, char **argv)
{
    size_t count = 0;
    bool at_once = false;
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--at-once") == 0)
            at_once = true;
        else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc)
            count = strtoul(argv[++i], NULL, 10);
    }
    if (i == argc || count == 0 || count > COUNT_MAX) {
        fprintf(stderr, "usage: bench-many --count N [--at-once] COMMAND [ARG...]\n");
        return 2;
    }

    int hold[2];
    if (pipe2(hold, O_CLOEXEC) < 0)
        fail("pipe");
    long before = memory_at_rest_kb();
    double began = now();
    for (size_t n = 0; n < count; n++) {
        start(&all[n], argv + i, hold[0]);
        if (!at_once && wait_running(n + 1))
            break;
    }
    size_t missing = wait_running(count);
    double total = now() - began;
    long used = before - memory_at_rest_kb();

    close(hold[1]);
    close(hold[0]);
    int bad = 0;
    for (size_t n = 0; n < count; n++) {
        int status;
        bad += waitpid(all[n].pid, &status, 0) < 0 || status != 0;
    }
    if (missing || bad) {
        fprintf(stderr, "bench-many: %zu did not start, %d ended badly\n", missing, bad);
        return 1;
    }
    report(count, total, used);
    return 0;
}
