/* The web tools that the server runs itself, played by the dice. */
#include "base/mem.h"
#include "judge.h"
#include "world.h"

#include <stdlib.h>

struct web_call {
    struct world *w;
    bool cancelled;
    void (*done)(void *arg, struct str content, bool is_error);
    void *arg;
};

static void ended(void *arg)
{
    struct web_call *c = arg;
    struct web_call was = *c;
    free(c);
    if (was.cancelled)
        return;
    bool failed = !was.w->calm && dice_chance(&was.w->dice, was.w->faults.web);
    was.done(was.arg, STR("[{\"type\":\"text\",\"text\":\"a page\"}]"), failed);
}

static struct web_call *start(void *ctx, struct str tool, struct str input, struct str options,
                              void (*done)(void *arg, struct str content, bool is_error), void *arg)
{
    struct world *w = ctx;
    struct web_call *c = mem_get(sizeof *c);
    (void)tool, (void)input, (void)options;
    *c = (struct web_call){ w, false, done, arg };
    agenda_put(&w->agenda, w->agenda.now + dice_between(&w->dice, MILLISECOND, 15 * SECOND),
               (struct task){ .life = w->process, .run = ended, .drop = free, .arg = c });
    return c;
}

static void cancel(struct web_call *c)
{
    c->cancelled = true;
}

const struct web_tools *web_play(struct world *w)
{
    w->web = (struct web_tools){ .start = start, .cancel = cancel, .ctx = w };
    return &w->web;
}
