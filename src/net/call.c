#include "net/server-int.h"

#include "base/check.h"
#include "base/mem.h"
#include "proto/http1_target.h"

#include <stdlib.h>

/* One block holds the call, its segments and parameters, the decoded text of both, and copies of
 * method and path: a body that turns out malformed takes the head with it, and both are logged. */
static struct call *call_new_sized(struct connection *c, struct str path, struct str query)
{
    struct str method = c->http.head.method;
    size_t segments = url_segment_count(path) * sizeof(struct str);
    size_t parameters = url_parameter_count(query) * sizeof(struct url_parameter);
    struct call *call =
        mem_get(sizeof *call + segments + parameters + 2 * path.n + query.n + method.n);
    struct request *r = &call->request;
    char *at = (char *)(call + 1);
    r->segments = (struct str *)at;
    r->segment_count = url_segment_count(path);
    r->parameters = (struct url_parameter *)(at + segments);
    at += segments + parameters + path.n + query.n;
    r->path = (struct str){ memcpy(at, path.p, path.n), path.n };
    r->method = (struct str){ memcpy(at + path.n, method.p, method.n), method.n };
    r->query = query;
    return call;
}

static bool decode(struct call *call, struct failure *why)
{
    struct request *r = &call->request;
    struct str *segments = (struct str *)(call + 1);
    struct url_parameter *parameters = (struct url_parameter *)(segments + r->segment_count);
    char *text = (char *)(parameters + url_parameter_count(r->query));
    *why = (struct failure){ .status = 400 };
    if (!url_path_decode(r->path, segments, text))
        why->message = STR("the path holds a malformed percent escape");
    else if (!url_query_decode(r->query, parameters, &r->parameter_count, text + r->path.n))
        why->message = STR("the query holds a malformed percent escape");
    else
        return true;
    return false;
}

static void introduce(struct call *call, struct connection *c)
{
    call->server = c->server;
    call->connection = c;
    call->began = call->body_began = loop_now(c->server->loop);
    call->request.id = server_request_id(c->server);
    call->request.peer = c->peer;
    call->request.tls = c->tls;
    c->call = call;
    c->server->counters.requests++;
}

struct call *call_new_empty(struct connection *c)
{
    struct call *call = mem_get(sizeof *call);
    introduce(call, c);
    return call;
}

struct call *call_new(struct connection *c, struct failure *why)
{
    struct err e;
    struct http1_target target;
    const struct http1_head *head = &c->http.head;
    *why = (struct failure){ .status = 400, .message = STR("the request target is malformed") };
    if (http1_target_parse(head->method, head->target, &target, &e) != 0 ||
        target.form == HTTP1_AUTHORITY)
        return NULL;
    struct str query = target.path, path;
    str_cut(&query, '?', &path);
    if (!path.n || target.form == HTTP1_ASTERISK)
        path = STR("/");
    struct call *call = call_new_sized(c, path, query);
    call->request.head = *head;
    introduce(call, c);
    return decode(call, why) ? call : NULL;
}

/* Grows by doubling, never beyond what may still come: what a length promises is not believed. */
static size_t next_size(const struct call *call, size_t need)
{
    const struct http1_head *head = &call->request.head;
    size_t size = call->body.cap ? call->body.cap * 2 : 1024;
    size_t most = head->framing == HTTP1_LENGTH ? head->length + 1 : call->body_limit + 1;
    if (size > most)
        size = most;
    return size > need ? size : need;
}

bool call_add_body(struct call *call, struct str piece, struct failure *why)
{
    struct buf *body = &call->body;
    if (piece.n > call->body_limit - body->n) {
        *why = (struct failure){ .status = 413, .message = STR("the body is too large") };
        return false;
    }
    size_t need = body->n + piece.n + 1; /* a NUL behind, as every buf has */
    if (need > body->cap) {
        size_t size = next_size(call, need);
        if (server_is_short(call->server, size - body->cap)) {
            *why = (struct failure){ .status = 529,
                                     .message = STR("the server has too much to do"),
                                     .retry_after = 1 };
            return false;
        }
        server_charge(call->server, size - body->cap);
        body->p = mem_grow(body->p, size);
        body->cap = size;
    }
    buf_add(body, piece);
    return true;
}

static void call_free(struct call *call)
{
    server_discharge(call->server, call->body.cap);
    call->server->counters.requests--;
    if (call->body.p)
        mem_wipe(call->body.p, call->body.n < 4096 ? call->body.n : 4096);
    buf_release(&call->body);
    http1_release(&call->input);
    free(call);
}

void call_give_back(struct call *call)
{
    call->given_back = true;
    if (!call->telling)
        call_free(call);
}

static void on_tell(void *ctx)
{
    struct call *call = ctx;
    call->telling = false;
    if (call->given_back) {
        call_free(call);
    } else if (call->gone) {
        void (*gone)(void *) = call->gone;
        call->gone = NULL;
        gone(call->gone_ctx);
    }
}

void call_tell_gone(struct call *call)
{
    call->told = true;
    if (call->telling)
        return;
    call->telling = true;
    loop_later(call->server->loop, on_tell, call);
}

void call_detach(struct call *call)
{
    struct connection *c = call->connection;
    c->call = NULL;
    call->connection = NULL;
    if (!call->lent) {
        call_give_back(call);
        return;
    }
    call->input = c->http; /* the head's texts stay readable */
    http1_init(&c->http, HTTP1_REQUEST, NULL);
    call_tell_gone(call);
}

void request_on_gone(struct request *r, enum request_gone when, void (*gone)(void *ctx), void *ctx)
{
    struct call *call = (struct call *)r;
    call->when = when;
    call->gone = gone;
    call->gone_ctx = ctx;
    bool ended = when == GONE_ENDED && call->connection && call->connection->peer_ended;
    if (gone && (call->told || ended))
        call_tell_gone(call);
}

bool request_is_waited_for(const struct request *r)
{
    const struct call *call = (const struct call *)r;
    return !call->told;
}

struct str request_parameter(const struct request *r, struct str name)
{
    for (size_t i = 0; i < r->parameter_count; i++)
        if (str_eq(r->parameters[i].name, name))
            return r->parameters[i].value;
    return (struct str){ 0 };
}

bool request_parameter_next(const struct request *r, struct str name, size_t *at, struct str *value)
{
    while (*at < r->parameter_count) {
        const struct url_parameter *p = &r->parameters[(*at)++];
        struct str list = p->name;
        if (str_ends(list, STR("[]")))
            list.n -= 2;
        if (str_eq(list, name)) {
            *value = p->value;
            return true;
        }
    }
    return false;
}
