#include "role/egress.h"

#include "base/log.h"
#include "egress/proxy.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "io/timer.h"
#include "io/watch.h"
#include "proto/json.h"
#include "proto/json_write.h"
#include "role/confine.h"
#include "sandbox/channel.h"
#include "sandbox/settings.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
    DESCRIPTORS = 4096, /* clients, their servers, pipes of long tunnels, look-ups */
    /* Reports of what was allowed are gathered: waking the supervisor for each would cost a busy
     * command a tenth of its requests. */
    GATHER_MS = 5,
    GATHER_BYTES = 32 << 10
};

/* libuv reads it at the first look-up. */
#define LOOKUP_THREADS "8"

struct role {
    struct loop *loop;
    struct channel channel;
    struct watch *watch; /* of the channel; the descriptor itself is the channel's */
    bool flushing;       /* a flush comes at the end of this turn */
    bool gathering;      /* a flush comes when `gather` fires */
    struct timer *gather;
    bool ending; /* ends once everything is sent */
    bool over;   /* the loop has ended: nothing is sent any more */
    int status;
    struct egress *egress;
    struct egress_sandbox *sandbox; /* NULL before the first frame */
    bool strict;
    char *profile; /* owned, or NULL */
};

static void stop(struct role *r, int status)
{
    r->status = status;
    loop_stop(r->loop);
}

static void fail(struct role *r, struct err *e)
{
    log_error("egress proxy: %s", e->text);
    stop(r, 1);
}

static void flush(void *ctx)
{
    struct role *r = ctx;
    struct err e;
    if (r->over)
        return;
    r->flushing = r->gathering = false;
    timer_stop(r->gather);
    if (channel_flush(&r->channel, &e) < 0) {
        stop(r, e.kind == E_MISSING ? 0 : 1); /* the supervisor has gone, and we go with it */
        return;
    }
    watch_set(r->watch, WATCH_READ | (r->channel.out.n ? WATCH_WRITE : 0u));
    if (r->ending && r->channel.out.n == 0)
        stop(r, 0);
}

/* Queues a frame that may wait a moment. */
static bool send_frame_soon(struct role *r, struct buf *json)
{
    struct err e;
    if (r->over || channel_put(&r->channel, buf_str(json), NULL, 0, &e) < 0)
        return false;
    if (r->channel.out.n < GATHER_BYTES && !r->gathering)
        timer_start(r->gather, GATHER_MS);
    else if (r->channel.out.n >= GATHER_BYTES && !r->flushing)
        loop_later(r->loop, flush, r);
    r->flushing = r->flushing || r->channel.out.n >= GATHER_BYTES;
    r->gathering = true;
    return true;
}

/* Queues a frame; one write for all of this turn. */
static bool send_frame(struct role *r, struct buf *json)
{
    if (!send_frame_soon(r, json))
        return false;
    if (!r->flushing)
        loop_later(r->loop, flush, r);
    r->flushing = true;
    return true;
}

static bool on_event(void *ctx, const struct egress_event *event)
{
    struct role *r = ctx;
    AUTO_BUF json = { 0 };
    json_write_object(&json);
    json_member_text(&json, "t", "net");
    json_member_text(&json, "decision", event->denied ? "deny" : "allow");
    json_member_text(&json, "host", event->host);
    json_member_u64(&json, "port", event->port);
    json_member_text(&json, "method", egress_method_name(event->method));
    if (event->rule)
        json_member_text(&json, "rule", event->rule);
    if (event->reason)
        json_member_text(&json, "reason", event->reason);
    if (event->violation)
        json_member_text(&json, "violation", event->violation);
    if (event->client_port)
        json_member_u64(&json, "client_port", event->client_port);
    if (event->user[0])
        json_member_text(&json, "user", event->user);
    json_write_object_end(&json);
    return event->denied ? send_frame(r, &json) : send_frame_soon(r, &json);
}

/* A question that cannot be sent stays open here and ends with the connection that waits. */
static void on_ask(void *ctx, const struct egress_question *question)
{
    struct role *r = ctx;
    AUTO_BUF json = { 0 };
    json_write_object(&json);
    json_member_text(&json, "t", "ask");
    json_member_u64(&json, "id", question->id);
    json_member_text(&json, "host", question->host);
    json_member_u64(&json, "port", question->port);
    json_member_text(&json, "method", egress_method_name(question->method));
    json_member_u64(&json, "client_port", question->client_port);
    if (question->user[0])
        json_member_text(&json, "user", question->user);
    json_write_object_end(&json);
    if (!send_frame(r, &json))
        log_warn("egress proxy: a question could not be sent");
}

static void on_cancel(void *ctx, uint64_t id)
{
    struct role *r = ctx;
    AUTO_BUF json = { 0 };
    json_write_object(&json);
    json_member_text(&json, "t", "cancel");
    json_member_u64(&json, "id", id);
    json_write_object_end(&json);
    if (!send_frame(r, &json))
        log_debug("egress: the end of a question could not be told");
}

static int send_ready(struct role *r, struct err *e)
{
    AUTO_BUF json = { 0 };
    buf_add(&json, STR("{\"t\":\"ready\"}"));
    return send_frame(r, &json) ? 0 : err_set(e, E_BUSY, 0, "the channel is full");
}

