/* Calls that the server carries out itself (contract 6.8). */
#include "control/engine-int.h"

#include <stdlib.h>

struct tool_run {
    struct tool_run *next;
    struct actor *a;
    struct id call;
    struct web_call *web;
};

struct tool_job {
    struct job job;
    struct id call;
    struct str content;
    bool is_error;
};

static void tool_told(struct batch *b, struct job *j)
{
    const struct tool_job *t = (struct tool_job *)j;
    const struct fact fact = {
        .type = FACT_TOOL_ENDED,
        .tool = { .call = t->call, .content = t->content, .is_error = t->is_error },
    };
    if (actor_load(b, &j->refusal) == 0)
        (void)batch_fact(b, &fact, &j->refusal); /* never refused */
}

static void run_forget(struct tool_run *run)
{
    for (struct tool_run **at = &run->a->runs; *at; at = &(*at)->next)
        if (*at == run) {
            *at = run->next;
            break;
        }
    free(run);
}

static void tell(struct actor *a, const struct id *call, struct str content, bool is_error)
{
    struct tool_job *t = job_new(sizeof *t, tool_told);
    t->call = *call;
    t->content = job_json(&t->job, content);
    t->is_error = is_error;
    actor_push(a, &t->job);
}

static void on_done(void *arg, struct str content, bool is_error)
{
    struct tool_run *run = arg;
    struct actor *a = run->a;
    const struct id call = run->call;
    run_forget(run);
    tell(a, &call, content, is_error);
}

void tool_run_start(struct actor *a, const struct effect *effect)
{
    const struct web_tools *web = a->g->parts.web;
    const struct tool *tool = catalogue_find(a->catalogue, effect->name);
    if (!web || !tool) {
        /* The process that offered it could run it; this one cannot. */
        tell(a, &effect->id,
             STR("[{\"type\":\"text\",\"text\":\"This tool is not available any more.\"}]"), true);
        return;
    }
    struct tool_run *run = mem_get(sizeof *run);
    *run = (struct tool_run){ .next = a->runs, .a = a, .call = effect->id };
    a->runs = run;
    run->web = web->start(web->ctx, effect->name, effect->input, tool->options, on_done, run);
}

void tool_run_cancel(struct actor *a, const struct id *call)
{
    for (struct tool_run *run = a->runs; run; run = run->next)
        if (id_eq(&run->call, call)) {
            a->g->parts.web->cancel(run->web);
            run_forget(run);
            return;
        }
}

void tool_runs_cancel(struct actor *a)
{
    while (a->runs) {
        a->g->parts.web->cancel(a->runs->web);
        run_forget(a->runs);
    }
}
