#include "net/fetch.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/mem.h"
#include "io/socket.h"
#include "io/timer.h"
#include "io/watch.h"

#include <curl/curl.h>
#include <limits.h>
#include <stdlib.h>

enum { CONNECT_MS = 10000, KEPT_CONNECTIONS = 64 };

struct fetcher {
    struct loop *loop;
    CURLM *multi;
    struct timer *timer; /* curl's own */
    struct fetch *fetches;
    char *proxy, *no_proxy, *ca_file;
};

/* One of curl's sockets, while curl wants to hear of it. */
struct tap {
    struct fetcher *owner;
    struct watch *watch; /* only lent the descriptor, which curl closes */
};

struct fetch {
    struct fetcher *owner;
    struct fetch *next, **link;
    struct fetch_options options; /* callbacks and numbers; texts live in curl and below */
    CURL *easy;
    struct curl_slist *fields;
    struct buf body; /* what is sent */
    struct timer *idle;
    uint64_t got;         /* bytes of the answer's body */
    curl_off_t uploaded;  /* when the idle timer was set */
    enum fetch_end cause; /* why we have ended it ourselves; FETCH_COMPLETE: we have not */
    bool told_head, paused;
    bool refused; /* what `allow` said of the last address */
    bool over;    /* no callback any more, curl has forgotten it */
};

static void give_back(void *ctx)
{
    free(ctx);
}

/* Headers and bodies hold keys and what people wrote. */
static void fields_free(struct curl_slist *fields)
{
    for (struct curl_slist *at = fields; at; at = at->next)
        mem_wipe(at->data, strlen(at->data));
    curl_slist_free_all(fields);
}

/* Never from inside one of curl's callbacks. */
static void forget(struct fetch *f)
{
    if (f->over)
        return;
    f->over = true;
    curl_multi_remove_handle(f->owner->multi, f->easy);
    curl_easy_cleanup(f->easy);
    f->easy = NULL;
    fields_free(f->fields);
    if (f->body.p)
        mem_wipe(f->body.p, f->body.n);
    buf_release(&f->body);
    timer_free(f->idle);
    *f->link = f->next;
    if (f->next)
        f->next->link = f->link;
    loop_later(f->owner->loop, give_back, f);
}

static bool has_connected(const struct fetch *f)
{
    curl_off_t connected = 0;
    curl_easy_getinfo(f->easy, CURLINFO_PRETRANSFER_TIME_T, &connected);
    return connected > 0;
}

static enum fetch_end end_of(const struct fetch *f, CURLcode code)
{
    static const struct {
        CURLcode code;
        enum fetch_end end;
    } rows[] = {
        { CURLE_OK, FETCH_COMPLETE },
        { CURLE_URL_MALFORMAT, FETCH_INPUT },
        { CURLE_UNSUPPORTED_PROTOCOL, FETCH_INPUT },
        { CURLE_COULDNT_RESOLVE_HOST, FETCH_RESOLVE },
        { CURLE_COULDNT_RESOLVE_PROXY, FETCH_RESOLVE },
        { CURLE_COULDNT_CONNECT, FETCH_CONNECT },
        { CURLE_PROXY, FETCH_CONNECT },
        { CURLE_OPERATION_TIMEDOUT, FETCH_TIMEOUT },
        { CURLE_SSL_CONNECT_ERROR, FETCH_TLS },
        { CURLE_PEER_FAILED_VERIFICATION, FETCH_TLS },
        { CURLE_SSL_CACERT_BADFILE, FETCH_TLS },
        { CURLE_SSL_CERTPROBLEM, FETCH_TLS },
        { CURLE_SSL_CIPHER, FETCH_TLS },
    };
    if (f->cause != FETCH_COMPLETE)
        return f->cause;
    if (f->refused && code == CURLE_COULDNT_CONNECT)
        return FETCH_DENIED;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].code == code) /* HTTP/0.9 is an unsupported protocol too */
            return rows[i].end == FETCH_INPUT && has_connected(f) ? FETCH_BROKEN : rows[i].end;
    return FETCH_BROKEN;
}

static const char *text_of(enum fetch_end end, CURLcode code)
{
    switch (end) {
    case FETCH_DENIED:
        return "the address may not be reached";
    case FETCH_TOO_LARGE:
        return "the answer is too large";
    case FETCH_TIMEOUT:
        return "nothing came in time";
    case FETCH_INPUT:
        return "the URL or a field cannot be used";
    case FETCH_COMPLETE:
    case FETCH_RESOLVE:
    case FETCH_CONNECT:
    case FETCH_TLS:
    case FETCH_BROKEN:
        break;
    }
    return curl_easy_strerror(code);
}

