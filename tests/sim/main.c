/* sim - seeds of whole installations, played on a virtual clock.
 *
 *     sim [--seeds N] [--from S]     seeds S to S + N - 1 (1, 1000)
 *     sim --seed S [--trace]         one of them; with every step
 */
#include "world.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SHOWN_MAX = 20 };

static uint64_t current;
static const char *program;

/* A broken assertion has to name its seed, too. */
static void died(int number)
{
    char line[200];
    int n = snprintf(line, sizeof line,
                     "seed %" PRIu64 ": signal %d\nrepeat: %s --seed %" PRIu64 " --trace\n",
                     current, number, program, current);
    if (write(STDOUT_FILENO, line, (size_t)n) != n)
        _exit(3);
    _exit(2);
}

static void watch_for_death(void)
{
    static const int numbers[] = { SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL };
    struct sigaction act = { .sa_handler = died, .sa_flags = (int)SA_RESETHAND };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        sigaction(numbers[i], &act, NULL);
}

/* The engine logs every write that fails, which here is most of what it would say. */
static void hush(void)
{
    int fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        dup2(fd, STDERR_FILENO);
        close(fd);
    }
}

static void report(const struct tally *t, uint64_t seeds, uint64_t violations)
{
    const struct {
        const char *name;
        uint64_t n;
    } rows[] = {
        { "steps", t->steps },
        { "events", t->events },
        { "turns", t->turns },
        { "crashes", t->crashes },
        { "of these with a write under way", t->half_commits },
        { "graceful stops", t->parked },
        { "times the disk failed", t->commit_failures },
        { "requests", t->requests },
        { "requests lost", t->requests_lost },
        { "answers lost", t->answers_lost },
        { "requests repeated", t->repeats },
        { "model requests", t->model_requests },
        { "model failures", t->model_failures },
        { "summaries", t->summaries },
        { "claims", t->claims },
        { "leases lost", t->leases_lost },
        { "workers died", t->worker_deaths },
        { "workers frozen", t->freezes },
        { "items given back", t->nacks },
        { "items ended at once", t->quick_ends },
        { "times no more items were made", t->held },
        { "calls", t->calls },
        { "marks", t->marks },
        { "executions", t->executions },
        { "again by workers without marks, or safe", t->executed_again },
        { "outcomes unknown", t->unknown },
        { "interrupts", t->interrupts },
        { "confirmations", t->confirmations },
        { "inputs queued", t->queued },
        { "budget stops", t->budget_stops },
        { "streams opened", t->readers_resumed },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        printf("%12" PRIu64 " %s\n", rows[i].n, rows[i].name);
    printf("%" PRIu64 " seeds: %" PRIu64 " crashes, %" PRIu64 " claims, %" PRIu64
           " requests repeated, %" PRIu64 " interrupts, %" PRIu64 " executions; %" PRIu64
           " violations\n",
           seeds, t->crashes, t->claims, t->repeats, t->interrupts, t->executions, violations);
}

static bool number(const char *text, uint64_t *out)
{
    return text && str_to_u64(str_of(text), out);
}

int main(int argc, char **argv)
{
    uint64_t from = 1, seeds = 1000, violations = 0;
    bool trace = false, good = true;
    struct tally tally = { 0 };
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seeds") == 0) {
            good &= number(argv[++i], &seeds);
        } else if (strcmp(argv[i], "--from") == 0) {
            good &= number(argv[++i], &from);
        } else if (strcmp(argv[i], "--seed") == 0) {
            good &= number(argv[++i], &from);
            seeds = 1;
        } else if (strcmp(argv[i], "--trace") == 0) {
            trace = true;
        } else {
            good = false;
        }
    }
    if (!good) {
        fputs("sim: --seeds N, --from S, --seed S, --trace\n", stderr);
        return 64;
    }
    program = argv[0];
    if (!trace)
        hush();
    watch_for_death();
    for (current = from; current < from + seeds; current++) {
        char failure[600];
        if (world_run(current, trace, &tally, failure, sizeof failure))
            continue;
        if (++violations > SHOWN_MAX)
            continue;
        printf("seed %" PRIu64 ": %s\nrepeat: %s --seed %" PRIu64 " --trace\n", current, failure,
               program, current);
        fflush(stdout);
    }
    report(&tally, seeds, violations);
    return violations ? 1 : 0;
}
