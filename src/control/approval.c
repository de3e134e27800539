/* Questions of a sandbox to a person (contract 13). They live in the session's log: one event asks,
 * one event is the outcome; who waits for it is known only here. */
#include "control/engine-int.h"

#include "base/moment.h"
#include "control/event_json.h"
#include "control/scalar.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

#include <stdlib.h>

enum { APPROVALS_MAX = 1000 };
#define APPROVAL_TIME INT64_C(120000000)

enum approval_status { APPROVAL_PENDING, APPROVAL_ALLOWED, APPROVAL_DENIED, APPROVAL_EXPIRED };
static const char *const status_names[] = { "pending", "allowed", "denied", "expired", NULL };

struct approval {
    struct approval *next; /* in the order in which they were asked */
    struct id id;
    enum approval_status status;
    int64_t expires_at;
    char *request, *answer; /* owned JSON text; answer NULL: none */
};

/* A GET that waits. */
struct approval_wait {
    struct approval_wait *next;
    struct actor *a;
    struct id approval;
    struct alarm deadline;
    engine_answer *answer;
    void *ctx;
};

static void approval_show(const struct approval *p, struct buf *out)
{
    json_write_object(out);
    json_member_str(out, "id", id_str(&p->id));
    json_member_text(out, "type", "approval");
    json_member_text(out, "status", status_names[p->status]);
    json_write_key(out, STR("request"));
    json_write_raw(out, str_of(p->request));
    json_write_key(out, STR("answer"));
    json_write_raw(out, str_of(p->answer ? p->answer : "null"));
    moment_member(out, "expires_at", p->expires_at);
    json_write_object_end(out);
}

static struct approval *approval_find(const struct actor *a, const struct id *id)
{
    for (struct approval *p = a->approvals; p; p = p->next)
        if (id_eq(&p->id, id))
            return p;
    return NULL;
}

static struct approval *approval_add(struct actor *a, const struct id *id)
{
    struct approval **at = &a->approvals;
    while (*at)
        at = &(*at)->next;
    *at = mem_get(sizeof **at);
    (*at)->id = *id;
    return *at;
}

static void text_replace(char **text, struct str by)
{
    free(*text);
    *text = str_eq(by, STR("null")) ? NULL : str_dup(by);
}

/* Takes over what an event says of an approval. False: it says nothing that can be understood. */
bool approvals_apply(struct actor *a, const struct event *event)
{
    AUTO_BUF object = { 0 };
    AUTO_ARENA arena;
    struct id id;
    struct str text;
    int64_t expires_at;
    arena_init(&arena, 4096);
    buf_addf(&object, "{%.*s}", STR_ARGS(event->members));
    struct str approval = json_slice_get(buf_str(&object), "approval");
    struct str request = json_slice_get(approval, "request");
    struct str answer = json_slice_get(approval, "answer");
    if (!json_slice_str(json_slice_get(approval, "id"), &text, &arena) || !id_read(text, &id) ||
        !json_slice_str(json_slice_get(approval, "expires_at"), &text, &arena) ||
        !moment_read(text, &expires_at) || request.n == 0 || answer.n == 0 ||
        !json_slice_str(json_slice_get(approval, "status"), &text, &arena))
        return false;
    struct approval *p = approval_find(a, &id);
    if (!p)
        p = approval_add(a, &id);
    for (unsigned i = 0; status_names[i]; i++)
        if (str_eq(text, str_of(status_names[i])))
            p->status = (enum approval_status)i;
    p->expires_at = expires_at;
    text_replace(&p->request, request);
    text_replace(&p->answer, answer);
    return true;
}

int64_t approvals_deadline(const struct actor *a)
{
    int64_t deadline = INT64_MAX;
    for (const struct approval *p = a->approvals; p; p = p->next)
        if (p->status == APPROVAL_PENDING && p->expires_at < deadline)
            deadline = p->expires_at;
    return deadline;
}

