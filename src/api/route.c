#include "api/route.h"

#include "api/handlers.h"

enum {
    A = CREDENTIAL_API,
    E = CREDENTIAL_ENVIRONMENT,
    T = CREDENTIAL_SESSIONS,
    ALL = A | E | T,
};

/* Rows with a fixed segment stand before those that take any name there. */
static const struct route rows[] = {
    { "GET", "/healthz", 0, TAKES_NOTHING, ROUTE_OPEN, health_alive },
    { "GET", "/readyz", 0, TAKES_NOTHING, ROUTE_OPEN, health_ready },
    { "GET", "/metrics", 0, TAKES_NOTHING, ROUTE_OPEN, health_metrics },

    { "POST", "/v1/agents", A, TAKES_OBJECT, ROUTE_CREATES, agents_create },
    { "GET", "/v1/agents", A, TAKES_NOTHING, 0, agents_list },
    { "GET", "/v1/agents/{agent_id}", A, TAKES_NOTHING, 0, agents_get },
    { "POST", "/v1/agents/{agent_id}", A, TAKES_OBJECT, 0, agents_update },
    { "POST", "/v1/agents/{agent_id}/archive", A, TAKES_NOTHING, 0, agents_archive },
    { "GET", "/v1/agents/{agent_id}/versions", A, TAKES_NOTHING, 0, agents_versions },

    { "POST", "/v1/environments", A, TAKES_OBJECT, ROUTE_CREATES, environments_create },
    { "GET", "/v1/environments", A, TAKES_NOTHING, 0, environments_list },
    { "GET", "/v1/environments/{environment_id}", ALL, TAKES_NOTHING, 0, environments_get },
    { "POST", "/v1/environments/{environment_id}", A, TAKES_OBJECT, 0, environments_update },
    { "DELETE", "/v1/environments/{environment_id}", A, TAKES_NOTHING, 0, environments_delete },
    { "POST", "/v1/environments/{environment_id}/archive", A, TAKES_NOTHING, 0,
      environments_archive },
    { "POST", "/v1/environments/{environment_id}/keys", A, MAY_TAKE_OBJECT, 0,
      environment_keys_create },
    { "GET", "/v1/environments/{environment_id}/keys", A, TAKES_NOTHING, 0, environment_keys_list },
    { "DELETE", "/v1/environments/{environment_id}/keys/{key_id}", A, TAKES_NOTHING, 0,
      environment_keys_revoke },

    { "GET", "/v1/environments/{environment_id}/work/poll", E, TAKES_NOTHING, 0, queue_poll },
    { "GET", "/v1/environments/{environment_id}/work/stats", A | E, TAKES_NOTHING, 0, queue_stats },
    { "POST", "/v1/environments/{environment_id}/work/healthcheck", A, TAKES_NOTHING, 0,
      queue_healthcheck },
    { "GET", "/v1/environments/{environment_id}/work", A | E, TAKES_NOTHING, 0, queue_list },
    { "GET", "/v1/environments/{environment_id}/work/{work_id}", A, TAKES_NOTHING, 0, queue_get },
    { "POST", "/v1/environments/{environment_id}/work/{work_id}", A, TAKES_OBJECT, 0,
      queue_update },
    { "POST", "/v1/environments/{environment_id}/work/{work_id}/ack", E | T, TAKES_NOTHING, 0,
      queue_ack },
    { "POST", "/v1/environments/{environment_id}/work/{work_id}/heartbeat", E | T, TAKES_NOTHING,
      ROUTE_LATE, queue_heartbeat },
    { "POST", "/v1/environments/{environment_id}/work/{work_id}/stop", ALL, MAY_TAKE_OBJECT, 0,
      queue_stop },
    { "POST", "/v1/environments/{environment_id}/work/{work_id}/nack", E | T, TAKES_OBJECT, 0,
      queue_nack },
    { "POST", "/v1/environments/{environment_id}/work/{work_id}/requeue", A, TAKES_NOTHING, 0,
      queue_requeue },
    { "POST", "/v1/environments/{environment_id}/work/{work_id}/calls", E | T, TAKES_OBJECT, 0,
      queue_calls },

    { "POST", "/v1/sessions", A, TAKES_OBJECT, ROUTE_CREATES, sessions_create },
    { "GET", "/v1/sessions", A, TAKES_NOTHING, 0, sessions_list },
    { "GET", "/v1/sessions/{session_id}", ALL, TAKES_NOTHING, 0, sessions_get },
    { "POST", "/v1/sessions/{session_id}", A, TAKES_OBJECT, 0, sessions_update },
    { "DELETE", "/v1/sessions/{session_id}", A, TAKES_NOTHING, 0, sessions_delete },
    { "POST", "/v1/sessions/{session_id}/archive", A, TAKES_NOTHING, 0, sessions_archive },
    { "GET", "/v1/sessions/{session_id}/events", ALL, TAKES_NOTHING, 0, events_list },
    { "POST", "/v1/sessions/{session_id}/events", ALL, TAKES_OBJECT, ROUTE_CREATES, events_send },
    { "GET", "/v1/sessions/{session_id}/events/stream", ALL, TAKES_NOTHING, 0, events_stream },
    { "GET", "/v1/sessions/{session_id}/resources", A, TAKES_NOTHING, 0, resources_list },
    { "POST", "/v1/sessions/{session_id}/resources", A, TAKES_OBJECT, 0, resources_add },
    { "GET", "/v1/sessions/{session_id}/resources/{resource_id}", A, TAKES_NOTHING, 0,
      resources_get },
    { "GET", "/v1/sessions/{session_id}/threads", ALL, TAKES_NOTHING, 0, threads_list },
    { "GET", "/v1/sessions/{session_id}/threads/{thread_id}", ALL, TAKES_NOTHING, 0, threads_get },
    { "POST", "/v1/sessions/{session_id}/threads/{thread_id}/archive", A, TAKES_NOTHING, 0,
      threads_archive },
    { "GET", "/v1/sessions/{session_id}/threads/{thread_id}/events", ALL, TAKES_NOTHING, 0,
      threads_events },
    { "GET", "/v1/sessions/{session_id}/threads/{thread_id}/stream", ALL, TAKES_NOTHING, 0,
      threads_stream },
    { "POST", "/v1/sessions/{session_id}/approvals", E | T, TAKES_OBJECT, 0, approvals_request },
    { "GET", "/v1/sessions/{session_id}/approvals", ALL, TAKES_NOTHING, 0, approvals_list },
    { "GET", "/v1/sessions/{session_id}/approvals/{approval_id}", ALL, TAKES_NOTHING, 0,
      approvals_get },
    { "POST", "/v1/sessions/{session_id}/approvals/{approval_id}", A, TAKES_OBJECT, 0,
      approvals_answer },
    { "POST", "/v1/sessions/{session_id}/wall", E | T, TAKES_LIST, 0, wall_report },
    { "GET", "/v1/sessions/{session_id}/wall", ALL, TAKES_NOTHING, 0, wall_get },

    { "POST", "/v1/api_keys", A, TAKES_OBJECT, 0, api_keys_create },
    { "GET", "/v1/api_keys", A, TAKES_NOTHING, 0, api_keys_list },
    { "DELETE", "/v1/api_keys/{key_id}", A, TAKES_NOTHING, 0, api_keys_revoke },
    { "GET", "/v1/models", A, TAKES_NOTHING, 0, models_list },
    { "GET", "/v1/models/{model_id}", A, TAKES_NOTHING, 0, models_get },
};
enum { COUNT = sizeof rows / sizeof *rows };

const struct route *route_at(size_t i)
{
    return i < COUNT ? &rows[i] : NULL;
}

bool route_fits(const char *pattern, const struct str *segments, size_t count)
{
    struct str rest = str_skip(str_of(pattern), 1), part = { 0 };
    size_t i = 0;
    for (; str_cut(&rest, '/', &part); i++) {
        if (i == count)
            return false;
        bool any = part.n && part.p[0] == '{';
        if (any ? segments[i].n == 0 : !str_eq(part, segments[i]))
            return false;
    }
    return i == count;
}

const struct route *route_find(const struct request *r, const struct route **other)
{
    *other = NULL;
    for (size_t i = 0; i < COUNT; i++) {
        if (!route_fits(rows[i].pattern, r->segments, r->segment_count))
            continue;
        if (str_eq(str_of(rows[i].method), r->method))
            return &rows[i];
        if (!*other)
            *other = &rows[i];
    }
    return NULL;
}

void route_methods(const struct request *r, struct buf *out)
{
    for (size_t i = 0; i < COUNT; i++)
        if (route_fits(rows[i].pattern, r->segments, r->segment_count))
            buf_addf(out, "%s%s", out->n ? ", " : "", rows[i].method);
}
