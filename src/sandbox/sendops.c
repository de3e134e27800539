#include "sandbox/sendops.h"

#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/pending.h"
#include "sandbox/sockops.h"
#include "sandbox/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum {
    DATA_MAX = 1 << 20, /* of one send; a stream gets the rest with the next */
    PARTS_MAX = 1024,   /* IOV_MAX */
    CONTROL_MAX = 64 << 10,
    PASSED_MAX = 253,  /* SCM_MAX_FD */
    MESSAGES_MAX = 64, /* of one sendmmsg */
    TIDS = 4 << 20,    /* PID_MAX_LIMIT */
    SETTLE_MS = 2000,  /* how long the first datagram socket waits */
};

/* One message on its way. */
struct outgoing {
    int socket, object; /* owned; `object` takes the place of the path in the address */
    int flags, type;
    bool waits; /* the caller would have */
    unsigned char *data, *control;
    size_t size, done, control_size;
    union address to;
    uint32_t to_size;
    int passed[PASSED_MAX]; /* owned: our copies of what SCM_RIGHTS passes */
    size_t passed_count;
    uint64_t
        length_at; /* of sendmmsg: where the caller wants the number of bytes; 0 = it is the result */
};

static void outgoing_free(void *ctx)
{
    struct outgoing *o = ctx;
    fd_drop(&o->socket);
    fd_drop(&o->object);
    for (size_t i = 0; i < o->passed_count; i++)
        fd_drop(&o->passed[i]);
    free(o->data);
    free(o->control);
    free(o);
}

static void outgoing_drop(struct outgoing **o)
{
    if (*o)
        outgoing_free(*o);
}

#define AUTO_OUTGOING CLEANUP(outgoing_drop) struct outgoing *

static struct outgoing *outgoing_new(struct request *q, int socket, int flags, int *os)
{
    struct outgoing *o = mem_get(sizeof *o);
    socklen_t n = sizeof o->type;
    o->socket = o->object = -1;
    o->flags = flags;
    *os = flags & MSG_FASTOPEN ? EOPNOTSUPP : flags & MSG_ZEROCOPY ? ENOBUFS : 0;
    if (!*os)
        *os = tracee_copy_descriptor(q, socket, &o->socket);
    if (!*os && getsockopt(o->socket, SOL_SOCKET, SO_TYPE, &o->type, &n) < 0)
        *os = errno;
    o->waits = !*os && !(flags & MSG_DONTWAIT) && !(fcntl(o->socket, F_GETFL) & O_NONBLOCK);
    return o;
}

/* Gathers the caller's bytes. */
static int take_data(struct request *q, struct outgoing *o, const struct iovec *parts, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        if (__builtin_add_overflow(size, parts[i].iov_len, &size) || size > SSIZE_MAX)
            return EINVAL;
    if (size > DATA_MAX && o->type != SOCK_STREAM)
        return EMSGSIZE;
    o->size = size < DATA_MAX ? size : DATA_MAX;
    o->data = mem_get(o->size + 1);
    struct iovec here = { o->data, o->size };
    if (o->size == 0)
        return 0;
    ssize_t got = process_vm_readv(q->call.tid, &here, 1, parts, count, 0);
    return got == (ssize_t)o->size ? 0 : EFAULT;
}

static int take_rights(struct request *q, struct outgoing *o, int *fds, size_t count)
{
    if (count > PASSED_MAX - o->passed_count)
        return EINVAL;
    for (size_t i = 0; i < count; i++) {
        int os = tracee_copy_descriptor(q, fds[i], &o->passed[o->passed_count]);
        if (os)
            return os;
        fds[i] = o->passed[o->passed_count++];
    }
    return 0;
}

/* What names descriptors and processes of the caller must name ours. */
static int translate(struct request *q, struct outgoing *o)
{
    for (size_t at = 0; o->control_size - at >= sizeof(struct cmsghdr);) {
        struct cmsghdr *c = (struct cmsghdr *)(void *)(o->control + at);
        if (c->cmsg_len < sizeof *c || c->cmsg_len > o->control_size - at)
            return EINVAL;
        size_t size = c->cmsg_len - CMSG_LEN(0);
        int os = 0;
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS)
            os = take_rights(q, o, (int *)(void *)CMSG_DATA(c), size / sizeof(int));
        struct ucred who;
        if (c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS && size == sizeof who) {
            memcpy(&who, CMSG_DATA(c), sizeof who);
            os = who.pid == tracee_tgid(q) ? 0 : EPERM;
            who.pid = getpid();
            memcpy(CMSG_DATA(c), &who, sizeof who);
        }
        if (os)
            return os;
        size_t step = CMSG_ALIGN(c->cmsg_len);
        if (step >= o->control_size - at)
            break;
        at += step;
    }
    return 0;
}

