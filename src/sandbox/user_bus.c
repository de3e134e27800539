#include "sandbox/user_bus.h"

#include "base/fd.h"
#include "egress/clean.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

enum { READ_AT_ONCE = 4096, ERROR_SHOWN = 200 };

#define BUS "org.freedesktop.DBus"

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int wait_for(const struct user_bus *b, short events, struct err *e)
{
    for (;;) {
        int64_t left = b->deadline - now_ms();
        struct pollfd at = { .fd = b->fd, .events = events };
        int n = left > 0 ? poll(&at, 1, (int)left) : 0;
        if (n > 0)
            return 0;
        if (n == 0)
            return err_set(e, E_IO, ETIMEDOUT, "wait for the bus");
        if (errno != EINTR)
            return err_set(e, E_IO, errno, "wait for the bus");
    }
}

static int send_all(const struct user_bus *b, struct str bytes, struct err *e)
{
    while (bytes.n) {
        ssize_t sent = send(b->fd, bytes.p, bytes.n, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return err_set(e, E_IO, errno, "write to the bus");
        if (sent < 0 && wait_for(b, POLLOUT, e) < 0)
            return -1;
        bytes = str_skip(bytes, sent > 0 ? (size_t)sent : 0);
    }
    return 0;
}

/* More bytes; what has come stays bounded because each message is. Descriptors are never taken. */
static int read_more(struct user_bus *b, struct err *e)
{
    if (wait_for(b, POLLIN, e) < 0)
        return -1;
    ssize_t got = recv(b->fd, buf_room(&b->in, READ_AT_ONCE), READ_AT_ONCE, MSG_DONTWAIT);
    if (got == 0)
        return err_set(e, E_IO, 0, "the bus has hung up");
    if (got < 0 && errno != EAGAIN && errno != EINTR)
        return err_set(e, E_IO, errno, "read from the bus");
    buf_grew(&b->in, got > 0 ? (size_t)got : 0);
    return 0;
}

static void use(struct user_bus *b, size_t n)
{
    b->in.n -= n;
    memmove(b->in.p, b->in.p + n, b->in.n);
}

static int connect_to(struct user_bus *b, const char *runtime_dir, struct err *e)
{
    struct sockaddr_un to = { .sun_family = AF_UNIX };
    struct ucred peer;
    socklen_t size = sizeof peer;
    int n = runtime_dir ? snprintf(to.sun_path, sizeof to.sun_path, "%s/bus", runtime_dir)
                        : snprintf(to.sun_path, sizeof to.sun_path, "/run/user/%u/bus", geteuid());
    if (n < 0 || (size_t)n >= sizeof to.sun_path || to.sun_path[0] != '/')
        return err_set(e, E_MISSING, 0, "XDG_RUNTIME_DIR does not lead to a bus");
    b->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (b->fd < 0 || connect(b->fd, (struct sockaddr *)&to, sizeof to) < 0)
        return err_set(e, E_MISSING, errno, "the user's bus '%s'", to.sun_path);
    if (getsockopt(b->fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0 ||
        (peer.uid != 0 && peer.uid != geteuid()))
        return err_set(e, E_DENIED, 0, "the bus '%s' is somebody else's", to.sun_path);
    return 0;
}

static int greet(struct user_bus *b, struct err *e)
{
    AUTO_BUF out = { 0 };
    size_t taken = 0;
    int got;
    dbus_put_greeting(&out, geteuid());
    if (send_all(b, buf_str(&out), e) < 0)
        return -1;
    while ((got = dbus_read_greeting(buf_str(&b->in), &taken, e)) == 0)
        if (read_more(b, e) < 0)
            return -1;
    if (got < 0)
        return -1;
    use(b, taken);
    buf_empty(&out);
    dbus_put_begin(&out);
    if (send_all(b, buf_str(&out), e) < 0)
        return -1;
    struct dbus_call hello = { .destination = BUS,
                               .path = "/org/freedesktop/DBus",
                               .interface = BUS,
                               .member = "Hello",
                               .signature = "" };
    return user_bus_call(b, &hello, e);
}

int user_bus_open(struct user_bus *b, const char *runtime_dir, int64_t patience_ms, struct err *e)
{
    *b = (struct user_bus){ .fd = -1, .deadline = now_ms() + patience_ms };
    if (connect_to(b, runtime_dir, e) == 0 && greet(b, e) == 0)
        return 0;
    user_bus_close(b);
    return -1;
}

void user_bus_close(struct user_bus *b)
{
    fd_drop(&b->fd);
    buf_release(&b->in);
}

static int judge_answer(const struct dbus_message *m, struct err *e)
{
    AUTO_BUF name = { 0 }, text = { 0 };
    if (m->type == DBUS_RETURN)
        return 0;
    clean_text(&name, m->error_name, ERROR_SHOWN);
    clean_text(&text, m->text, ERROR_SHOWN);
    bool nobody = str_eq(m->error_name, STR(BUS ".Error.NameHasNoOwner")) ||
                  str_eq(m->error_name, STR(BUS ".Error.ServiceUnknown"));
    return err_set(e, nobody ? E_MISSING : E_IO, 0, "%s%s%s", buf_text(&name), text.n ? ": " : "",
                   buf_text(&text));
}

int user_bus_call(struct user_bus *b, struct dbus_call *call, struct err *e)
{
    AUTO_BUF out = { 0 };
    struct dbus_message m;
    size_t taken = 0;
    call->serial = ++b->serial;
    dbus_put_call(&out, call);
    if (send_all(b, buf_str(&out), e) < 0)
        return -1;
    for (;;) {
        int got = dbus_read(buf_str(&b->in), &m, &taken, e);
        if (got < 0 || (got == 0 && read_more(b, e) < 0))
            return -1;
        if (got == 0)
            continue;
        bool ours = (m.type == DBUS_RETURN || m.type == DBUS_ERROR) && m.reply_to == call->serial;
        int result = ours ? judge_answer(&m, e) : 0;
        use(b, taken);
        if (ours)
            return result;
    }
}