/* What an absent settings file means; a profile and the caller's parent proxy still apply. */
#define BUILT_IN_DEFAULTS                                                                          \
    "{\"network\":{\"allowedDomains\":[],\"deniedDomains\":[]},"                                   \
    "\"filesystem\":{\"denyRead\":[],\"allowWrite\":[],\"denyWrite\":[]}}"

/* The network part of a settings text; the supervisor has judged the text before. */
static int read_policy(struct role *r, const struct json *frame, struct egress_policy *out,
                       struct err *e)
{
    struct str text;
    struct settings settings;
    AUTO_BUF problems = { 0 };
    struct settings_options options = { .profile = r->profile,
                                        .strict = r->strict,
                                        .environment = environ };
    if (!json_to_str(json_get(frame, "settings"), &text))
        return err_set(e, E_INPUT, 0, "a frame without settings");
    if (text.n == 0)
        text = STR(BUILT_IN_DEFAULTS);
    if (settings_parse(text, "settings", &options, &settings, &problems, e) < 0)
        return err_while(e, "settings");
    *out = settings.egress;
    egress_policy_init(&settings.egress);
    settings_release(&settings);
    return 0;
}

/* Hands out the descriptor of that place; it is no longer the channel's. */
static int take_fd(struct role *r, size_t i)
{
    int fd = r->channel.fds_in[i];
    r->channel.fds_in[i] = -1;
    return fd;
}

static bool read_port(const struct json *v, uint16_t *out)
{
    uint64_t port;
    bool good = json_to_u64(v, &port) && port > 0 && port <= UINT16_MAX;
    *out = good ? (uint16_t)port : 0;
    return good;
}

/* One socket per entry of "ports", behind the listeners. */
static int take_ports(struct role *r, const struct json *ports, size_t first, struct err *e)
{
    for (size_t i = 0; i < json_count(ports); i++) {
        const struct json *entry = json_at(ports, i);
        struct egress_forward forward = { 0 };
        struct str way;
        bool good = json_to_str(json_get(entry, "way"), &way) &&
                    (str_eq(way, STR("in")) || str_eq(way, STR("out"))) &&
                    read_port(json_get(entry, "outer"), &forward.outer) &&
                    read_port(json_get(entry, "inner"), &forward.inner);
        if (!good)
            return err_set(e, E_INPUT, 0, "a port of unknown kind");
        forward.inward = str_eq(way, STR("in"));
        if (egress_sandbox_forward(r->sandbox, &forward, take_fd(r, first + i), e) < 0)
            return -1;
    }
    return 0;
}

/* One socket per entry of "listeners", one per entry of "ports", then the dialer's. */
static int take_listeners(struct role *r, const struct json *frame, struct err *e)
{
    const struct json *names = json_get(frame, "listeners"), *ports = json_get(frame, "ports");
    bool dialer = false;
    json_to_bool(json_get(frame, "dialer"), &dialer);
    size_t want = json_count(names) + json_count(ports) + dialer;
    if (want != r->channel.fds_in_count)
        return err_set(e, E_INPUT, 0, "%zu sockets are named and %zu came", want,
                       r->channel.fds_in_count);
    for (size_t i = 0; i < json_count(names); i++) {
        struct str name = { 0 };
        int kind = json_to_str(json_at(names, i), &name) ? egress_listener_find(name) : -1;
        if (kind < 0)
            return err_set(e, E_INPUT, 0, "a listener of unknown kind");
        if (egress_sandbox_listen(r->sandbox, (enum egress_listener)kind, take_fd(r, i), e) < 0)
            return -1;
    }
    if (take_ports(r, ports, json_count(names), e) < 0)
        return -1;
    if (dialer)
        egress_sandbox_reach_in(r->sandbox, take_fd(r, want - 1));
    r->channel.fds_in_count = 0;
    return 0;
}

static int handle_config(struct role *r, const struct json *frame, struct err *e)
{
    struct str token, profile;
    bool ask = false;
    struct egress_policy policy;
    if (r->sandbox)
        return err_set(e, E_INPUT, 0, "a second configuration");
    if (!json_to_str(json_get(frame, "token"), &token) || token.n == 0 || token.n > 128)
        return err_set(e, E_INPUT, 0, "a configuration without a token");
    json_to_bool(json_get(frame, "strict"), &r->strict);
    json_to_bool(json_get(frame, "ask"), &ask);
    if (json_to_str(json_get(frame, "profile"), &profile))
        r->profile = str_dup(profile);
    if (read_policy(r, frame, &policy, e) < 0)
        return -1;
    struct egress_hooks hooks = { on_event, on_ask, on_cancel, r };
    r->sandbox = egress_sandbox_new(r->egress, &policy, token, ask, &hooks);
    return take_listeners(r, frame, e) < 0 ? -1 : send_ready(r, e);
}

static int handle_update(struct role *r, const struct json *frame, struct err *e)
{
    struct egress_policy policy;
    if (read_policy(r, frame, &policy, e) < 0) {
        log_warn("egress proxy: an update is ignored: %s", e->text);
        return 0;
    }
    egress_sandbox_update(r->sandbox, &policy);
    return 0;
}