static int take_control(struct request *q, struct outgoing *o, const struct msghdr *m)
{
    if (m->msg_controllen > CONTROL_MAX)
        return ENOBUFS;
    if (!m->msg_control || m->msg_controllen == 0)
        return 0;
    o->control_size = m->msg_controllen;
    o->control = mem_get(o->control_size);
    int os = tracee_read(q, (uint64_t)(uintptr_t)m->msg_control, o->control, o->control_size);
    return os ? os : translate(q, o);
}

/* Only datagrams are looked up by the name that comes with them; elsewhere the kernel says what it thinks
 * of one. */
static int take_address(struct request *q, struct outgoing *o, uint64_t from, uint32_t size)
{
    if (!from || size == 0)
        return 0;
    if (size > sizeof o->to.room)
        return EINVAL;
    o->to_size = size;
    int os = tracee_read(q, from, &o->to, size);
    if (!os && !tracee_is_there(q))
        os = EINTR;
    if (os || o->type != SOCK_DGRAM)
        return os;
    return sockop_judge(q, o->socket, &o->to, size, &o->object);
}

static int take_message(struct request *q, struct outgoing *o, uint64_t from)
{
    struct msghdr m;
    int os = tracee_read(q, from, &m, sizeof m);
    if (os)
        return os;
    if (m.msg_iovlen > PARTS_MAX)
        return EMSGSIZE;
    AUTO_FREE struct iovec *parts = mem_array(m.msg_iovlen + 1, sizeof *parts);
    if (m.msg_iovlen)
        os = tracee_read(q, (uint64_t)(uintptr_t)m.msg_iov, parts, m.msg_iovlen * sizeof *parts);
    if (os || (os = take_data(q, o, parts, m.msg_iovlen)) != 0 ||
        (os = take_control(q, o, &m)) != 0)
        return os;
    os = take_address(q, o, (uint64_t)(uintptr_t)m.msg_name, m.msg_namelen);
    return os || tracee_is_there(q) ? os : EINTR;
}

/* One try without waiting. 0 when there is nothing more to send, or errno. */
static int push(struct outgoing *o)
{
    struct sockaddr_un by_object = { .sun_family = AF_UNIX };
    struct msghdr m = { .msg_iovlen = 1 };
    do {
        struct iovec rest = { o->data + o->done, o->size - o->done };
        m.msg_iov = &rest;
        m.msg_name = o->to_size ? &o->to : NULL;
        m.msg_namelen = o->to_size;
        if (o->object >= 0) {
            snprintf(by_object.sun_path, sizeof by_object.sun_path, "/proc/self/fd/%d", o->object);
            m.msg_name = &by_object;
            m.msg_namelen = sizeof by_object;
        }
        m.msg_control = o->done ? NULL : o->control;
        m.msg_controllen = o->done ? 0 : o->control_size;
        ssize_t n = sendmsg(o->socket, &m, o->flags | MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0)
            return errno;
        o->done += (size_t)n;
    } while (o->type == SOCK_STREAM && o->done < o->size);
    return 0;
}

/* True when the caller must wait for more room. Else *os says what became of the message. */
static bool must_wait(const struct outgoing *o, int *os)
{
    if (*os == EAGAIN && o->waits)
        return true;
    if (o->done > 0)
        *os = 0; /* what has been sent counts; the error comes with the next send */
    return false;
}

static void raise_pipe(struct request *q, const struct outgoing *o, int os)
{
    if (os == EPIPE && o->type == SOCK_STREAM && !(o->flags & MSG_NOSIGNAL))
        syscall(SYS_tgkill, tracee_tgid(q), q->call.tid, SIGPIPE);
}

static int tell_length(struct request *q, const struct outgoing *o)
{
    unsigned length = (unsigned)o->done;
    struct iovec here = { &length, sizeof length };
    struct iovec there = { (void *)(uintptr_t)o->length_at, sizeof length };
    return process_vm_writev(q->call.tid, &here, 1, &there, 1, 0) == sizeof length ? 0 : EFAULT;
}

/* The end of the call: bytes, or one message of sendmmsg. */
static int answer(struct request *q, const struct outgoing *o, int os)
{
    if (!os && o->length_at)
        os = tell_length(q, o);
    raise_pipe(q, o, os);
    if (os)
        return os;
    notify_answer(&q->w->notify, &q->call, o->length_at ? 1 : (int64_t)o->done, 0);
    return REQUEST_ANSWERED;
}

static int attempt_push(struct pending *p)
{
    int os = push(p->job);
    return must_wait(p->job, &os) ? PENDING_AGAIN : answer(&p->q, p->job, os);
}

/* Takes over *o when it has to wait. */
static int send_off(struct request *q, struct outgoing **o)
{
    int os = push(*o);
    if (!must_wait(*o, &os))
        return answer(q, *o, os);
    struct pending later = { .source.fd = -1,
                             .q = *q,
                             .object = -1,
                             .deadline = sockop_deadline((*o)->socket),
                             .late = EAGAIN,
                             .attempt = attempt_push,
                             .job = *o,
                             .drop = outgoing_free };
    /* A datagram waits for its receiver's room, which the socket does not tell. */
    bool tells = (*o)->type == SOCK_STREAM;
    if (tells)
        later.source.fd = fcntl((*o)->socket, F_DUPFD_CLOEXEC, 0);
    *o = NULL;
    return pending_add(&later, tells ? EPOLLOUT | EPOLLERR | EPOLLHUP : 0);
}

