#include "role/serve.h"

#include "base/fd.h"
#include "api/cursor.h"
#include "base/moment.h"
#include "io/timer.h"
#include "io/watch.h"
#include "role/bootstrap.h"
#include "role/confine.h"
#include "role/control_socket.h"
#include "role/later.h"
#include "role/serve_models.h"
#include "store/sqlite.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/signalfd.h>

enum {
    STOP_MS = 10000, /* for answers that are under way when we are asked to end */
    SPARE_DESCRIPTORS = 256
};

#define DEFAULT_LISTEN "127.0.0.1:8080"

struct serving {
    struct serve_config *config;
    struct loop *loop;
    struct clock clock;
    struct steady steady;
    struct random_source random;
    struct tls_server *tls;
    struct server *server;
    struct watch *signals;
    struct model_set *models;
    struct web *web;
    struct store *store;
    struct credentials *credentials;
    struct later *later;
    struct timer *wake;
    struct engine *engine;
    struct api *api;
    struct server_handler handler; /* the API's; nothing before `ready` */
    struct control_socket *control;
    struct bootstrap bootstrap;
    char url[300]; /* of the first address */
    bool ready, stopping;
};

/* --- the handler: the server listens before the store is open, so that a taken port is noticed before
 * anything is made --- */

static bool admit(void *ctx, struct request *r, size_t *body_limit)
{
    struct serving *s = ctx;
    if (s->ready)
        return s->handler.admit(s->handler.ctx, r, body_limit);
    request_fail(r, &(struct failure){ .status = 529, .message = STR("this server is starting") });
    return false;
}

static void handle(void *ctx, struct request *r)
{
    struct serving *s = ctx;
    s->handler.handle(s->handler.ctx, r);
}

/* "http://127.0.0.1:8080"; whoever listens everywhere is reached here, too. */
static void write_url(struct serving *s, const char *address, uint16_t port)
{
    struct str host = str_of(address);
    ptrdiff_t colon = str_last_index(host, ':');
    host.n = colon < 0 ? host.n : (size_t)colon;
    if (str_eq(host, STR("0.0.0.0")))
        host = STR("127.0.0.1");
    else if (str_eq(host, STR("[::]")))
        host = STR("[::1]");
    snprintf(s->url, sizeof s->url, "http%s://%.*s:%u", s->tls ? "s" : "", STR_ARGS(host), port);
}

static int listen_all(struct serving *s, struct err *e)
{
    const struct serve_config *c = s->config;
    struct server_handler shim = { .admit = admit, .handle = handle, .ctx = s };
    const char *usual = DEFAULT_LISTEN, *const *addresses = c->listen;
    size_t count = c->listen_count;
    if (count == 0) {
        addresses = &usual;
        count = 1;
    }
    if (c->certificate && tls_server_new(s->loop, c->certificate, c->key, &s->tls, e) < 0)
        return -1;
    s->server = server_new(s->loop, &c->server, &shim, s->random);
    for (size_t i = 0; i < count; i++) {
        uint16_t port = 0;
        bool is_unix = str_starts(str_of(addresses[i]), STR("unix:"));
        if (server_listen(s->server, addresses[i], is_unix ? NULL : s->tls, &port, e) < 0)
            return err_while(e, "listen at %s", addresses[i]);
        if (!s->url[0] && !is_unix)
            write_url(s, addresses[i], port);
    }
    return 0;
}

/* --- signals --- */

static void on_stopped(void *ctx)
{
    struct serving *s = ctx;
    loop_stop(s->loop);
}

static void on_parked(void *ctx)
{
    struct serving *s = ctx;
    server_stop(s->server, STOP_MS, on_stopped, s);
}

static void stop(struct serving *s)
{
    if (s->stopping)
        _exit(1); /* asked twice: what was acknowledged is durable at any moment */
    s->stopping = true;
    log_event("serve.stopping", LOG_NUMBER("pid", getpid()));
    api_stopping(s->api);
    engine_stop(s->engine, on_parked, s);
}

static void on_signal(void *ctx, unsigned events)
{
    struct serving *s = ctx;
    struct signalfd_siginfo info;
    struct err e;
    (void)events;
    while (read(watch_fd(s->signals), &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo != SIGHUP)
            stop(s);
        else if (s->tls && tls_server_reload(s->tls, &e) < 0)
            log_error("the new certificate cannot be used, the old one stays: %s", e.text);
        else
            log_event("serve.reloaded", LOG_NUMBER("pid", getpid()));
    }
}

/* Before there are threads: they inherit that these come here. */
static int take_signals(struct serving *s, struct err *e)
{
    sigset_t mask;
    struct sigaction ignore = { .sa_handler = SIG_IGN };
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaddset(&mask, SIGINT);
    sigaddset(&mask, SIGHUP);
    if (sigaction(SIGPIPE, &ignore, NULL) < 0 || sigprocmask(SIG_BLOCK, &mask, NULL) < 0)
        return err_set(e, E_IO, errno, "take the signals");
    int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        return err_set(e, E_IO, errno, "take the signals");
    s->signals = watch_new(s->loop, fd, on_signal, s);
    return 0;
}

/* --- the engine's surroundings --- */

static void engine_later(void *ctx, void (*fn)(void *arg), void *arg)
{
    struct serving *s = ctx;
    later_add(s->later, fn, arg);
}

static void on_wake(void *ctx)
{
    struct serving *s = ctx;
    engine_wake(s->engine);
}