static void approval_say(struct batch *b, enum event_type type, const struct approval *p)
{
    AUTO_BUF members = { 0 };
    json_write_key(&members, STR("approval"));
    approval_show(p, &members);
    struct event event = { .type = type, .members = buf_str(&members) };
    batch_event(b, &event);
}

void approvals_expire(struct batch *b)
{
    for (struct approval *p = b->a->approvals; p; p = p->next)
        if (p->status == APPROVAL_PENDING && p->expires_at <= b->now) {
            p->status = APPROVAL_EXPIRED;
            approval_say(b, EVENT_POSTERN_APPROVAL_RESOLVED, p);
        }
}

/* --- waiting --- */

static void wait_free(struct approval_wait *w)
{
    for (struct approval_wait **at = &w->a->approval_waits; *at; at = &(*at)->next)
        if (*at == w) {
            *at = w->next;
            break;
        }
    alarms_drop(&w->a->g->alarms, &w->deadline);
    free(w);
}

static void wait_end(struct approval_wait *w, const struct refusal *refusal)
{
    const struct approval *p = approval_find(w->a, &w->approval);
    engine_answer *answer = w->answer;
    void *ctx = w->ctx;
    AUTO_BUF json = { 0 };
    if (p)
        approval_show(p, &json);
    wait_free(w);
    answer(ctx, refusal, buf_str(&json));
}

static void wait_over(struct alarm *t, void *ctx)
{
    struct approval_wait *w = ctx;
    struct actor *a = w->a;
    const struct refusal none = { 0 };
    wait_end(w, &none);
    if (!a->writing && !a->first)
        actor_settle(a); /* it may rest now */
}

void approvals_tell(struct actor *a)
{
    const struct refusal none = { 0 };
    for (struct approval_wait *w = a->approval_waits, *next; w; w = next) {
        const struct approval *p = approval_find(a, &w->approval);
        next = w->next;
        if (p && p->status != APPROVAL_PENDING)
            wait_end(w, &none);
    }
}

void approvals_free(struct actor *a)
{
    while (a->approvals) {
        struct approval *p = a->approvals;
        a->approvals = p->next;
        free(p->request);
        free(p->answer);
        free(p);
    }
}

void approval_waits_refuse(struct actor *a)
{
    struct refusal refusal = { 0 };
    refusal_set(&refusal, 529, NULL, "the session has to be read again; try again");
    refusal.type = "overloaded_error";
    while (a->approval_waits)
        wait_end(a->approval_waits, &refusal);
}

void approval_waits_free(struct actor *a)
{
    while (a->approval_waits)
        wait_free(a->approval_waits);
}

/* --- what the API asks --- */

struct approval_job {
    struct job job;
    struct str request;
    struct id approval;
    struct approval_verdict verdict; /* copied */
    int64_t wait;
};

static void request(struct batch *b, struct job *j)
{
    const struct approval_job *q = (struct approval_job *)j;
    size_t count = 0;
    if (actor_load_for(b, &j->asker, &j->refusal) < 0)
        return;
    for (const struct approval *p = b->a->approvals; p; p = p->next)
        count++;
    if (b->a->s->status == SESSION_TERMINATED) {
        refusal_set(&j->refusal, 400, NULL, "the session is terminated");
        return;
    }
    if (count >= APPROVALS_MAX) {
        refusal_set(&j->refusal, 429, NULL, "this session has asked for %d approvals",
                    APPROVALS_MAX);
        return;
    }
    const struct id id = id_make("appr_", &b->g->parts.random);
    struct approval *p = approval_add(b->a, &id);
    p->expires_at = b->now + APPROVAL_TIME;
    p->request = str_dup(q->request);
    approval_say(b, EVENT_POSTERN_APPROVAL_REQUESTED, p);
    approval_show(p, &j->json);
}

void engine_approval_request(struct engine *g, const struct asker *asker, const struct id *session,
                             struct str text, engine_answer *answer, void *ctx)
{
    struct approval_job *q = job_new(sizeof *q, request);
    job_answer_to(&q->job, asker, answer, ctx);
    q->request = job_json(&q->job, text);
    actor_push(actor_of(g, session), &q->job);
}

