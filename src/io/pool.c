#include "io/pool.h"

#include "base/check.h"
#include "base/mem.h"
#include "io/loop-int.h"

#include <stdlib.h>

struct job {
    uv_work_t uv; /* first: the callbacks get this pointer back */
    struct loop *loop;
    void (*work)(void *ctx);
    void (*done)(void *ctx);
    void *ctx;
};

static void on_thread(uv_work_t *uv)
{
    struct job *j = (struct job *)uv;
    j->work(j->ctx);
}

static void on_end(uv_work_t *uv, int status)
{
    struct job *j = (struct job *)uv;
    (void)status; /* nobody cancels */
    *loop_lookups(j->loop) -= 1;
    j->done(j->ctx);
    free(j);
}

void pool_run(struct loop *l, void (*work)(void *ctx), void (*done)(void *ctx), void *ctx)
{
    struct job *j = mem_get(sizeof *j);
    *j = (struct job){ .loop = l, .work = work, .done = done, .ctx = ctx };
    CHECK(uv_queue_work(loop_uv(l), &j->uv, on_thread, on_end) == 0);
    *loop_lookups(l) += 1;
}
