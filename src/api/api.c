#include "api/api-int.h"

#include "api/betas.h"
#include "api/errand.h"
#include "api/route.h"
#include "io/digest.h"

#include <stdlib.h>

struct api *api_new(const struct api_parts *parts, const struct api_settings *settings)
{
    struct api *api = mem_get(sizeof *api);
    api->parts = *parts;
    api->settings = *settings;
    api->replays = replays_new();
    if (settings->creates_per_minute)
        api->creates = throttle_new(settings->creates_per_minute);
    if (settings->reads_per_minute)
        api->reads = throttle_new(settings->reads_per_minute);
    return api;
}

void api_free(struct api *api)
{
    if (!api)
        return;
    replays_free(api->replays);
    table_release(&api->turns);
    throttle_free(api->creates);
    throttle_free(api->reads);
    mem_wipe(api->parts.cursor_key, sizeof api->parts.cursor_key);
    free(api);
}

void api_set_server(struct api *api, const struct server *server)
{
    api->server = server;
}

void api_stopping(struct api *api)
{
    api->stopping = true;
}

/* Always false, so that `return refuse(...)` reads as "does not go on". */
static bool refuse(struct request *r, int status, const char *message)
{
    request_fail(r, &(struct failure){ .status = status, .message = str_of(message) });
    return false;
}

/* Who holds that credential. 1; 0: nobody; -1 with *e. */
static int find_asker(struct api *api, struct str text, const struct route *route,
                      struct asker *asker, bool *read_only, struct err *e)
{
    unsigned char sha256[DIGEST_SIZE];
    if (credential_kind_of(text) != CREDENTIAL_SESSIONS)
        return credentials_find(api->parts.credentials, text, asker, read_only);
    digest_sha256(text, sha256);
    int found = engine_token(api->parts.engine, (struct str){ (const char *)sha256, sizeof sha256 },
                             asker, e);
    if (found > 0 && asker->superseded && !(route && (route->flags & ROUTE_LATE)))
        return 0;
    return found;
}

static bool is_workspace(const struct request *r, const struct asker *asker)
{
    struct str named = http1_field(&r->head, STR("anthropic-workspace-id"));
    return !named.n || str_eq(named, id_str(&asker->workspace));
}

/* Who asks, and whether that one may. False: answered. */
static bool authenticate(struct api *api, struct request *r, const struct route *route,
                         struct asker *asker)
{
    bool read_only = false;
    struct err e = { 0 };
    struct str text = credential_of_request(r);
    int found = find_asker(api, text, route, asker, &read_only, &e);
    if (found < 0)
        return refuse(r, 500, "the store cannot say now whose credential this is");
    if (!found) {
        api->unauthorized++;
        return refuse(r, 401,
                      text.n ? "this credential is not valid, or not any more"
                             : "a credential is required: authorization: Bearer sk-pst-...");
    }
    if (!is_workspace(r, asker))
        return refuse(r, 403, "this credential belongs to another workspace");
    if (route && !(route->who & (1u << asker->kind)))
        return refuse(r, 403, "this kind of credential may not make this call");
    if (read_only && !str_eq(r->method, STR("GET")))
        return refuse(r, 403, "this key may only read");
    return true;
}

static bool no_such_call(struct request *r, const struct route *other)
{
    if (!other)
        return refuse(r, 404, "there is no such path on this server");
    AUTO_BUF methods = { 0 };
    AUTO_BUF text = { 0 };
    route_methods(r, &methods);
    buf_addf(&text, "this path takes %s", buf_text(&methods));
    request_fail(r, &(struct failure){
                        .status = 405, .message = buf_str(&text), .allow = buf_str(&methods) });
    return false;
}

static bool throttle(struct api *api, struct request *r, const struct route *route,
                     const struct asker *asker)
{
    bool reads = str_eq(r->method, STR("GET"));
    struct throttle *t = reads ? api->reads : route->flags & ROUTE_CREATES ? api->creates : NULL;
    unsigned seconds = t ? throttle_take(t, &asker->workspace, clock_now(&api->parts.clock)) : 0;
    if (!seconds)
        return true;
    api->throttled++;
    request_fail(r, &(struct failure){ .status = 429,
                                       .message = STR("too many calls of this kind in a minute"),
                                       .retry_after = seconds });
    return false;
}

/* Everything that the head decides. */
static bool may_come(struct api *api, struct request *r, const struct route **route,
                     struct asker *asker)
{
    const struct route *other = NULL;
    struct str wrong = { 0 };
    *route = route_find(r, &other);
    if (*route && ((*route)->flags & ROUTE_OPEN))
        return true;
    if (api->stopping)
        return refuse(r, 529, "this server is stopping");
    if (!authenticate(api, r, *route, asker))
        return false;
    if (!*route)
        return no_such_call(r, other);
    int status = betas_check(r, api->settings.strict_betas, &wrong);
    if (status)
        return refuse(r, status, wrong.p);
    return true;
}

static bool admit(void *ctx, struct request *r, size_t *body_limit)
{
    struct api *api = ctx;
    struct asker asker = { 0 };
    const struct route *route = NULL;
    (void)body_limit; /* the server's own limit is that of every JSON body */
    /* Without a body to keep out the same is looked at a moment later, in `handle`. */
    return r->head.framing == HTTP1_NONE || may_come(api, r, &route, &asker);
}

static bool repeat(struct api *api, struct errand *x)
{
    struct request *r = x->request;
    if (!(x->route->flags & ROUTE_CREATES))
        return false;
    replay_key(id_str(&x->asker.key), r->path, r->body, x->key);
    x->keeps = true;
    if (!x->asker.retry_count)
        return false;
    struct str answer = replays_find(api->replays, x->key, x->now);
    if (!answer.p)
        return false;
    api->replayed++;
    x->keeps = false;
    errand_answer(x, answer);
    return true;
}

static void handle(void *ctx, struct request *r)
{
    struct api *api = ctx;
    struct asker asker = { 0 };
    const struct route *route = NULL;
    uint64_t count = 0;
    if (!may_come(api, r, &route, &asker))
        return;
    if (!(route->flags & ROUTE_OPEN) && !throttle(api, r, route, &asker))
        return;
    if (str_to_u64(http1_field(&r->head, STR("x-stainless-retry-count")), &count))
        asker.retry_count = count < 1000 ? (unsigned)count : 1000;
    struct errand *x = errand_new(api, r, route, &asker);
    if (!repeat(api, x))
        errand_begin(x);
}

struct server_handler api_handler(struct api *api)
{
    return (struct server_handler){ .admit = admit, .handle = handle, .ctx = api };
}