static void verdict_write(struct buf *out, const struct approval_verdict *v)
{
    json_write_object(out);
    json_member_bool(out, "allow", v->allow);
    json_member_str(out, "scope", v->scope);
    json_write_key(out, STR("reason"));
    if (v->reason.n)
        json_write_str(out, v->reason);
    else
        json_write_null(out);
    moment_member(out, "expires_at", v->expires_at);
    json_write_object_end(out);
}

static void verdict(struct batch *b, struct job *j)
{
    const struct approval_job *q = (struct approval_job *)j;
    AUTO_BUF given = { 0 };
    if (actor_load_for(b, &j->asker, &j->refusal) < 0)
        return;
    struct approval *p = approval_find(b->a, &q->approval);
    if (!p) {
        refusal_set(&j->refusal, 404, NULL, "approval %s does not exist", q->approval.text);
        return;
    }
    verdict_write(&given, &q->verdict);
    if (p->answer && !str_eq(str_of(p->answer), buf_str(&given))) {
        refusal_set(&j->refusal, 409, NULL, "the approval has been answered already");
        return;
    }
    if (!p->answer) {
        p->status = q->verdict.allow ? APPROVAL_ALLOWED : APPROVAL_DENIED;
        p->answer = str_dup(buf_str(&given));
        approval_say(b, EVENT_POSTERN_APPROVAL_RESOLVED, p);
    }
    approval_show(p, &j->json);
}

void engine_approval_answer(struct engine *g, const struct asker *asker, const struct id *session,
                            const struct id *approval, const struct approval_verdict *given,
                            engine_answer *answer, void *ctx)
{
    struct approval_job *q = job_new(sizeof *q, verdict);
    job_answer_to(&q->job, asker, answer, ctx);
    q->approval = *approval;
    q->verdict = *given;
    q->verdict.scope = job_text(&q->job, given->scope);
    q->verdict.reason = job_text(&q->job, given->reason);
    actor_push(actor_of(g, session), &q->job);
}

static void list_show(const struct actor *a, struct buf *out)
{
    json_write_object(out);
    json_write_key(out, STR("data"));
    json_write_array(out);
    for (const struct approval *p = a->approvals; p; p = p->next)
        approval_show(p, out);
    json_write_array_end(out);
    json_write_object_end(out);
}

/* The answer is the waiter's from now on. */
static void wait_begin(struct actor *a, struct job *j, const struct approval_job *q, int64_t now)
{
    struct approval_wait *w = mem_get(sizeof *w);
    *w = (struct approval_wait){ .next = a->approval_waits,
                                 .a = a,
                                 .approval = q->approval,
                                 .deadline = { .fire = wait_over, .ctx = w },
                                 .answer = j->answer,
                                 .ctx = j->ctx };
    a->approval_waits = w;
    j->answer = NULL;
    engine_alarm(a->g, &w->deadline, now + q->wait);
}

static void get(struct batch *b, struct job *j)
{
    const struct approval_job *q = (struct approval_job *)j;
    if (actor_load_for(b, &j->asker, &j->refusal) < 0)
        return;
    if (id_is_none(&q->approval)) {
        list_show(b->a, &j->json);
        return;
    }
    const struct approval *p = approval_find(b->a, &q->approval);
    if (!p)
        refusal_set(&j->refusal, 404, NULL, "approval %s does not exist", q->approval.text);
    else if (p->status == APPROVAL_PENDING && q->wait > 0 && !b->g->stopping)
        wait_begin(b->a, j, q, b->now);
    else
        approval_show(p, &j->json);
}

void engine_approval_get(struct engine *g, const struct asker *asker, const struct id *session,
                         const struct id *approval, int64_t wait, engine_answer *answer, void *ctx)
{
    struct approval_job *q = job_new(sizeof *q, get);
    job_answer_to(&q->job, asker, answer, ctx);
    q->approval = *approval;
    q->wait = wait;
    actor_push(actor_of(g, session), &q->job);
}
