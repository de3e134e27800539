/* What becomes of a model request: its answer, its failure, its end in the middle (API contract 3.4,
 * 3.6, 3.11, 8). */
#include "core/retry.h"
#include "core/session-int.h"

enum { FULL_PERCENT = 80 /* of the context window: room for one more round of results */ };

static uint64_t context_used(const struct usage *u)
{
    return u->input_tokens + u->output_tokens + u->cache_read_input_tokens +
           u->cache_creation_5m_input_tokens + u->cache_creation_1h_input_tokens;
}

static bool nearly_full(const struct deciding *x, const struct usage *u)
{
    uint64_t window = x->rules->context_window;
    return window && context_used(u) >= window / 100 * FULL_PERCENT;
}

static void request_end(struct deciding *x, const struct usage *usage, bool is_error,
                        bool compaction)
{
    say(x, (struct event){ .type = EVENT_MODEL_REQUEST_END,
                           .about = x->s->request,
                           .is_error = is_error,
                           .usage = *usage,
                           .compaction = compaction });
}

void model_cut(struct deciding *x, const struct usage *usage, bool compaction)
{
    request_end(x, usage, true, compaction);
}

bool model_interrupt(struct deciding *x)
{
    struct event input;
    bool any = false;
    for (; queue_take(x, EVENT_USER_INTERRUPT, &input); any = true)
        turn_interrupt(x, &input);
    return any;
}

/* --- failures --- */

static const struct {
    enum session_error error;
    bool again;
} failures[] = {
    [MODEL_OK] = { ERROR_UNKNOWN, false },
    [MODEL_OVERLOADED] = { ERROR_MODEL_OVERLOADED, true },
    [MODEL_RATE_LIMITED] = { ERROR_MODEL_RATE_LIMITED, true },
    [MODEL_REQUEST_FAILED] = { ERROR_MODEL_REQUEST_FAILED, true },
    [MODEL_REQUEST_REFUSED] = { ERROR_MODEL_REQUEST_FAILED, false },
    [MODEL_BILLING] = { ERROR_BILLING, false },
    [MODEL_CONTEXT_TOO_LONG] = { ERROR_COMPACTION_LIMIT, false },
    [MODEL_UNKNOWN] = { ERROR_MODEL_REQUEST_FAILED, false },
};

/* The request in flight has come to nothing. */
static void request_failed(struct deciding *x, enum model_failure failure, struct str message,
                           int64_t retry_after, const struct usage *usage)
{
    struct session *s = x->s;
    bool summary = s->request_compacts;
    bool too_long = failure == MODEL_CONTEXT_TOO_LONG && !summary;
    model_cut(x, usage, s->compaction_due || summary || too_long);
    if (model_interrupt(x) || too_long)
        return; /* settling asks for a summary, or finds the limit of them */
    unsigned attempt = s->attempts + 1;
    if (!failures[failure].again || attempt >= x->rules->max_retries) {
        turn_fail(x, failures[failure].error, message);
        return;
    }
    int64_t until = x->now + retry_model_delay(attempt, retry_after, x->random);
    say(x, (struct event){ .type = EVENT_SESSION_ERROR,
                           .error = failures[failure].error,
                           .retry = RETRY_RETRYING,
                           .text = message });
    say(x, (struct event){ .type = EVENT_INTERNAL_RETRY, .until = until, .attempt = attempt });
    say(x, (struct event){ .type = EVENT_THREAD_STATUS_RESCHEDULED });
    say(x, (struct event){ .type = EVENT_SESSION_STATUS_RESCHEDULED });
}

void model_failed(struct deciding *x, const struct fact *fact)
{
    if (id_is_none(&x->s->request) || !id_eq(&fact->failure.request, &x->s->request))
        return;
    request_failed(x, fact->failure.failure, fact->failure.message, fact->failure.retry_after,
                   &fact->failure.usage);
}

/* --- answers --- */

static void say_text(struct deciding *x, const struct fact *fact)
{
    if (fact->answer.thinking_blocks.n)
        say(x, (struct event){ .type = EVENT_AGENT_THINKING,
                               .id = fact->answer.thinking,
                               .replay = fact->answer.thinking_blocks });
    if (fact->answer.content.n)
        say(x, (struct event){ .type = EVENT_AGENT_MESSAGE,
                               .id = fact->answer.message,
                               .content = fact->answer.content });
}

static void say_call(struct deciding *x, const struct answer_call *c)
{
    struct judgement j = policy_judge(&c->grant);
    say(x, (struct event){ .type = c->type,
                           .name = c->name,
                           .server = c->server,
                           .input = c->input,
                           .permission = j.permission,
                           .policy = j.policy,
                           .reason = j.reason,
                           .owner = c->owner,
                           .repeat = c->repeat,
                           .model_id = c->model_id,
                           .arguments = c->arguments });
}

/* Refusals are answered at once; what the server runs itself is begun (3.4, 4). The calls of this
 * answer are the last ones in the list. */
static void begin_calls(struct deciding *x, size_t count)
{
    struct session *s = x->s;
    for (size_t i = s->call_count - count; i < s->call_count; i++) {
        const struct call *c = &s->calls[i];
        struct id id = c->id;
        if (c->permission == PERMISSION_DENY)
            call_close(x, &id, STR("There is no such tool in this session, or it is disabled."));
        else if (c->state == CALL_RUNS)
            want(x, (struct effect){
                        .type = EFFECT_TOOL_RUN, .id = id, .name = c->name, .input = c->input });
    }
}

static void summarised(struct deciding *x, const struct fact *fact)
{
    if (fact->answer.summary.n == 0) {
        request_failed(x, MODEL_REQUEST_FAILED, STR("the model gave no summary of the context"), 0,
                       &fact->answer.usage);
        return;
    }
    say(x, (struct event){ .type = EVENT_AGENT_CONTEXT_COMPACTED, .text = fact->answer.summary });
    request_end(x, &fact->answer.usage, false, false);
}

void model_answered(struct deciding *x, const struct fact *fact)
{
    struct session *s = x->s;
    if (id_is_none(&s->request) || !id_eq(&fact->answer.request, &s->request))
        return;
    if (interrupt_waits(s)) {
        model_aborted(x, fact);
        return;
    }
    if (s->request_compacts) {
        summarised(x, fact);
        return;
    }
    bool refusal = fact->answer.stop == MODEL_STOP_REFUSAL;
    size_t calls = refusal ? 0 : fact->answer.call_count;
    say_text(x, fact);
    for (size_t i = 0; i < calls; i++)
        say_call(x, &fact->answer.calls[i]);
    request_end(x, &fact->answer.usage, false, nearly_full(x, &fact->answer.usage));
    begin_calls(x, calls);
    if (refusal)
        turn_idle(x, STOP_REFUSAL, fact->answer.category, fact->answer.explanation);
    else if (calls == 0 && fact->answer.stop != MODEL_STOP_PAUSE)
        turn_idle(x, STOP_END_TURN, (struct str){ 0 }, (struct str){ 0 });
}

void model_aborted(struct deciding *x, const struct fact *fact)
{
    struct session *s = x->s;
    if (id_is_none(&s->request) || !id_eq(&fact->answer.request, &s->request))
        return;
    bool summary = s->request_compacts;
    if (!summary && fact->answer.content.n)
        say_text(x, fact);
    model_cut(x, &fact->answer.usage, s->compaction_due || summary);
    model_interrupt(x);
}
