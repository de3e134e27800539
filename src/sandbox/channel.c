#include "sandbox/channel.h"

#include "base/check.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

enum { HEAD = 4, READ_AT_ONCE = 64 << 10, OUT_MAX = 4 << 20 };

void channel_init(struct channel *c, int fd)
{
    *c = (struct channel){ .fd = fd };
    int flags = fcntl(fd, F_GETFL);
    CHECK(flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
}

void channel_release(struct channel *c)
{
    fd_drop(&c->fd);
    for (size_t i = 0; i < c->fds_in_count; i++)
        fd_drop(&c->fds_in[i]);
    c->fds_in_count = 0;
    buf_release(&c->in);
    buf_release(&c->out);
}

static void drop_front(struct buf *b, size_t n)
{
    b->n -= n;
    memmove(b->p, b->p + n, b->n);
    b->p[b->n] = '\0';
}

/* Sends the start of `bytes`, with the descriptors on its first byte. Bytes sent, 0 = would block. */
static ssize_t send_some(int fd, struct str bytes, const int *fds, size_t fd_count, struct err *e)
{
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
    } control = { 0 };
    struct iovec part = { (char *)bytes.p, bytes.n };
    struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd_count) {
        message.msg_control = control.room;
        message.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *at = &control.head;
        *at = (struct cmsghdr){ .cmsg_level = SOL_SOCKET,
                                .cmsg_type = SCM_RIGHTS,
                                .cmsg_len = CMSG_LEN(sizeof(int) * fd_count) };
        memcpy(CMSG_DATA(at), fds, sizeof(int) * fd_count);
    }
    ssize_t sent;
    do
        sent = sendmsg(fd, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (sent < 0)
        return err_set(e, errno == EPIPE || errno == ECONNRESET ? E_MISSING : E_IO, errno,
                       "write to the channel");
    return sent;
}

int channel_put(struct channel *c, struct str json, const int *fds, size_t fd_count, struct err *e)
{
    CHECK(fd_count <= CHANNEL_FDS_MAX);
    if (json.n == 0 || json.n > CHANNEL_FRAME_MAX)
        return err_set(e, E_INPUT, 0, "a frame of %zu bytes does not fit the channel", json.n);
    if (c->out.n + HEAD + json.n > OUT_MAX)
        return err_set(e, E_BUSY, 0, "the other side of the channel does not read");
    if (fd_count && c->out.n)
        return err_set(e, E_BUSY, 0, "descriptors need an empty channel");
    unsigned char head[HEAD] = { (unsigned char)(json.n >> 24), (unsigned char)(json.n >> 16),
                                 (unsigned char)(json.n >> 8), (unsigned char)json.n };
    buf_add(&c->out, (struct str){ (const char *)head, HEAD });
    buf_add(&c->out, json);
    if (!fd_count)
        return 0;
    ssize_t sent = send_some(c->fd, buf_str(&c->out), fds, fd_count, e);
    if (sent <= 0) {
        buf_empty(&c->out); /* without its descriptors the frame would be misread */
        return sent < 0 ? -1 : err_set(e, E_BUSY, 0, "the other side of the channel does not read");
    }
    drop_front(&c->out, (size_t)sent);
    return 0;
}

int channel_flush(struct channel *c, struct err *e)
{
    while (c->out.n) {
        ssize_t sent = send_some(c->fd, buf_str(&c->out), NULL, 0, e);
        if (sent < 0)
            return -1;
        if (sent == 0)
            return 0;
        drop_front(&c->out, (size_t)sent);
    }
    return 0;
}

/* Keeps the descriptors that came; more than fit are closed and the peer counts as broken. */
static int keep_fds(struct channel *c, struct msghdr *message, struct err *e)
{
    bool fits = !(message->msg_flags & MSG_CTRUNC);
    for (struct cmsghdr *at = CMSG_FIRSTHDR(message); at; at = CMSG_NXTHDR(message, at)) {
        if (at->cmsg_level != SOL_SOCKET || at->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (at->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(at) + i * sizeof fd, sizeof fd);
            if (c->fds_in_count < CHANNEL_FDS_MAX) {
                c->fds_in[c->fds_in_count++] = fd;
            } else {
                close(fd);
                fits = false;
            }
        }
    }
    return fits ? 0 : err_set(e, E_INPUT, 0, "too many descriptors on the channel");
}

/* The length that the frame at the front announces, 0 while it is not known. */
static size_t frame_length(const struct channel *c)
{
    if (c->in.n < HEAD)
        return 0;
    const unsigned char *p = (const unsigned char *)c->in.p;
    return (size_t)p[0] << 24 | (size_t)p[1] << 16 | (size_t)p[2] << 8 | p[3];
}

static int check_frame(const struct channel *c, struct err *e)
{
    if (c->in.n >= HEAD && (frame_length(c) == 0 || frame_length(c) > CHANNEL_FRAME_MAX))
        return err_set(e, E_INPUT, 0, "a frame of %zu bytes on the channel", frame_length(c));
    return 0;
}

/* Gives back what channel_next has lent. */
static void drop_taken(struct channel *c)
{
    if (c->taken)
        drop_front(&c->in, c->taken);
    c->taken = 0;
}

int channel_fill(struct channel *c, struct err *e)
{
    drop_taken(c);
    union {
        struct cmsghdr head;
        char room[CMSG_SPACE(sizeof(int) * CHANNEL_FDS_MAX)];
    } control;
    struct iovec part = { buf_room(&c->in, READ_AT_ONCE), READ_AT_ONCE };
    struct msghdr message = { .msg_iov = &part,
                              .msg_iovlen = 1,
                              .msg_control = control.room,
                              .msg_controllen = sizeof control.room };
    ssize_t got;
    do
        got = recvmsg(c->fd, &message, MSG_CMSG_CLOEXEC);
    while (got < 0 && errno == EINTR);
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return 0;
    if (got < 0)
        return err_set(e, E_IO, errno, "read from the channel");
    if (got == 0)
        return err_set(e, c->in.n ? E_IO : E_MISSING, 0, "the channel has ended");
    buf_grew(&c->in, (size_t)got);
    if (keep_fds(c, &message, e) < 0)
        return -1;
    return check_frame(c, e) < 0 ? -1 : 1;
}

bool channel_next(struct channel *c, struct str *json)
{
    drop_taken(c);
    size_t n = frame_length(c);
    if (n == 0 || c->in.n - HEAD < n)
        return false;
    *json = (struct str){ c->in.p + HEAD, n };
    c->taken = HEAD + n;
    return true;
}
