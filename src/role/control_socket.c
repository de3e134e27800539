#include "role/control_socket.h"

#include "base/fd.h"
#include "io/listen.h"
#include "io/socket.h"
#include "io/timer.h"
#include "io/watch.h"
#include "proto/json_write.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/un.h>

enum { REQUEST_MAX = 64 << 10, ANSWER_MAX = 16 << 20, GUESTS = 16, GUEST_MS = 10000 };

/* One connection: reads a line, waits for its answer, writes it. */
struct guest {
    struct control_socket *socket; /* NULL: the socket is gone, nobody is answered */
    struct watch *watch;           /* NULL: the peer is gone */
    struct timer *timer;
    struct buf in, out;
    size_t sent;
    bool asked; /* an operation is under way: the guest waits for it */
};

struct control_socket {
    struct loop *loop;
    struct operator_parts parts;
    struct listening listening;
    struct watch *listener; /* holds its descriptor */
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    int directory; /* O_PATH of the state directory */
    struct guest *guests[GUESTS];
};

/* The socket's path, through /proc when it is relative or too long for an address. */
static int socket_path(const char *state, int directory, char *out, size_t room, struct err *e)
{
    int n = snprintf(out, room, "%s/control.sock", state);
    if (state[0] == '/' && n > 0 && (size_t)n < room)
        return 0;
    n = snprintf(out, room, "/proc/self/fd/%d/control.sock", directory);
    return n > 0 && (size_t)n < room ? 0
                                     : err_set(e, E_INPUT, 0, "the path '%s' is too long", state);
}

static void guest_close(struct guest *g)
{
    watch_free(g->watch);
    timer_free(g->timer);
    g->watch = NULL;
    g->timer = NULL;
    for (size_t i = 0; g->socket && i < GUESTS; i++)
        if (g->socket->guests[i] == g)
            g->socket->guests[i] = NULL;
    if (g->asked)
        return; /* freed when the operation answers */
    buf_release(&g->in);
    if (g->out.p)
        mem_wipe(g->out.p, g->out.n); /* may show a key */
    buf_release(&g->out);
    free(g);
}

static void guest_write(struct guest *g)
{
    while (g->sent < g->out.n) {
        ssize_t n = socket_write(watch_fd(g->watch), str_skip(buf_str(&g->out), g->sent));
        if (n < 0 && errno == EAGAIN) {
            watch_set(g->watch, WATCH_WRITE);
            return;
        }
        if (n <= 0)
            break; /* the command has gone */
        g->sent += (size_t)n;
    }
    guest_close(g);
}

static void on_operated(void *ctx, const struct err *e, struct str json)
{
    struct guest *g = ctx;
    g->asked = false;
    if (!g->watch) {
        guest_close(g);
        return;
    }
    json_write_object(&g->out);
    json_member_bool(&g->out, "ok", e->kind == E_NONE);
    if (e->kind == E_NONE) {
        json_write_key(&g->out, STR("result"));
        json_write_raw(&g->out, json);
    } else {
        json_member_text(&g->out, "error", err_name(e->kind));
        json_member_text(&g->out, "message", e->text);
    }
    json_write_object_end(&g->out);
    buf_add_byte(&g->out, '\n');
    guest_write(g);
}

static void guest_ask(struct guest *g)
{
    AUTO_JSON request = NULL;
    struct err e = { 0 };
    watch_set(g->watch, 0);
    g->asked = true;
    if (json_parse(buf_str(&g->in), &request, &e) < 0)
        on_operated(g, &e, STR(""));
    else
        operator_do(&g->socket->parts, request, on_operated, g);
}

static void on_guest(void *ctx, unsigned events)
{
    struct guest *g = ctx;
    char bytes[4096];
    if (events & WATCH_WRITE) {
        guest_write(g);
        return;
    }
    ssize_t n = socket_read(watch_fd(g->watch), bytes, sizeof bytes);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0 || g->in.n + (size_t)n > REQUEST_MAX) {
        guest_close(g);
        return;
    }
    buf_add(&g->in, (struct str){ bytes, (size_t)n });
    if (g->in.p[g->in.n - 1] == '\n')
        guest_ask(g);
}

static void on_slow(void *ctx)
{
    guest_close(ctx);
}

static bool may_ask(int fd)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 &&
           (peer.uid == 0 || peer.uid == geteuid());
}

static void on_listener(void *ctx, unsigned events)
{
    struct control_socket *s = ctx;
    AUTO_FD fd = socket_accept(watch_fd(s->listener), NULL);
    (void)events;
    if (fd < 0 || !may_ask(fd))
        return;
    for (size_t i = 0; i < GUESTS; i++) {
        if (s->guests[i])
            continue;
        struct guest *g = s->guests[i] = mem_get(sizeof *g);
        g->socket = s;
        g->watch = watch_new(s->loop, fd_take(&fd), on_guest, g);
        g->timer = timer_new(s->loop, on_slow, g);
        timer_start(g->timer, GUEST_MS);
        watch_set(g->watch, WATCH_READ);
        return;
    }
}

