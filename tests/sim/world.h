/* world.h - a whole installation on a virtual clock: the real engine over the memory store, with
 * played models, tools, workers and clients, and with whatever can go wrong.
 *
 * Everything is decided by the dice, so a seed is a run. `judge` looks at the log after each step.
 */
#pragma once

#include "agenda.h"
#include "base/buf.h"
#include "base/table.h"
#include "chance.h"
#include "control/engine.h"
#include "store/memory.h"

#define MILLISECOND ((int64_t)1000)
#define SECOND ((int64_t)1000000)
#define MINUTE (60 * SECOND)

enum { SESSIONS_MAX = 4, WORKERS_MAX = 4 };

/* What was met, over all seeds: the last line of a run. */
struct tally {
    uint64_t steps, events, turns;
    uint64_t crashes, half_commits, parked, commit_failures;
    uint64_t requests, requests_lost, answers_lost, repeats;
    uint64_t model_requests, model_failures, summaries;
    uint64_t claims, leases_lost, worker_deaths, freezes, nacks, quick_ends, held;
    uint64_t calls, executions, executed_again, marks, unknown;
    uint64_t interrupts, confirmations, queued, budget_stops, readers_resumed;
};

/* How bad it gets in this run; permille. */
struct faults {
    unsigned crash;          /* per step */
    unsigned commit;         /* per spell: commits fail for some seconds */
    unsigned request, reply; /* a message is lost */
    unsigned model, web;     /* fails */
    unsigned worker;         /* per thing it does: dies, freezes */
};

struct judge;
struct client;
struct worker;
struct rpc;

struct world {
    uint64_t seed;
    bool trace;
    bool calm; /* nothing goes wrong any more; everything has to come to rest */
    struct dice dice;
    struct agenda agenda;
    struct faults faults;
    struct tally *tally;

    /* The server's process. */
    struct memory_disk *disk;
    struct life *process; /* NULL: down */
    struct store *store;
    struct engine *engine;
    struct model_set *models;
    struct web_tools web;
    bool parking;
    int64_t alarm, later_last;
    int64_t healthy_since; /* process up, disk writable; INT64_MAX: it is not */
    bool disk_broken;

    struct id workspace, environment;
    struct rpc *rpcs; /* those that the server has */
    unsigned tool_number;
    struct table model_calls; /* those in flight, by session */
    struct judge *judge;
    struct client *clients[SESSIONS_MAX];
    size_t client_count;
    struct worker *workers[WORKERS_MAX];
    size_t worker_count;

    char failure[600]; /* "" while all is well */
};

/* Notes the first violation; the run ends. */
__attribute__((format(printf, 2, 3))) void world_fail(struct world *w, const char *fmt, ...);

/* With --trace: one line, with the time. */
__attribute__((format(printf, 2, 3))) void world_note(struct world *w, const char *fmt, ...);

/* One seed from start to rest. False: w->failure says what was wrong. */
bool world_run(uint64_t seed, bool trace, struct tally *tally, char *failure, size_t room);

bool world_is_up(const struct world *w);

/* How long a message takes. */
int64_t world_latency(struct world *w);

/* --- process.c --- */

void process_start(struct world *w);
void process_crash(struct world *w, bool restart);
void process_park(struct world *w);  /* a graceful stop */
void process_spell(struct world *w); /* sooner or later the disk has a bad time */

/* --- model.c, web.c: what the server calls --- */

struct model_set *model_play(struct world *w);
void model_play_free(struct model_set *set);
const struct web_tools *web_play(struct world *w);