static int handle_answer(struct role *r, const struct json *frame, struct err *e)
{
    uint64_t id;
    bool allow = false;
    struct str reason = { 0 };
    if (!json_to_u64(json_get(frame, "id"), &id))
        return err_set(e, E_INPUT, 0, "an answer without an id");
    json_to_bool(json_get(frame, "allow"), &allow); /* only the JSON value true allows */
    json_to_str(json_get(frame, "reason"), &reason);
    egress_sandbox_answer(r->sandbox, id, allow, reason);
    return 0;
}

static int handle_finish(struct role *r, const struct json *frame, struct err *e)
{
    (void)frame;
    struct egress_totals totals = egress_sandbox_totals(r->sandbox);
    AUTO_BUF json = { 0 };
    json_write_object(&json);
    json_member_text(&json, "t", "totals");
    json_member_u64(&json, "bytes_out", totals.bytes_out);
    json_member_u64(&json, "bytes_in", totals.bytes_in);
    json_member_u64(&json, "connections", totals.connections);
    json_member_u64(&json, "denied", totals.denied);
    json_write_object_end(&json);
    r->ending = true;
    return send_frame(r, &json) ? 0 : err_set(e, E_BUSY, 0, "the channel is full");
}

static const struct {
    const char *name;
    int (*handle)(struct role *r, const struct json *frame, struct err *e);
    bool first; /* makes the sandbox; all others need it */
} frame_rows[] = {
    { "config", handle_config, true },
    { "update", handle_update, false },
    { "answer", handle_answer, false },
    { "finish", handle_finish, false },
};

static int handle_frame(struct role *r, struct str text, struct err *e)
{
    AUTO_JSON frame = NULL;
    struct str name;
    if (json_parse(text, &frame, e) < 0)
        return err_while(e, "a frame on the channel");
    if (!json_to_str(json_get(frame, "t"), &name))
        return err_set(e, E_INPUT, 0, "a frame without a type");
    for (size_t i = 0; i < sizeof frame_rows / sizeof *frame_rows; i++) {
        if (!str_eq(name, str_of(frame_rows[i].name)))
            continue;
        if (!frame_rows[i].first && !r->sandbox)
            return err_set(e, E_INPUT, 0, "a frame before the configuration");
        return frame_rows[i].handle(r, frame, e);
    }
    return err_set(e, E_INPUT, 0, "a frame of unknown type");
}

static void on_channel(void *ctx, unsigned events)
{
    struct role *r = ctx;
    struct err e;
    struct str frame;
    if (events & WATCH_WRITE)
        flush(r);
    if (!(events & WATCH_READ))
        return;
    int filled = channel_fill(&r->channel, &e);
    if (filled < 0 && e.kind == E_MISSING) {
        stop(r, 0);
        return;
    }
    if (filled < 0) {
        fail(r, &e);
        return;
    }
    while (channel_next(&r->channel, &frame))
        if (handle_frame(r, frame, &e) < 0) {
            fail(r, &e);
            return;
        }
}

static int check_channel(struct err *e)
{
    int type;
    socklen_t size = sizeof type;
    if (getsockopt(ROLE_EGRESS_CHANNEL, SOL_SOCKET, SO_TYPE, &type, &size) < 0 ||
        type != SOCK_STREAM)
        return err_set(e, E_INPUT, 0, "descriptor %d is not the supervisor's channel",
                       ROLE_EGRESS_CHANNEL);
    return 0;
}

/* Everything this process will not need, given up before the first byte from outside is read. What
 * is left: sockets, reading files (name service, certificates), threads for look-ups. */
static int give_up_rights(struct err *e)
{
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    if (check_channel(e) < 0)
        return -1;
    sigaction(SIGPIPE, &ignore, NULL); /* a peer that has gone is an error code */
    confine_descriptors(DESCRIPTORS);
    setenv("UV_THREADPOOL_SIZE", LOOKUP_THREADS, 0); /* a slow name holds up seven others */
    return confine_reader(e);
}

int role_egress(void)
{
    struct role r = { 0 };
    struct err e;
    if (give_up_rights(&e) < 0 || loop_new(&r.loop, &e) < 0) {
        log_error("egress proxy: %s", e.text);
        return 1;
    }
    channel_init(&r.channel, ROLE_EGRESS_CHANNEL);
    r.gather = timer_new(r.loop, flush, &r);
    r.egress = egress_new(r.loop);
    r.watch = watch_new_shared(r.loop, ROLE_EGRESS_CHANNEL, on_channel, &r);
    watch_set(r.watch, WATCH_READ);
    loop_run(r.loop);

    r.over = true;
    egress_sandbox_free(r.sandbox);
    egress_free(r.egress);
    if (resolve_pending(r.loop))
        _exit(r.status); /* a look-up under way may take a minute, and nobody waits for it */
    timer_free(r.gather);
    watch_take_fd(r.watch);
    loop_free(r.loop);
    channel_release(&r.channel);
    free(r.profile);
    return r.status;
}
