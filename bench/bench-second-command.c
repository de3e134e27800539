/* bench-second-command - one more command in a sandbox that runs, against posix_spawn outside.
 *
 *   bench-second-command [RUNS]      default 200
 *
 * Prints a line for each, in turn in the same run: name, median, p95, shortest, mean in microseconds,
 * from the order until the end of the command is known. The command is bench-hold's twin that ends at
 * once: this program itself, with the argument "end".
 */
#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/launch.h"
#include "sandbox/settings.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 200, RUNS_MAX = 100000, WARM_UP = 5 };

static char self[PATH_MAX];
static char end[] = "end", *argv_of_end[] = { self, end, NULL };
static char *environment[] = { NULL };

static double now_us(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static _Noreturn void give_up(const struct err *e)
{
    fprintf(stderr, "bench-second-command: %s\n", e->text);
    exit(1);
}

static struct boss_message receive(int socket)
{
    struct boss_message m;
    struct err e;
    int fds[BOSS_FDS_MAX];
    size_t count;
    if (boss_receive(socket, &m, fds, &count, &e) < 0)
        give_up(&e);
    while (count)
        close(fds[--count]);
    return m;
}

static double second(struct launch *l)
{
    struct err e;
    uint32_t tag;
    int failure[2];
    const struct command c = { .argv = argv_of_end,
                               .environment = environment,
                               .stdio = { 0, 1, 2 } };
    CHECK(pipe2(failure, O_CLOEXEC) == 0);
    double from = now_us();
    if (launch_command(l, &c, failure[1], &tag, &e) < 0)
        give_up(&e);
    close(failure[1]);
    struct boss_message started = receive(l->orders), ended = receive(l->boss);
    double took = now_us() - from;
    char byte;
    CHECK(started.kind == BOSS_STARTED && started.tag == tag);
    CHECK(ended.kind == BOSS_EXITED && (int)ended.tag == started.number && ended.number == 0);
    CHECK(read(failure[0], &byte, 1) == 0);
    close(failure[0]);
    return took;
}

static double spawn(void)
{
    pid_t pid;
    int status;
    double from = now_us();
    CHECK(posix_spawn(&pid, self, NULL, NULL, argv_of_end, environment) == 0);
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    return now_us() - from;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void print(const char *name, double *took, size_t runs)
{
    double sum = 0;
    qsort(took, runs, sizeof *took, by_value);
    for (size_t i = 0; i < runs; i++)
        sum += took[i];
    printf("%s %.0f %.0f %.0f %.0f %zu\n", name, took[runs / 2], took[runs * 95 / 100], took[0],
           sum / (double)runs, runs);
}

static void start(struct launch *l, struct settings *settings, struct plan *plan)
{
    static const char text[] = "{\"network\": {\"allowedDomains\": [], \"deniedDomains\": []},"
                               " \"filesystem\": {\"denyRead\": [], \"allowWrite\": [], "
                               "\"denyWrite\": []}}";
    static const struct settings_options options = { .profile = NULL };
    AUTO_BUF problems = { 0 };
    struct err e;
    if (settings_parse(str_of(text), "built-in", &options, settings, &problems, &e) < 0)
        give_up(&e);
    const struct plan_request request = { .settings = settings, .home_variable = getenv("HOME") };
    const struct launch_request wanted = { .plan = plan };
    if (plan_build(plan, &request, &e) < 0 || launch_start(l, &wanted, &e) < 0 ||
        launch_go(l, &e) < 0)
        give_up(&e);
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "end") == 0)
        return 0;
    long runs = argc > 1 ? strtol(argv[1], NULL, 10) : RUNS;
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    CHECK(n > 0 && runs > 0 && runs <= RUNS_MAX);
    static struct settings settings;
    static struct plan plan;
    static struct launch l;
    double *seconds = calloc((size_t)runs, sizeof *seconds);
    double *spawns = calloc((size_t)runs, sizeof *spawns);
    CHECK(seconds && spawns);
    start(&l, &settings, &plan);
    for (long i = -WARM_UP; i < runs; i++) {
        double a = second(&l), b = spawn();
        if (i >= 0) {
            seconds[i] = a;
            spawns[i] = b;
        }
    }
    launch_end(&l);
    print("second", seconds, (size_t)runs);
    print("spawn", spawns, (size_t)runs);
    return 0;
}