static int status_of(const struct fetch *f)
{
    long status = 0;
    curl_easy_getinfo(f->easy, CURLINFO_RESPONSE_CODE, &status);
    return (int)status;
}

static void stop_idle(struct fetch *f)
{
    if (f->idle)
        timer_stop(f->idle);
}

/* The owner may still ask for fields of the head during on_done. */
static void finish(struct fetch *f, CURLcode code)
{
    enum fetch_end end = end_of(f, code);
    const struct fetch_result result = { end, status_of(f), text_of(end, code) };
    void (*done)(void *, const struct fetch_result *) = f->options.on_done;
    f->options.on_done = NULL;
    stop_idle(f);
    if (done)
        done(f->options.ctx, &result);
    forget(f);
}

/* Transfers that have ended. A callback may end others, so the list is asked anew each time. */
static void reap(struct fetcher *o)
{
    int left;
    for (CURLMsg *m; (m = curl_multi_info_read(o->multi, &left));) {
        struct fetch *f;
        CURLcode code = m->data.result;
        if (m->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&f);
        finish(f, code);
    }
}

static void act(struct fetcher *o, curl_socket_t fd, int events)
{
    int running;
    curl_multi_socket_action(o->multi, fd, events, &running);
    reap(o);
}

static void on_socket_ready(void *ctx, unsigned events)
{
    struct tap *t = ctx; /* gone when act returns */
    act(t->owner, watch_fd(t->watch),
        ((events & WATCH_READ) ? CURL_CSELECT_IN : 0) |
            ((events & WATCH_WRITE) ? CURL_CSELECT_OUT : 0));
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *ctx, void *socket_ctx)
{
    struct fetcher *o = ctx;
    struct tap *t = socket_ctx;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (t)
            (void)watch_take_fd(t->watch);
        free(t);
        return 0;
    }
    if (!t) {
        t = mem_get(sizeof *t);
        t->owner = o;
        t->watch = watch_new(o->loop, fd, on_socket_ready, t);
        curl_multi_assign(o->multi, fd, t);
    }
    watch_set(t->watch, ((what & CURL_POLL_IN) ? (unsigned)WATCH_READ : 0u) |
                            ((what & CURL_POLL_OUT) ? (unsigned)WATCH_WRITE : 0u));
    return 0;
}

static void on_timer(void *ctx)
{
    act(ctx, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timeout(CURLM *multi, long ms, void *ctx)
{
    struct fetcher *o = ctx;
    (void)multi;
    if (ms < 0)
        timer_stop(o->timer);
    else
        timer_start(o->timer, (uint64_t)ms);
    return 0;
}

static char *copy(const char *text)
{
    return text ? str_dup(str_of(text)) : NULL;
}

int fetcher_new(struct loop *l, const struct fetcher_options *options, struct fetcher **out,
                struct err *e)
{
    static bool begun; /* curl's own state is one for the whole process */
    if (!begun && curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return err_set(e, E_IO, 0, "begin libcurl");
    begun = true;
    socket_survive_gone_peers();
    CURLM *multi = curl_multi_init();
    if (!multi)
        return err_set(e, E_IO, 0, "begin libcurl");
    struct fetcher *o = mem_get(sizeof *o);
    o->loop = l;
    o->multi = multi;
    o->timer = timer_new(l, on_timer, o);
    o->proxy = copy(options->proxy);
    o->no_proxy = copy(options->no_proxy);
    o->ca_file = copy(options->ca_file);
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, o);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, o);
    curl_multi_setopt(multi, CURLMOPT_PIPELINING, CURLPIPE_NOTHING);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, (long)KEPT_CONNECTIONS);
    *out = o;
    return 0;
}

void fetcher_free(struct fetcher *f)
{
    if (!f)
        return;
    while (f->fetches)
        forget(f->fetches);
    curl_multi_cleanup(f->multi);
    timer_free(f->timer);
    free(f->proxy);
    free(f->no_proxy);
    free(f->ca_file);
    free(f);
}

static void watch_idle(struct fetch *f)
{
    if (!f->idle)
        return;
    curl_easy_getinfo(f->easy, CURLINFO_SIZE_UPLOAD_T, &f->uploaded);
    timer_start(f->idle, f->options.idle_ms);
}