/* The kernel does it: no socket exists that a name could lead anywhere. */
static int let_through(struct request *q)
{
    struct warden *w = q->w;
    if (!w->senders)
        w->senders = mem_get(TIDS / 8);
    if (q->call.tid < TIDS)
        w->senders[q->call.tid / 8] |= (uint8_t)(1u << q->call.tid % 8);
    notify_continue(&w->notify, &q->call);
    return REQUEST_ANSWERED;
}

int sendop_to(struct request *q, const uint64_t a[6])
{
    int os;
    if (!q->w->judges_sends)
        return let_through(q);
    AUTO_OUTGOING o = outgoing_new(q, (int)a[0], (int)a[3], &os);
    const struct iovec part = { (void *)(uintptr_t)a[1], (size_t)a[2] };
    if (os || (os = take_data(q, o, &part, 1)) != 0 ||
        (os = take_address(q, o, a[4], (uint32_t)a[5])) != 0)
        return os;
    return tracee_is_there(q) ? send_off(q, &o) : EINTR;
}

int sendop_message(struct request *q, const uint64_t a[6])
{
    int os;
    if (!q->w->judges_sends)
        return let_through(q);
    AUTO_OUTGOING o = outgoing_new(q, (int)a[0], (int)a[2], &os);
    if (!os)
        os = take_message(q, o, a[1]);
    return os ? os : send_off(q, &o);
}

int sendop_messages(struct request *q, const uint64_t a[6])
{
    size_t count = (uint32_t)a[2] < MESSAGES_MAX ? (uint32_t)a[2] : MESSAGES_MAX, sent = 0;
    int os = 0;
    if (!q->w->judges_sends)
        return let_through(q);
    for (; sent < count; sent++) {
        const uint64_t at = a[1] + sent * sizeof(struct mmsghdr);
        AUTO_OUTGOING o = outgoing_new(q, (int)a[0], (int)a[3], &os);
        if (os || (os = take_message(q, o, at)) != 0)
            break;
        o->length_at = at + offsetof(struct mmsghdr, msg_len);
        if (sent == 0 && count == 1)
            return send_off(q, &o);
        os = push(o);
        if (sent == 0 && os == EAGAIN && o->waits)
            return send_off(q, &o);
        if (os && o->done == 0) {
            raise_pipe(q, o, os);
            break;
        }
        if ((os = tell_length(q, o)) != 0)
            break;
    }
    if (sent == 0)
        return os;
    notify_answer(&q->w->notify, &q->call, (int64_t)sent, 0);
    return REQUEST_ANSWERED;
}

/* A thread that was let through is past the point where it takes its socket as soon as it has slept, or
 * stopped, or ended. */
static bool may_still_send(struct warden *w, pid_t tid)
{
    char path[32], text[256];
    snprintf(path, sizeof path, "%d/stat", tid);
    AUTO_FD fd = openat(w->proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    const char *end = strrchr(text, ')');
    return end && strncmp(end, ") R", 3) == 0;
}

static bool some_may_still_send(struct warden *w, pid_t but)
{
    for (pid_t tid = 0; w->senders && tid < TIDS; tid += 8)
        for (int bit = 0; w->senders[tid / 8] >> bit; bit++) {
            bool let = w->senders[tid / 8] >> bit & 1;
            if (let && tid + bit != but && may_still_send(w, tid + bit))
                return true;
            w->senders[tid / 8] &= (uint8_t) ~(1u << bit);
        }
    free(w->senders);
    w->senders = NULL;
    return false;
}

static int attempt_socket(struct pending *p)
{
    if (some_may_still_send(p->q.w, p->q.call.tid))
        return PENDING_AGAIN;
    notify_continue(&p->q.w->notify, &p->q.call);
    return REQUEST_ANSWERED;
}

int sendop_socket(struct request *q)
{
    struct warden *w = q->w;
    const struct warden_options *o = &w->options;
    if (o->all_unix_sockets || o->unix_datagrams) {
        notify_continue(&w->notify, &q->call); /* nothing but numbers in its arguments */
        return REQUEST_ANSWERED;
    }
    w->judges_sends = true; /* from now on; what was let through before may still be under way */
    struct pending later = { .source.fd = -1,
                             .q = *q,
                             .object = -1,
                             .deadline = warden_now() + (int64_t)SETTLE_MS * 1000000,
                             .late = EAGAIN,
                             .attempt = attempt_socket };
    int result = attempt_socket(&later);
    return result == PENDING_AGAIN ? pending_add(&later, 0) : result;
}