static void engine_wake_at(void *ctx, int64_t when)
{
    struct serving *s = ctx;
    int64_t left = when == INT64_MAX ? 0 : when - clock_now(&s->clock);
    if (when == INT64_MAX)
        timer_stop(s->wake);
    else
        timer_start(s->wake, left > 0 ? (uint64_t)(left + 999) / 1000 : 0);
}

static int start_engine(struct serving *s, struct err *e)
{
    struct engine_parts parts = {
        .store = s->store,
        .models = s->models,
        .clock = s->clock,
        .random = s->random,
        .later = engine_later,
        .wake_at = engine_wake_at,
        .web = web_tools_of(s->web),
        .ctx = s,
    };
    s->later = later_new(s->loop);
    s->wake = timer_new(s->loop, on_wake, s);
    return engine_new(&parts, &s->config->engine, &s->engine, e);
}

/* The key of page cursors, which survive restarts with it. */
static int cursor_key(const struct serve_config *c, unsigned char key[CURSOR_KEY], struct err *e)
{
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/cursor.key", c->state);
    AUTO_FD old = open(buf_text(&path), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (old >= 0 && read(old, key, CURSOR_KEY) == CURSOR_KEY)
        return 0;
    if (old < 0 && errno != ENOENT)
        return err_set(e, E_IO, errno, "open '%s'", buf_text(&path));
    AUTO_FD fd = open(buf_text(&path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (getrandom(key, CURSOR_KEY, 0) != CURSOR_KEY || fd < 0 ||
        write(fd, key, CURSOR_KEY) != CURSOR_KEY || fsync(fd) < 0)
        return err_set(e, E_IO, errno, "write '%s'", buf_text(&path));
    return 0;
}

static int start_api(struct serving *s, struct err *e)
{
    struct api_parts parts = {
        .loop = s->loop,
        .store = s->store,
        .engine = s->engine,
        .models = s->models,
        .credentials = s->credentials,
        .clock = s->clock,
        .random = s->random,
    };
    struct operator_parts operator= {
        .store = s->store, .credentials = s->credentials, .clock = s->clock, .random = s->random
    };
    if (cursor_key(s->config, parts.cursor_key, e) < 0 ||
        control_socket_new(&s->control, s->loop, s->config->state, &operator, e) < 0)
        return -1;
    s->api = api_new(&parts, &s->config->api);
    api_set_server(s->api, s->server);
    s->handler = api_handler(s->api);
    return 0;
}

/* Where we may write: the state directory, and beside the file that bootstrap writes. */
static int confine(const struct serve_config *c, struct err *e)
{
    const char *places[2] = { c->state, NULL };
    char beside[4096] = ".";
    if (c->env_file) {
        ptrdiff_t slash = str_last_index(str_of(c->env_file), '/');
        if (slash >= 0)
            snprintf(beside, sizeof beside, "%.*s", slash > 0 ? (int)slash : 1, c->env_file);
        places[1] = beside;
    }
    return confine_keeper(places, c->env_file ? 2 : 1, e);
}

static int make_state(const struct serve_config *c, struct err *e)
{
    if (!c->state)
        return err_set(e, E_INPUT, 0, "say where the state lies: --state DIR");
    if (mkdir(c->state, 0700) < 0 && errno != EEXIST)
        return err_set(e, E_IO, errno, "make '%s'", c->state);
    return 0;
}

static int open_state(struct serving *s, struct err *e)
{
    const struct serve_config *c = s->config;
    if (sqlite_store_new(&s->store, c->state, s->loop, NULL, e) < 0 ||
        credentials_new(s->store, s->clock, &s->credentials, e) < 0)
        return -1;
    if (!c->bootstrap)
        return 0;
    return bootstrap_make(&s->bootstrap, s->loop, s->store, s->credentials, &s->random, c->env_file,
                          e);
}

static int start(struct serving *s, struct err *e)
{
    struct serve_config *c = s->config;
    confine_descriptors(c->server.connections + SPARE_DESCRIPTORS);
    if (loop_new(&s->loop, e) < 0 || take_signals(s, e) < 0 ||
        web_new(s->loop, &c->web, &s->web, e) < 0 || serve_models(c, s->loop, &s->models, e) < 0 ||
        listen_all(s, e) < 0 || make_state(c, e) < 0 || confine(c, e) < 0 || open_state(s, e) < 0 ||
        start_engine(s, e) < 0 || start_api(s, e) < 0)
        return -1;
    watch_set(s->signals, WATCH_READ);
    s->ready = true;
    if (c->env_file && bootstrap_write(&s->bootstrap, c->env_file, s->url, e) < 0)
        return -1;
    log_event("serve.ready", LOG_STR("url", str_of(s->url)),
              LOG_STR("version", STR(POSTERN_VERSION)));
    return 0;
}

static void release(struct serving *s)
{
    control_socket_free(s->control);
    server_free(s->server);
    engine_free(s->engine);
    later_free(s->later);
    if (s->store)
        s->store->ops->free(s->store);
    models_free(s->models);
    web_free(s->web);
    api_free(s->api);
    credentials_free(s->credentials);
    tls_server_free(s->tls);
    timer_free(s->wake);
    watch_free(s->signals);
    loop_free(s->loop);
}

int role_serve(struct serve_config *config)
{
    struct serving s = { .config = config, .random = random_of_kernel() };
    struct err e = { 0 };
    log_set_form(config->log);
    s.clock = clock_steady(&s.steady);
    int status = 0;
    if (start(&s, &e) < 0) {
        log_error("serve: %s", e.text);
        status = err_exit_code(e.kind);
    } else {
        loop_run(s.loop);
        log_event("serve.stopped", LOG_NUMBER("pid", getpid()));
    }
    release(&s);
    return status;
}