/* Ends it for a reason of ours, from the loop. */
static void abandon(struct fetch *f, enum fetch_end cause)
{
    f->cause = cause;
    finish(f, CURLE_ABORTED_BY_CALLBACK);
}

/* While the connection is made, connect_ms is the bound; and what is sent is no silence either. */
static void on_idle(void *ctx)
{
    struct fetch *f = ctx;
    curl_off_t uploaded = 0;
    curl_easy_getinfo(f->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
    if (!has_connected(f) || uploaded != f->uploaded)
        watch_idle(f);
    else
        abandon(f, FETCH_TIMEOUT);
}

/* The empty line of a head that the owner should see: not of an interim answer, nor of one that is only
 * followed to the next. */
static bool ends_final_head(const struct fetch *f, struct str line)
{
    if (!str_eq(line, STR("\r\n")) && !str_eq(line, STR("\n")))
        return false;
    if (status_of(f) < 200)
        return false;
    bool followed = f->options.redirects && status_of(f) / 100 == 3 &&
                    fetch_answer_field((struct fetch *)f, "location").p;
    return !followed;
}

static size_t on_head_line(char *bytes, size_t size, size_t count, void *ctx)
{
    struct fetch *f = ctx;
    size_t n = size * count;
    if (f->over || f->cause != FETCH_COMPLETE)
        return 0;
    watch_idle(f);
    if (!f->told_head && ends_final_head(f, (struct str){ bytes, n })) {
        f->told_head = true;
        if (f->options.on_head)
            f->options.on_head(f->options.ctx, f, status_of(f));
    }
    return n;
}

static size_t on_body_piece(char *bytes, size_t size, size_t count, void *ctx)
{
    struct fetch *f = ctx;
    size_t n = size * count;
    if (f->cause != FETCH_COMPLETE || !f->options.on_done)
        return 0;
    if (f->paused) {
        stop_idle(f);
        return CURL_WRITEFUNC_PAUSE;
    }
    watch_idle(f);
    if (f->options.body_limit && n > f->options.body_limit - f->got) {
        f->cause = FETCH_TOO_LARGE;
        return 0;
    }
    f->got += n;
    if (f->options.on_body)
        f->options.on_body(f->options.ctx, f, (struct str){ bytes, n });
    return n;
}

/* A pooled connection was judged when it was made, perhaps by others: guarded fetches have their own. */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
    struct fetch *f = ctx;
    (void)purpose;
    if (f->options.allow && !f->options.allow(f->options.ctx, &address->addr)) {
        f->refused = true;
        return CURL_SOCKET_BAD;
    }
    f->refused = false;
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static bool is_printable(struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return true;
}

static void add_line(struct fetch *f, const char *line)
{
    struct curl_slist *longer = curl_slist_append(f->fields, line);
    CHECK(longer);
    f->fields = longer;
}

/* Sets the fields; false when one could break out of its line. */
static bool set_fields(struct fetch *f, const struct fetch_options *o)
{
    bool has_type = false;
    for (size_t i = 0; i < o->field_count; i++) {
        const struct fetch_field *field = &o->fields[i];
        AUTO_BUF line = { 0 };
        if (!field->name.n || !is_printable(field->name) || !is_printable(field->value) ||
            str_index(field->name, ':') >= 0)
            return false;
        has_type = has_type || str_eq_nocase(field->name, STR("content-type"));
        buf_add(&line, field->name);
        buf_add(&line, field->value.n ? STR(": ") : STR(";")); /* how curl spells an empty value */
        buf_add(&line, field->value);
        add_line(f, buf_text(&line));
        mem_wipe(line.p, line.n);
    }
    add_line(f, "Expect:"); /* a body is sent at once */
    if (!has_type)
        add_line(f, "Content-Type:");
    curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->fields);
    return true;
}

static bool has_body(const struct fetch_options *o)
{
    static const char *const without[] = { "GET", "HEAD", "DELETE", "OPTIONS" };
    if (o->body.p || !o->method)
        return o->body.p != NULL;
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if (strcmp(o->method, without[i]) == 0)
            return false;
    return true; /* an empty one, with its length */
}

static void set_method(struct fetch *f, const struct fetch_options *o)
{
    if (has_body(o)) {
        buf_add(&f->body, o->body);
        curl_easy_setopt(f->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)f->body.n);
        curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, f->body.p);
    }
    if (o->method && strcmp(o->method, "HEAD") == 0)
        curl_easy_setopt(f->easy, CURLOPT_NOBODY, 1L);
    else if (o->method)
        curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, o->method);
}

