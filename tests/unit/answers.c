#include "answers.h"

#include "base/check.h"

static void note(struct answers *a, const char *kind)
{
    CHECK(a->done == 0);
    if (a->cancel_at && strcmp(a->cancel_at, kind) == 0) {
        a->ops->cancel(a->call);
        a->cancel_at = NULL;
        a->done = 1; /* nothing may come any more */
    }
}

static void on_thinking(void *ctx)
{
    struct answers *a = ctx;
    buf_add(&a->said, STR("thinking\n"));
    note(a, "thinking");
}

static void on_text(void *ctx, unsigned index, struct str part)
{
    struct answers *a = ctx;
    CHECK(part.n && str_is_utf8(part));
    buf_addf(&a->said, "text %u %.*s\n", index, STR_ARGS(part));
    note(a, "text");
}

static void on_block(void *ctx, unsigned index, const struct model_block *block)
{
    struct answers *a = ctx;
    if (block->kind == MODEL_TEXT)
        buf_addf(&a->said, "block %u text %.*s\n", index, STR_ARGS(block->text));
    else if (block->kind == MODEL_THINKING)
        buf_addf(&a->said, "block %u thinking %.*s\n", index, STR_ARGS(block->raw));
    else
        buf_addf(&a->said, "block %u call %.*s %.*s %.*s\n", index, STR_ARGS(block->tool_id),
                 STR_ARGS(block->tool), STR_ARGS(block->input));
    note(a, "block");
}

static void on_done(void *ctx, const struct model_outcome *o)
{
    static const char *const failures[] = {
        [MODEL_OK] = "",
        [MODEL_OVERLOADED] = "overloaded",
        [MODEL_RATE_LIMITED] = "rate limited",
        [MODEL_REQUEST_FAILED] = "failed",
        [MODEL_REQUEST_REFUSED] = "refused",
        [MODEL_BILLING] = "billing",
        [MODEL_CONTEXT_TOO_LONG] = "too long",
        [MODEL_UNKNOWN] = "unknown",
    };
    static const char *const stops[] = {
        [MODEL_STOP_END] = "end",       [MODEL_STOP_TOOLS] = "tools",
        [MODEL_STOP_LENGTH] = "length", [MODEL_STOP_REFUSAL] = "refusal",
        [MODEL_STOP_PAUSE] = "pause",
    };
    struct answers *a = ctx;
    CHECK(a->done == 0);
    a->done = 1;
    a->usage = o->usage;
    a->retry_after = o->retry_after;
    if (o->failure)
        buf_addf(&a->said, "failed %s: %.*s\n", failures[o->failure], STR_ARGS(o->message));
    else if (o->stop == MODEL_STOP_REFUSAL)
        buf_addf(&a->said, "done refusal %.*s: %.*s\n", STR_ARGS(o->category),
                 STR_ARGS(o->explanation));
    else
        buf_addf(&a->said, "done %s\n", stops[o->stop]);
    if (a->when_done)
        a->when_done(a->arg);
}

const struct model_events answers_events = { on_thinking, on_text, on_block, on_done };

void answers_release(struct answers *a)
{
    buf_release(&a->said);
}