int control_socket_new(struct control_socket **out, struct loop *l, const char *state,
                       const struct operator_parts *parts, struct err *e)
{
    AUTO_FREE struct control_socket *s = mem_get(sizeof *s);
    AUTO_FD directory = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return err_set(e, E_IO, errno, "open '%s'", state);
    if (socket_path(state, directory, s->path, sizeof s->path, e) < 0)
        return -1;
    AUTO_BUF address = { 0 };
    buf_addf(&address, "unix:%s", s->path);
    if (listen_open(buf_text(&address), &s->listening, e) < 0)
        return err_while(e, "open the control socket");
    s->loop = l;
    s->parts = *parts;
    s->directory = fd_take(&directory);
    s->listener = watch_new_shared(l, s->listening.fd, on_listener, s);
    watch_set(s->listener, WATCH_READ);
    *out = mem_take(&s);
    return 0;
}

void control_socket_free(struct control_socket *s)
{
    if (!s)
        return;
    s->listening.fd = watch_take_fd(s->listener);
    listen_close(&s->listening);
    for (size_t i = 0; i < GUESTS; i++)
        if (s->guests[i]) {
            struct guest *g = s->guests[i];
            s->guests[i] = NULL;
            g->socket = NULL;
            guest_close(g);
        }
    fd_drop(&s->directory);
    free(s);
}

/* --- the command's side --- */

static int exchange_lines(int fd, struct str request, struct buf *answer, struct err *e)
{
    for (size_t sent = 0; sent < request.n;) {
        ssize_t n = socket_write(fd, str_skip(request, sent));
        if (n < 0)
            return err_set(e, E_IO, errno, "ask the server");
        sent += (size_t)n;
    }
    for (;;) {
        ssize_t n = socket_read(fd, buf_room(answer, 4096), 4096);
        if (n < 0)
            return err_set(e, E_IO, errno == EAGAIN ? ETIMEDOUT : errno,
                           "wait for the server's answer");
        if (n == 0)
            return answer->n
                       ? 0
                       : err_set(e, E_DENIED, 0, "the server does not answer: are you its user?");
        buf_grew(answer, (size_t)n);
        if (answer->n > ANSWER_MAX)
            return err_set(e, E_IO, 0, "the server's answer does not end");
    }
}

/* What the server said: its result as a tree of its own, or its error. */
static int read_answer(struct str text, struct json **out, struct err *e)
{
    AUTO_JSON answer = NULL;
    AUTO_BUF result = { 0 };
    struct str kind = { 0 }, message = { 0 };
    bool ok = false;
    if (json_parse(text, &answer, e) < 0)
        return err_while(e, "read the server's answer");
    json_to_bool(json_get(answer, "ok"), &ok);
    if (ok && json_get(answer, "result")) {
        json_write_value(&result, json_get(answer, "result"));
        return json_parse(buf_str(&result), out, e);
    }
    json_to_str(json_get(answer, "error"), &kind);
    json_to_str(json_get(answer, "message"), &message);
    enum err_kind found = E_BUG;
    for (int i = E_NONE + 1; i < E_KINDS; i++)
        if (str_eq(kind, str_of(err_name((enum err_kind)i))))
            found = (enum err_kind)i;
    return err_set(e, found, 0, "%.*s", message.n < 400 ? (int)message.n : 400,
                   message.p ? message.p : "");
}

int control_socket_ask(const char *state, struct str request, struct json **out, struct err *e)
{
    char path[sizeof((struct sockaddr_un *)0)->sun_path];
    struct timeval patience = { .tv_sec = 30 };
    AUTO_BUF line = { 0 };
    AUTO_BUF answer = { 0 };
    AUTO_FD directory = open(state, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0)
        return errno == ENOENT ? 0 : err_set(e, E_IO, errno, "open '%s'", state);
    if (socket_path(state, directory, path, sizeof path, e) < 0)
        return -1;
    AUTO_FD fd = socket_connect_unix(path);
    if (fd < 0)
        return errno == ENOENT || errno == ECONNREFUSED
                   ? 0
                   : err_set(e, E_IO, errno, "reach the server at '%s'", path);
    int flags = fcntl(fd, F_GETFL); /* a command may wait */
    if (flags < 0 || fcntl(fd, F_SETFL, flags & ~O_NONBLOCK) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0)
        return err_set(e, E_IO, errno, "wait for the server");
    buf_add(&line, request);
    buf_add_byte(&line, '\n');
    if (exchange_lines(fd, buf_str(&line), &answer, e) < 0)
        return -1;
    int rc = read_answer(buf_str(&answer), out, e);
    mem_wipe(answer.p, answer.n);
    return rc < 0 ? -1 : 1;
}
