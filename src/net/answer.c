#include "net/server-int.h"

#include "base/check.h"
#include "proto/http1_write.h"
#include "proto/json_write.h"

#include <stdio.h>

enum {
    WITH_HEAD_MAX = 16 << 10
}; /* a body up to this is copied behind the head: one write for both */

static void add_length(struct buf *out, uint64_t length)
{
    buf_add(out, STR("content-length: "));
    buf_add_number(out, length);
    buf_add(out, STR("\r\n"));
}

void answer_write_head(struct buf *out, const struct call *call, const struct answer *a,
                       int64_t length, bool keep)
{
    const struct http1_head *head = &call->request.head;
    http1_write_status(out, a->status);
    buf_add(out, server_date(call->server));
    http1_write_field(out, STR("request-id"), id_str(&call->request.id));
    if (a->status != 204) {
        const char *type = a->content_type ? a->content_type : "application/json";
        http1_write_field(out, STR("content-type"), str_of(type));
    }
    if (length == LENGTH_CHUNKED)
        buf_add(out, STR("transfer-encoding: chunked\r\n"));
    else if (length >= 0 && a->status != 204)
        add_length(out, (uint64_t)length);
    for (size_t i = 0; i < a->field_count; i++)
        http1_write_field(out, a->fields[i].name, a->fields[i].value);
    if (!keep)
        buf_add(out, STR("connection: close\r\n"));
    else if (head->minor == 0)
        buf_add(out, STR("connection: keep-alive\r\n"));
    buf_add(out, STR("\r\n"));
}

bool answer_keeps(const struct connection *c)
{
    if (!c->keep || c->server->stopping || (c->peer_ended && !c->early.n))
        return false;
    if (c->input == INPUT_DONE || c->bodyless)
        return true;
    const struct http1_head *head = &c->http.head;
    bool short_rest = head->framing == HTTP1_LENGTH && head->length <= SKIP_MAX;
    /* Who asked whether to send the body will not send it now; or is already sending it. */
    return c->input != INPUT_OVER && short_rest && !http1_field(head, STR("Expect")).p;
}

void answer_note(const struct call *call, int status, size_t sent)
{
    struct server *s = call->server;
    const struct request *r = &call->request;
    char peer[SOCKET_ADDRESS_TEXT];
    s->counters.answers[status / 100 % 6]++;
    if (!s->options.access_log)
        return;
    socket_address_text(&r->peer, peer);
    struct str path = r->path;
    if (path.n > 256)
        path.n = 256;
    const struct log_field fields[] = {
        LOG_STR("request", id_str(&r->id)),
        LOG_STR("method", r->method.p ? r->method : STR("-")),
        LOG_STR("path", path.p ? path : STR("-")),
        LOG_NUMBER("status", status),
        LOG_NUMBER("bytes_in", (int64_t)call->body.n),
        LOG_NUMBER("bytes_out", (int64_t)sent),
        LOG_NUMBER("ms", (int64_t)(loop_now(s->loop) - call->began)),
        LOG_STR("peer", str_of(peer)),
    };
    server_log(s, "http.request", fields, sizeof fields / sizeof *fields);
}

void request_answer(struct request *r, const struct answer *a)
{
    struct call *call = (struct call *)r;
    struct connection *c = call->connection;
    CHECK(a->status >= 200 && a->status <= 599);
    if (!c) {
        answer_note(call, 0, 0);
        call_give_back(call);
        return;
    }
    struct buf *page = &call->server->page;
    bool mute = a->status == 204 || a->status == 304 || str_eq(r->method, STR("HEAD"));
    struct str body = { a->body.p, mute ? 0 : a->body.n };
    bool with_head = body.n <= WITH_HEAD_MAX;
    c->keep = answer_keeps(c);
    buf_empty(page);
    answer_write_head(page, call, a, (int64_t)a->body.n, c->keep);
    if (with_head)
        buf_add(page, body);
    output_send(c, buf_str(page));
    if (!with_head)
        output_send(c, body);
    answer_note(call, a->status, body.n);
    connection_taken(c);
    call_give_back(call);
    connection_answered(c);
}

void request_drop(struct request *r)
{
    struct call *call = (struct call *)r;
    struct connection *c = call->connection;
    answer_note(call, 0, 0);
    if (c) {
        c->call = NULL;
        connection_close(c);
    }
    call_give_back(call);
}

/* The usual type of a status (contract 1.5). */
static const char *usual_type(int status)
{
    static const struct {
        int status;
        const char *type;
    } rows[] = {
        { 401, "authentication_error" }, { 402, "billing_error" },    { 403, "permission_error" },
        { 404, "not_found_error" },      { 408, "timeout_error" },    { 409, "conflict_error" },
        { 413, "request_too_large" },    { 429, "rate_limit_error" }, { 504, "timeout_error" },
        { 529, "overloaded_error" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].status == status)
            return rows[i].type;
    return status < 500 ? "invalid_request_error" : "api_error";
}

void failure_write(struct buf *out, const struct failure *f, const struct id *request)
{
    json_write_object(out);
    json_member_text(out, "type", "error");
    json_write_key(out, STR("error"));
    json_write_object(out);
    json_member_text(out, "type", f->type ? f->type : usual_type(f->status));
    json_member_str(out, "message", f->message);
    if (f->code || f->details.n) {
        json_write_key(out, STR("details"));
        json_write_object(out);
        if (f->code)
            json_member_text(out, "error_code", f->code);
        if (f->details.n)
            json_write_raw(out, f->details);
        json_write_object_end(out);
    }
    if (f->members.n)
        json_write_raw(out, f->members);
    json_write_object_end(out);
    json_member_str(out, "request_id", id_str(request));
    json_write_object_end(out);
}

void request_fail(struct request *r, const struct failure *f)
{
    struct http1_field fields[3];
    struct answer a = { .status = f->status, .fields = fields };
    char seconds[16];
    AUTO_BUF body = { 0 };
    if (f->retry_after) {
        snprintf(seconds, sizeof seconds, "%u", f->retry_after);
        fields[a.field_count++] = (struct http1_field){ STR("retry-after"), str_of(seconds) };
    }
    if (f->allow.n)
        fields[a.field_count++] = (struct http1_field){ STR("allow"), f->allow };
    if (f->no_retry)
        fields[a.field_count++] = (struct http1_field){ STR("x-should-retry"), STR("false") };
    failure_write(&body, f, &r->id);
    a.body = buf_str(&body);
    request_answer(r, &a);
}
