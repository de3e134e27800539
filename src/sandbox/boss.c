#include "sandbox/boss.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int put(int socket, const struct boss_message *m, const int *fds, size_t fd_count, int flags,
               struct err *e)
{
    union {
        char space[CMSG_SPACE(BOSS_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control = { 0 };
    size_t n = offsetof(struct boss_message, body) + m->length;
    struct iovec part = { .iov_base = (void *)m, .iov_len = n };
    struct msghdr header = { .msg_iov = &part, .msg_iovlen = 1 };
    if (fd_count > BOSS_FDS_MAX || m->length > BOSS_BODY_MAX)
        return err_set(e, E_BUG, EMSGSIZE, "message %u", m->kind);
    if (fd_count) {
        header.msg_control = &control;
        header.msg_controllen = CMSG_SPACE(fd_count * sizeof *fds);
        struct cmsghdr *c = CMSG_FIRSTHDR(&header);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(fd_count * sizeof *fds);
        memcpy(CMSG_DATA(c), fds, fd_count * sizeof *fds);
    }
    ssize_t sent;
    do
        sent = sendmsg(socket, &header, MSG_NOSIGNAL | flags);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? err_set(e, E_IO, errno, "send message %u", m->kind) : 0;
}

int boss_send(int socket, const struct boss_message *m, const int *fds, size_t fd_count,
              struct err *e)
{
    return put(socket, m, fds, fd_count, 0, e);
}

int boss_offer(int socket, const struct boss_message *m, struct err *e)
{
    return put(socket, m, NULL, 0, MSG_DONTWAIT, e);
}

static void take_descriptors(struct msghdr *header, int fds[BOSS_FDS_MAX], size_t *fd_count)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < n; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
            if (*fd_count < BOSS_FDS_MAX)
                fds[(*fd_count)++] = fd;
            else
                close(fd);
        }
    }
}

int boss_receive(int socket, struct boss_message *m, int fds[BOSS_FDS_MAX], size_t *fd_count,
                 struct err *e)
{
    union {
        char space[CMSG_SPACE(BOSS_FDS_MAX * sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = { .iov_base = m, .iov_len = sizeof *m };
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    *fd_count = 0;
    memset(m, 0, sizeof *m);
    ssize_t got;
    /* Of a peer that ended without having read everything, the kernel says that first (once), and only
     * then gives what it had sent. */
    do
        got = recvmsg(socket, &header, MSG_CMSG_CLOEXEC);
    while (got < 0 && (errno == EINTR || errno == ECONNRESET));
    if (got < 0)
        return errno == EAGAIN ? 0 : err_set(e, E_IO, errno, "receive a message");
    if (got == 0)
        return err_set(e, E_MISSING, 0, "the other side has ended");
    take_descriptors(&header, fds, fd_count);
    size_t head = offsetof(struct boss_message, body);
    if ((size_t)got < head || m->length != (size_t)got - head || (header.msg_flags & MSG_CTRUNC)) {
        for (size_t i = 0; i < *fd_count; i++)
            close(fds[i]);
        *fd_count = 0;
        return err_set(e, E_IO, EBADMSG, "receive a message");
    }
    return 1;
}

union credentials {
    char space[CMSG_SPACE(sizeof(struct ucred))];
    struct cmsghdr align;
};

int boss_introduce(int socket, struct err *e)
{
    const struct ucred self = { getpid(), geteuid(), getegid() };
    struct boss_message m = { .kind = BOSS_BORN, .number = getppid() };
    union credentials control = { 0 };
    struct iovec part = { .iov_base = &m, .iov_len = offsetof(struct boss_message, body) };
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_CREDENTIALS;
    c->cmsg_len = CMSG_LEN(sizeof self);
    memcpy(CMSG_DATA(c), &self, sizeof self);
    return sendmsg(socket, &header, MSG_NOSIGNAL) < 0 ? err_set(e, E_IO, errno, "introduce") : 0;
}

bool boss_meet(int socket, pid_t *sender, pid_t *parent)
{
    const int on = 1;
    struct boss_message m = { 0 };
    union credentials control;
    struct iovec part = { .iov_base = &m, .iov_len = sizeof m };
    struct msghdr header = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control
    };
    struct ucred from;
    if (setsockopt(socket, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) < 0 ||
        recvmsg(socket, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC) <= 0 || m.kind != BOSS_BORN)
        return false;
    const struct cmsghdr *c = CMSG_FIRSTHDR(&header);
    if (!c || c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_CREDENTIALS)
        return false;
    memcpy(&from, CMSG_DATA(c), sizeof from);
    *sender = from.pid;
    *parent = m.number;
    return true;
}

int boss_wait(int socket, enum boss_kind kind)
{
    struct boss_message m = { 0 };
    struct err e;
    int fds[BOSS_FDS_MAX];
    size_t fd_count;
    int got = boss_receive(socket, &m, fds, &fd_count, &e);
    while (fd_count)
        close(fds[--fd_count]);
    return got > 0 && m.kind == kind ? 0 : -1;
}
