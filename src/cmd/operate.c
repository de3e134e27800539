#include "cmd/operate.h"

#include "base/moment.h"
#include "io/loop.h"
#include "role/control_socket.h"
#include "store/sqlite.h"

#include <errno.h>
#include <unistd.h>

struct direct {
    struct loop *loop;
    struct json *answer;
    struct err err;
    bool done;
};

static void on_done(void *ctx, const struct err *e, struct str json)
{
    struct direct *d = ctx;
    d->err = *e;
    if (e->kind == E_NONE)
        json_parse(json, &d->answer, &d->err);
    d->done = true;
    loop_stop(d->loop);
}

/* No server runs: the state is ours for as long as this takes. */
static int operate_on_store(const char *state, const struct json *request, struct json **out,
                            struct err *e)
{
    struct direct d = { 0 };
    struct operator_parts parts = { .clock = clock_of_machine(), .random = random_of_kernel() };
    if (loop_new(&d.loop, e) < 0)
        return -1;
    if (sqlite_store_new(&parts.store, state, d.loop, NULL, e) < 0) {
        loop_free(d.loop);
        return -1;
    }
    operator_do(&parts, request, on_done, &d);
    while (!d.done)
        loop_run(d.loop);
    parts.store->ops->free(parts.store);
    loop_free(d.loop);
    *out = d.answer;
    *e = d.err;
    return e->kind == E_NONE ? 0 : -1;
}

int operate(const char *state, struct str request, struct json **out, struct err *e)
{
    AUTO_JSON tree = NULL;
    AUTO_BUF database = { 0 };
    buf_addf(&database, "%s/" SQLITE_STORE_FILE, state);
    if (access(buf_text(&database), F_OK) < 0)
        return err_set(e, E_MISSING, errno, "there is no state in '%s'", state);
    int rc = control_socket_ask(state, request, out, e);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (json_parse(request, &tree, e) < 0)
        return -1;
    return operate_on_store(state, tree, out, e);
}

const char *operate_text(const struct json *object, const char *key)
{
    struct str text = { 0 };
    return json_to_str(json_get(object, key), &text) ? text.p : "";
}