static long as_long(uint64_t ms)
{
    return ms < LONG_MAX ? (long)ms : LONG_MAX;
}

static void set_bounds(CURL *easy, const struct fetch_options *o)
{
    uint64_t connect_ms = o->connect_ms ? o->connect_ms : CONNECT_MS;
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, as_long(connect_ms));
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, as_long(o->total_ms));
    curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, o->redirects ? 1L : 0L);
    curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)o->redirects);
    curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(easy, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    /* Without it, ending a transfer whose name is still being looked up waits for the look-up. */
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
}

static void set_way(struct fetch *f, const struct fetch_options *o)
{
    const struct fetcher *owner = f->owner;
    if (o->direct)
        curl_easy_setopt(f->easy, CURLOPT_PROXY, "");
    else if (owner->proxy)
        curl_easy_setopt(f->easy, CURLOPT_PROXY, owner->proxy);
    if (owner->no_proxy)
        curl_easy_setopt(f->easy, CURLOPT_NOPROXY, owner->no_proxy);
    if (owner->ca_file)
        curl_easy_setopt(f->easy, CURLOPT_CAINFO, owner->ca_file);
    curl_easy_setopt(f->easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
    if (!o->allow)
        return;
    curl_easy_setopt(f->easy, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(f->easy, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(f->easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
    curl_easy_setopt(f->easy, CURLOPT_OPENSOCKETDATA, f);
}

static void set_callbacks(struct fetch *f)
{
    curl_easy_setopt(f->easy, CURLOPT_PRIVATE, (char *)f);
    curl_easy_setopt(f->easy, CURLOPT_HEADERFUNCTION, on_head_line);
    curl_easy_setopt(f->easy, CURLOPT_HEADERDATA, f);
    curl_easy_setopt(f->easy, CURLOPT_WRITEFUNCTION, on_body_piece);
    curl_easy_setopt(f->easy, CURLOPT_WRITEDATA, f);
}

static void on_unusable(void *ctx)
{
    struct fetch *f = ctx;
    if (!f->over)
        abandon(f, FETCH_INPUT);
}

struct fetch *fetch_new(struct fetcher *owner, const struct fetch_options *o)
{
    struct fetch *f = mem_get(sizeof *f);
    f->owner = owner;
    f->options = *o;
    f->easy = curl_easy_init();
    CHECK(f->easy && o->on_done);
    f->next = owner->fetches;
    f->link = &owner->fetches;
    if (f->next)
        f->next->link = &f->next;
    owner->fetches = f;
    if (o->idle_ms) {
        f->idle = timer_new(owner->loop, on_idle, f);
        watch_idle(f);
    }
    set_callbacks(f);
    set_bounds(f->easy, o);
    set_way(f, o);
    set_method(f, o);
    bool usable = set_fields(f, o) && curl_easy_setopt(f->easy, CURLOPT_URL, o->url) == CURLE_OK;
    if (!usable || curl_multi_add_handle(owner->multi, f->easy) != CURLM_OK)
        loop_later(owner->loop, on_unusable, f);
    return f;
}

void fetch_pause(struct fetch *f)
{
    f->paused = true;
    stop_idle(f);
}

static void on_resume(void *ctx)
{
    struct fetch *f = ctx;
    if (f->over || f->paused)
        return;
    watch_idle(f);
    struct fetcher *o = f->owner;
    CURLcode code = curl_easy_pause(f->easy, CURLPAUSE_CONT); /* hands over what curl holds */
    if (code != CURLE_OK)
        finish(f, code); /* curl itself would go on without the bytes that were not taken */
    reap(o);
}

void fetch_resume(struct fetch *f)
{
    f->paused = false;
    loop_later(f->owner->loop, on_resume, f);
}

static void on_cancel(void *ctx)
{
    forget(ctx);
}

/* Inside one of curl's callbacks curl cannot forget it yet. */
void fetch_cancel(struct fetch *f)
{
    if (!f || f->over || !f->options.on_done)
        return;
    f->options.on_done = NULL;
    f->cause = FETCH_BROKEN;
    loop_later(f->owner->loop, on_cancel, f);
}

struct str fetch_answer_field(struct fetch *f, const char *name)
{
    struct curl_header *found;
    if (f->over || curl_easy_header(f->easy, name, 0, CURLH_HEADER, -1, &found) != CURLHE_OK)
        return (struct str){ 0 };
    return str_of(found->value);
}
