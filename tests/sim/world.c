#include "world.h"

#include "base/check.h"
#include "client.h"
#include "judge.h"
#include "rpc.h"
#include "worker.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { STEPS_MAX = 200000 };
#define CHAOS (8 * MINUTE)
#define REST (60 * MINUTE)

void world_fail(struct world *w, const char *fmt, ...)
{
    if (w->failure[0])
        return;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(w->failure, sizeof w->failure, fmt, ap);
    va_end(ap);
    world_note(w, "VIOLATION %s", w->failure);
}

void world_note(struct world *w, const char *fmt, ...)
{
    if (!w->trace)
        return;
    int64_t at = w->agenda.now - 1700000000 * SECOND;
    va_list ap;
    va_start(ap, fmt);
    printf("%10.6f ", (double)at / SECOND);
    vprintf(fmt, ap);
    putchar('\n');
    va_end(ap);
}

bool world_is_up(const struct world *w)
{
    return w->process != NULL;
}

int64_t world_latency(struct world *w)
{
    struct dice *d = &w->dice;
    if (!w->calm && dice_chance(d, 20))
        return dice_between(d, SECOND, 20 * SECOND);
    return dice_between(d, MILLISECOND, 40 * MILLISECOND);
}

static unsigned pick(struct world *w, const unsigned *choices, size_t count)
{
    return choices[dice_below(&w->dice, count)];
}

/* Each kind of trouble is absent in some seeds, so that what one hides another shows. */
static void faults_choose(struct world *w)
{
    static const unsigned crash[] = { 0, 0, 1, 3, 10, 40 }, commit[] = { 0, 0, 200, 600 },
                          loss[] = { 0, 0, 20, 100 }, model[] = { 0, 50, 200, 500 },
                          worker[] = { 0, 0, 10, 40, 120 };
#define PICK(row) pick(w, row, sizeof row / sizeof *row)
    w->faults = (struct faults){ .crash = PICK(crash),
                                 .commit = PICK(commit),
                                 .request = PICK(loss),
                                 .reply = PICK(loss),
                                 .model = PICK(model),
                                 .web = PICK(model),
                                 .worker = PICK(worker) };
#undef PICK
}

static void step(struct world *w)
{
    w->tally->steps++;
    if (!w->calm && world_is_up(w) && dice_chance(&w->dice, w->faults.crash)) {
        if (dice_chance(&w->dice, 200))
            process_park(w);
        else
            process_crash(w, true);
    }
    agenda_step(&w->agenda);
    judge_step(w->judge);
}

/* Runs until `done` says so or the time is over. */
static void run(struct world *w, int64_t until, bool (*done)(struct world *w))
{
    for (unsigned i = 0; !w->failure[0] && agenda_next(&w->agenda) <= until; i++) {
        if (i == STEPS_MAX) {
            world_fail(w, "no rest: %d steps", STEPS_MAX);
            return;
        }
        step(w);
        if (done && done(w))
            return;
    }
}

static bool at_rest(struct world *w)
{
    return judge_is_at_rest(w->judge) && clients_are_content(w);
}

static void calm_down(struct world *w)
{
    world_note(w, "--- calm");
    w->calm = true;
    if (w->disk_broken) {
        memory_disk_break(w->disk, false);
        w->disk_broken = false;
    }
    if (!world_is_up(w))
        process_start(w);
    w->healthy_since = w->agenda.now;
    crew_calm(w);
}

static void world_open(struct world *w)
{
    w->agenda.now = 1700000000 * SECOND;
    w->disk = memory_disk_new();
    struct random_source random = dice_random(&w->dice);
    w->workspace = id_make("wrkspc_", &random);
    w->environment = id_make("env_", &random);
}

static void world_close(struct world *w)
{
    if (world_is_up(w))
        process_crash(w, false);
    clients_free(w);
    crew_free(w);
    agenda_release(&w->agenda);
    judge_free(w->judge);
    memory_disk_free(w->disk);
    table_release(&w->model_calls);
}

bool world_run(uint64_t seed, bool trace, struct tally *tally, char *failure, size_t room)
{
    struct world w = { .seed = seed, .trace = trace, .dice = { seed }, .tally = tally };
    world_open(&w);
    faults_choose(&w);
    w.judge = judge_new(&w);
    process_start(&w);
    clients_open(&w);
    crew_open(&w);
    process_spell(&w);
    run(&w, w.agenda.now + CHAOS, NULL);
    if (!w.failure[0])
        calm_down(&w);
    run(&w, w.agenda.now + REST, at_rest);
    if (!w.failure[0])
        judge_end(w.judge);
    snprintf(failure, room, "%s", w.failure);
    world_close(&w);
    return failure[0] == 0;
}
