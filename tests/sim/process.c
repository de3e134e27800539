/* The server's process: it starts, dies at any step, stops with grace, and its disk has bad times. */
#include "base/check.h"
#include "client.h"
#include "control/engine-int.h"
#include "rpc.h"
#include "world.h"

#include <stdlib.h>

static int64_t clock_read(void *ctx)
{
    return ((struct world *)ctx)->agenda.now;
}

/* In order, as both the loop and the store's thread promise. */
static void later(void *ctx, void (*fn)(void *arg), void *arg)
{
    struct world *w = ctx;
    int64_t at = w->agenda.now + dice_between(&w->dice, 0, 3 * MILLISECOND);
    if (at < w->later_last)
        at = w->later_last;
    w->later_last = at;
    agenda_put(&w->agenda, at, (struct task){ .life = w->process, .run = fn, .arg = arg });
}

static void alarm_rings(void *arg)
{
    struct world *w = arg;
    if (w->agenda.now < w->alarm)
        return; /* it was set anew */
    w->alarm = INT64_MAX;
    engine_wake(w->engine);
}

static void wake_at(void *ctx, int64_t when)
{
    struct world *w = ctx;
    w->alarm = when;
    if (when != INT64_MAX)
        agenda_put(&w->agenda, when + dice_between(&w->dice, 0, 2 * MILLISECOND),
                   (struct task){ .life = w->process, .run = alarm_rings, .arg = w });
}

static void start_again(void *arg)
{
    struct world *w = arg;
    if (!world_is_up(w))
        process_start(w);
}

static void restart_later(struct world *w)
{
    agenda_put(&w->agenda, w->agenda.now + dice_between(&w->dice, 100 * MILLISECOND, 20 * SECOND),
               (struct task){ .run = start_again, .arg = w });
}

void process_start(struct world *w)
{
    struct engine_settings settings = engine_settings_default;
    struct err e = { 0 };
    w->process = mem_get(sizeof *w->process);
    w->alarm = INT64_MAX;
    w->parking = false;
    w->store = memory_store_new(w->disk, later, w);
    w->models = model_play(w);
    const struct engine_parts parts = {
        .store = w->store,
        .models = w->models,
        .clock = { clock_read, w },
        .random = dice_random(&w->dice),
        .later = later,
        .wake_at = wake_at,
        .web = web_play(w),
        .ctx = w,
    };
    settings.max_attempts = 3;
    settings.max_rounds = 12;
    world_note(w, "process starts");
    if (engine_new(&parts, &settings, &w->engine, &e) < 0)
        world_fail(w, "the engine does not start: %s", e.text);
    w->healthy_since = w->disk_broken ? INT64_MAX : w->agenda.now;
}

static void forget(struct world *w)
{
    readers_forget(w);
    engine_free(w->engine);
    w->engine = NULL;
    w->store->ops->free(w->store);
    w->store = NULL;
    model_play_free(w->models);
    w->process->over = true;
    agenda_purge(&w->agenda);
    free(w->process);
    w->process = NULL;
    w->healthy_since = INT64_MAX;
    rpcs_cut(w);
}

void process_crash(struct world *w, bool restart)
{
    w->tally->crashes += restart;
    w->tally->half_commits += restart && w->engine->writing > 0;
    world_note(w, "process dies");
    forget(w);
    if (restart)
        restart_later(w);
}

static void stopped(void *ctx)
{
    struct world *w = ctx;
    world_note(w, "process has stopped");
    forget(w);
    restart_later(w);
}

/* engine_stop answers from the loop; the process ends behind that call. */
static void stopped_later(void *ctx)
{
    struct world *w = ctx;
    agenda_put(&w->agenda, w->agenda.now,
               (struct task){ .life = w->process, .run = stopped, .arg = w });
}

void process_park(struct world *w)
{
    if (w->parking || w->disk_broken)
        return;
    w->parking = true;
    w->tally->parked++;
    world_note(w, "process stops");
    engine_stop(w->engine, stopped_later, w);
}

/* --- the disk --- */

static void spell_ends(void *arg)
{
    struct world *w = arg;
    if (!w->disk_broken)
        return;
    world_note(w, "disk mended");
    memory_disk_break(w->disk, false);
    w->disk_broken = false;
    if (world_is_up(w))
        w->healthy_since = w->agenda.now;
}

static void spell_begins(void *arg)
{
    struct world *w = arg;
    if (w->calm)
        return;
    if (dice_chance(&w->dice, w->faults.commit)) {
        world_note(w, "disk broken");
        w->tally->commit_failures++;
        memory_disk_break(w->disk, true);
        w->disk_broken = true;
        w->healthy_since = INT64_MAX;
        agenda_put(&w->agenda, w->agenda.now + dice_between(&w->dice, MILLISECOND, 5 * SECOND),
                   (struct task){ .run = spell_ends, .arg = w });
    }
    process_spell(w);
}

void process_spell(struct world *w)
{
    agenda_put(&w->agenda, w->agenda.now + dice_between(&w->dice, SECOND, 40 * SECOND),
               (struct task){ .run = spell_begins, .arg = w });
}
