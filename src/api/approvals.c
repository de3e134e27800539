/* approvals.c - questions of a sandbox to a person (contract 13). */
#include "api/api-int.h"
#include "api/errand.h"
#include "api/handlers.h"
#include "base/moment.h"
#include "proto/json_write.h"
#include "proto/schema.h"

enum { WAIT_MS_MAX = 30000, REQUEST_BYTES = 64 << 10 };

/* What is asked (sandbox contract 8); its further members are carried. */
static const char *const kinds[] = { "network", "file-read", "file-write", "unix-socket",
                                     "request", "limit",     NULL };
static const struct schema_row request_rows[] = {
    { "kind", SCHEMA_WORD, SCHEMA_REQUIRED, .words = kinds },
};
static const struct schema_table request_table = { ROWS(request_rows) };

void approvals_request(struct errand *x)
{
    AUTO_PROBLEMS problems = { 0 };
    struct record session;
    AUTO_BUF request = { 0 };
    if (!schema_check(x->body, &request_table, &problems)) {
        errand_fail_problems(x, &problems, NULL);
        return;
    }
    if (errand_session(x, &session) < 0)
        return;
    json_write_value(&request, x->body);
    if (request.n > REQUEST_BYTES) {
        errand_fail(x, 413, NULL, "a request for approval has at most %d bytes", REQUEST_BYTES);
        return;
    }
    struct id id = session.id;
    engine_approval_request(x->api->parts.engine, &x->asker, &id, buf_str(&request), errand_engine,
                            x);
}

void approvals_list(struct errand *x)
{
    struct record session;
    struct id none = { 0 };
    if (errand_session(x, &session) < 0)
        return;
    struct id id = session.id;
    engine_approval_get(x->api->parts.engine, &x->asker, &id, &none, 0, errand_engine, x);
}

void approvals_get(struct errand *x)
{
    struct record session;
    int64_t wait_ms = 0;
    struct id approval = errand_id(x, 4);
    if (errand_integer(x, "wait_ms", 0, WAIT_MS_MAX, &wait_ms) < 0 ||
        errand_session(x, &session) < 0)
        return;
    if (id_is_none(&approval)) {
        errand_fail(x, 404, NULL, "there is no such approval");
        return;
    }
    struct id id = session.id;
    engine_approval_get(x->api->parts.engine, &x->asker, &id, &approval, wait_ms * 1000,
                        errand_engine, x);
}

static const char *moment_refuses(struct str text)
{
    int64_t moment;
    return moment_read(text, &moment) ? NULL : "must be a time like 2026-11-25T02:13:07Z";
}

static const char *const scopes[] = { "once", "run", "project", NULL };
static const struct schema_row rows[] = {
    { "allow", SCHEMA_BOOL, SCHEMA_REQUIRED },
    { "scope", SCHEMA_WORD, SCHEMA_NULLABLE, .words = scopes },
    { "reason", SCHEMA_STRING, SCHEMA_NULLABLE, .max = 2000 },
    { "expires_at", SCHEMA_STRING, SCHEMA_NULLABLE, .refuses = moment_refuses },
};
static const struct schema_table table = { ROWS(rows) };

void approvals_answer(struct errand *x)
{
    AUTO_PROBLEMS problems = { 0 };
    struct record session;
    struct approval_verdict verdict = { .scope = STR("once") };
    struct str expires = { 0 };
    struct id approval = errand_id(x, 4);
    if (!schema_check(x->body, &table, &problems)) {
        errand_fail_problems(x, &problems, NULL);
        return;
    }
    if (errand_session(x, &session) < 0)
        return;
    json_to_bool(json_get(x->body, "allow"), &verdict.allow);
    json_to_str(json_get(x->body, "scope"), &verdict.scope);
    json_to_str(json_get(x->body, "reason"), &verdict.reason);
    if (json_to_str(json_get(x->body, "expires_at"), &expires))
        moment_read(expires, &verdict.expires_at);
    struct id id = session.id;
    engine_approval_answer(x->api->parts.engine, &x->asker, &id, &approval, &verdict, errand_engine,
                           x);
}
