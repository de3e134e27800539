#include "io/resolve.h"

#include "base/mem.h"
#include "io/loop-int.h"

#include <stdlib.h>

struct resolve {
    uv_getaddrinfo_t uv; /* first: the callback gets this pointer back */
    struct loop *loop;
    resolve_done *done; /* NULL once cancelled */
    void *ctx;
};

static void on_answer(uv_getaddrinfo_t *uv, int status, struct addrinfo *answer)
{
    struct resolve *r = (struct resolve *)uv;
    struct socket_address list[RESOLVE_MAX];
    size_t count = 0;
    for (struct addrinfo *at = status == 0 ? answer : NULL; at && count < RESOLVE_MAX;
         at = at->ai_next) {
        if (at->ai_family != AF_INET && at->ai_family != AF_INET6)
            continue;
        memset(&list[count], 0, sizeof list[count]);
        memcpy(&list[count].sa, at->ai_addr, at->ai_addrlen);
        count++;
    }
    uv_freeaddrinfo(answer);
    *loop_lookups(r->loop) -= 1;
    if (r->done)
        r->done(r->ctx, list, count);
    free(r);
}

struct resolve *resolve_new(struct loop *l, const char *name, resolve_done *done, void *ctx)
{
    struct resolve *r = mem_get(sizeof *r);
    r->loop = l;
    r->done = done;
    r->ctx = ctx;
    struct addrinfo hints = { .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM };
    if (uv_getaddrinfo(loop_uv(l), &r->uv, on_answer, name, NULL, &hints) < 0) {
        free(r);
        return NULL;
    }
    *loop_lookups(l) += 1;
    return r;
}

size_t resolve_pending(const struct loop *l)
{
    return *loop_lookups((struct loop *)l);
}

void resolve_cancel(struct resolve *r)
{
    if (!r)
        return;
    r->done = NULL;
    uv_cancel((uv_req_t *)&r->uv); /* one that already runs ends by itself, unheard */
}
