/* bench-start.c - start-up time of several commands, run in turn, so that each meets the same machine.
 *
 *   bench-start [--runs N] [--warmup N] NAME COMMAND [ARG...] [::: NAME COMMAND [ARG...]]...
 *
 * posix_spawn, wait, next command; N rounds of all. Prints one line per command: name, then median,
 * p95, p5 and mean in microseconds, then the number of runs. A command that fails ends it. Standard
 * input is /dev/null and so is the output; errors stay visible.
 */
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

enum { COMMANDS_MAX = 16, RUNS_MAX = 10000 };

struct command {
    const char *name;
    char **argv;
    double *took; /* microseconds, one per run */
};

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

/* One run, in microseconds. */
static double run(const struct command *command, const posix_spawn_file_actions_t *files)
{
    pid_t pid;
    int status;
    double start = now();
    int failed = posix_spawnp(&pid, command->argv[0], files, NULL, command->argv, environ);
    if (failed) {
        fprintf(stderr, "bench-start: %s: %s\n", command->argv[0], strerror(failed));
        exit(1);
    }
    if (waitpid(pid, &status, 0) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        fprintf(stderr, "bench-start: %s: wait status %#x\n", command->name, (unsigned)status);
        exit(1);
    }
    return now() - start;
}

static void report(const struct command *command, size_t runs)
{
    double sum = 0;
    for (size_t i = 0; i < runs; i++)
        sum += command->took[i];
    qsort(command->took, runs, sizeof *command->took, compare);
    printf("%s %.0f %.0f %.0f %.0f %zu\n", command->name, command->took[runs / 2],
           command->took[runs * 95 / 100], command->took[runs * 5 / 100], sum / (double)runs, runs);
}

/* Splits the arguments at ":::" into commands; the count, or 0 when they make no sense. */
static size_t split(char **argv, struct command *commands, size_t runs)
{
    size_t count = 0;
    for (char **at = argv; *at; count++) {
        if (count == COMMANDS_MAX || !at[1] || strcmp(at[1], ":::") == 0)
            return 0;
        commands[count] =
            (struct command){ .name = at[0], .argv = at + 1, .took = calloc(runs, sizeof(double)) };
        while (*at && strcmp(*at, ":::") != 0)
            at++;
        if (*at)
            *at++ = NULL;
    }
    return count;
}

static bool take_number(char ***argv, const char *name, size_t *out)
{
    if (!**argv || strcmp(**argv, name) != 0)
        return false;
    if (!(*argv)[1])
        return false;
    *out = strtoul((*argv)[1], NULL, 10);
    *argv += 2;
    return true;
}

int main(int argc, char **argv)
{
    (void)argc;
    size_t runs = 100, warmup = 5;
    argv++;
    while (take_number(&argv, "--runs", &runs) || take_number(&argv, "--warmup", &warmup))
        ;
    struct command commands[COMMANDS_MAX];
    size_t count = runs > 0 && runs <= RUNS_MAX ? split(argv, commands, runs) : 0;
    if (!count) {
        fprintf(
            stderr,
            "usage: bench-start [--runs N] [--warmup N] NAME COMMAND... [::: NAME COMMAND...]\n");
        return 2;
    }
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&files, 1, "/dev/null", O_WRONLY, 0);

    for (size_t i = 0; i < warmup + runs; i++)
        for (size_t c = 0; c < count; c++) {
            double took = run(&commands[c], &files);
            if (i >= warmup)
                commands[c].took[i - warmup] = took;
        }
    for (size_t c = 0; c < count; c++) {
        report(&commands[c], runs);
        free(commands[c].took);
    }
    posix_spawn_file_actions_destroy(&files);
    return 0;
}
