#include "egress/permission.h"

#include "base/mem.h"

#include <stdlib.h>

/* Who answers keeps the deadline (120 s by default); this only ends a question that it forgot. */
enum { BACKSTOP_MS = 600 * 1000, REASON_MAX = 500 };

struct question {
    struct egress_sandbox *sandbox;
    struct question *next;
    uint64_t id;
    struct host host;
    uint16_t port;
    struct timer *timer;
    struct permission *waiting;
};

/* One asker. */
struct permission {
    struct question *question;
    struct permission *next;
    const struct want *want;
    permission_done *done;
    void *ctx;
};

static void question_free(struct question *q)
{
    struct question **link = &q->sandbox->questions;
    while (*link != q)
        link = &(*link)->next;
    *link = q->next;
    timer_free(q->timer);
    free(q);
}

/* Takes the question off the list and tells everybody who waits. */
static void settle(struct question *q, bool allow, const char *rule, const char *reason)
{
    struct egress_sandbox *s = q->sandbox;
    struct permission *at = q->waiting;
    q->waiting = NULL;
    question_free(q);
    while (at) {
        struct permission *p = at;
        at = p->next;
        bool recorded = egress_report(s, p->want, !allow, rule, allow ? NULL : reason, NULL);
        p->done(p->ctx, allow && recorded, allow ? "the decision could not be recorded" : reason);
        free(p);
    }
}

static void on_backstop(void *ctx)
{
    struct question *q = ctx;
    q->sandbox->hooks.cancel(q->sandbox->hooks.ctx, q->id);
    settle(q, false, NULL, "permission prompt failed");
}

static struct question *find_question(struct egress_sandbox *s, const struct want *want)
{
    for (struct question *q = s->questions; q; q = q->next)
        if (q->port == want->port && strcmp(q->host.text, want->host.text) == 0)
            return q;
    return NULL;
}

static struct question *ask(struct egress_sandbox *s, const struct want *want)
{
    struct question *q = mem_get(sizeof *q);
    q->sandbox = s;
    q->id = ++s->last_question;
    q->host = want->host;
    q->port = want->port;
    q->timer = timer_new(s->egress->loop, on_backstop, q);
    timer_start(q->timer, BACKSTOP_MS);
    q->next = s->questions;
    s->questions = q;
    struct egress_question question = { q->id,      want->method,      want->host.text,
                                        want->port, want->client_port, want->user };
    s->hooks.ask(s->hooks.ctx, &question);
    return q;
}

enum egress_decision permission_get(struct egress_sandbox *s, const struct want *want,
                                    const char **reason, struct permission **waiting,
                                    permission_done *done, void *ctx)
{
    struct egress_verdict verdict =
        egress_policy_judge(&s->policy, &want->host, want->port, s->can_ask);
    *reason = verdict.reason ? verdict.reason : "denied";
    if (verdict.decision != EGRESS_ASK) {
        bool denied = verdict.decision == EGRESS_DENY;
        if (egress_report(s, want, denied, verdict.rule, denied ? *reason : NULL, NULL))
            return verdict.decision;
        *reason = "the decision could not be recorded";
        return EGRESS_DENY;
    }
    struct permission *p = mem_get(sizeof *p);
    p->want = want;
    p->done = done;
    p->ctx = ctx;
    p->question = find_question(s, want);
    if (!p->question)
        p->question = ask(s, want);
    p->next = p->question->waiting;
    p->question->waiting = p;
    *waiting = p;
    return EGRESS_ASK;
}

void permission_cancel(struct permission *p)
{
    if (!p)
        return;
    struct question *q = p->question;
    struct permission **link = &q->waiting;
    while (*link && *link != p)
        link = &(*link)->next;
    if (!*link)
        return;
    *link = p->next;
    free(p);
    if (q->waiting)
        return;
    q->sandbox->hooks.cancel(q->sandbox->hooks.ctx, q->id);
    question_free(q);
}

void permission_answer(struct egress_sandbox *s, uint64_t id, bool allow, struct str reason)
{
    for (struct question *q = s->questions; q; q = q->next) {
        if (q->id != id)
            continue;
        if (reason.n > REASON_MAX)
            reason.n = REASON_MAX;
        AUTO_FREE char *text = str_dup(reason.n ? reason : STR("user denied"));
        settle(q, allow, NULL, text);
        return;
    }
}

void permission_rejudge(struct egress_sandbox *s)
{
    for (struct question *q = s->questions, *next; q; q = next) {
        next = q->next;
        struct egress_verdict verdict =
            egress_policy_judge(&s->policy, &q->host, q->port, s->can_ask);
        if (verdict.decision == EGRESS_ASK)
            continue;
        s->hooks.cancel(s->hooks.ctx, q->id);
        settle(q, verdict.decision == EGRESS_ALLOW, verdict.rule, verdict.reason);
    }
}
