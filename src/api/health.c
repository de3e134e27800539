/* health.c - is it alive, can it serve, and what has it done: /healthz, /readyz, /metrics. */
#include "api/api-int.h"
#include "api/errand.h"
#include "api/handlers.h"
#include "proto/json_write.h"

#include <arpa/inet.h>

void health_alive(struct errand *x)
{
    errand_answer(x, STR("{\"status\":\"ok\"}"));
}

/* Whom we tell details of the store: the machine itself, and who holds an API key. */
static bool is_trusted(const struct errand *x)
{
    const struct socket_address *peer = &x->request->peer;
    struct asker ignored;
    bool read_only;
    if (peer->sa.sa_family == AF_UNIX ||
        (peer->sa.sa_family == AF_INET && ntohl(peer->v4.sin_addr.s_addr) >> 24 == 127) ||
        (peer->sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&peer->v6.sin6_addr)))
        return true;
    return credentials_find(x->api->parts.credentials, credential_of_request(x->request), &ignored,
                            &read_only) &&
           ignored.kind == ASKER_API_KEY;
}

static void add_reason(struct buf *reasons, const char *part, const char *text)
{
    json_write_object(reasons);
    json_member_text(reasons, "part", part);
    json_member_text(reasons, "reason", text);
    json_write_object_end(reasons);
}

void health_ready(struct errand *x)
{
    struct api *api = x->api;
    struct err e = { 0 };
    AUTO_BUF reasons = { 0 };
    AUTO_BUF out = { 0 };
    if (api->stopping)
        add_reason(&reasons, "server", "it is stopping");
    if (api->parts.store->ops->check(api->parts.store, &e) < 0)
        add_reason(&reasons, "store", is_trusted(x) ? e.text : "it cannot be written or read");
    if (!api->settings.has_models)
        add_reason(&reasons, "models", "none is configured");
    json_write_object(&out);
    json_member_text(&out, "status", reasons.n ? "not_ready" : "ready");
    json_write_key(&out, STR("reasons"));
    json_write_array(&out);
    json_write_raw(&out, buf_str(&reasons));
    json_write_array_end(&out);
    json_write_object_end(&out);
    errand_answer_status(x, reasons.n ? 503 : 200, NULL, buf_str(&out));
}

struct metric {
    const char *name, *type, *help;
    uint64_t value;
};

static void write_metrics(struct buf *out, const struct metric *rows, size_t count)
{
    for (size_t i = 0; i < count; i++)
        buf_addf(out, "# HELP postern_%s %s\n# TYPE postern_%s %s\npostern_%s %llu\n", rows[i].name,
                 rows[i].help, rows[i].name, rows[i].type, rows[i].name,
                 (unsigned long long)rows[i].value);
}

static void add_server(const struct api *api, struct buf *out)
{
    const struct server_counters *s = server_counters(api->server);
    buf_add(out, STR("# HELP postern_http_answers_total Answers by class of their status.\n"
                     "# TYPE postern_http_answers_total counter\n"));
    for (size_t i = 1; i < sizeof s->answers / sizeof *s->answers; i++)
        buf_addf(out, "postern_http_answers_total{class=\"%zuxx\"} %llu\n", i,
                 (unsigned long long)s->answers[i]);
    const struct metric rows[] = {
        { "http_cut_total", "counter", "Answers that were cut off.", s->answers[0] },
        { "http_accepted_total", "counter", "Connections accepted.", s->accepted },
        { "http_read_bytes_total", "counter", "Bytes read.", s->bytes_in },
        { "http_written_bytes_total", "counter", "Bytes written.", s->bytes_out },
        { "http_stalled_total", "counter", "Readers cut off because they took nothing.",
          s->stalled },
        { "http_connections", "gauge", "Open connections.", s->connections },
        { "http_requests", "gauge", "Requests under way.", s->requests },
        { "http_streams", "gauge", "Open streams.", s->streams },
        { "http_memory_bytes", "gauge", "Memory held for bodies and answers.", s->memory },
    };
    write_metrics(out, rows, sizeof rows / sizeof *rows);
}

static void add_engine(const struct api *api, struct buf *out)
{
    struct engine_counters g = { 0 };
    engine_count(api->parts.engine, &g);
    const struct metric rows[] = {
        { "sessions_loaded", "gauge", "Sessions in memory.", g.sessions_loaded },
        { "stream_readers", "gauge", "Readers of session events.", g.readers },
        { "polls_waiting", "gauge", "Workers that wait for work.", g.polls_waiting },
        { "events_total", "counter", "Events appended to logs.", g.events_appended },
        { "commits_failed_total", "counter", "Transactions that failed.", g.commits_failed },
        { "model_requests_total", "counter", "Requests to models.", g.model_requests },
        { "model_failures_total", "counter", "Requests to models that failed.", g.model_failures },
        { "work_items_total", "counter", "Work items made.", g.work_items_made },
        { "unauthorized_total", "counter", "Requests without a valid credential.",
          api->unauthorized },
        { "throttled_total", "counter", "Requests refused by a rate limit.", api->throttled },
        { "replayed_total", "counter", "Repeated requests answered from memory.", api->replayed },
        { "keys", "gauge", "Keys that are not revoked.",
          credentials_count(api->parts.credentials) },
    };
    write_metrics(out, rows, sizeof rows / sizeof *rows);
}

void health_metrics(struct errand *x)
{
    AUTO_BUF out = { 0 };
    if (!is_trusted(x)) {
        errand_fail(x, 401, NULL, "metrics are for this machine, or for an API key");
        return;
    }
    if (x->api->server)
        add_server(x->api, &out);
    add_engine(x->api, &out);
    errand_answer_status(x, 200, "text/plain; version=0.0.4; charset=utf-8", buf_str(&out));
}
