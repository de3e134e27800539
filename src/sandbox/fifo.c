#include "sandbox/fifo.h"

#include "base/fd.h"
#include "sandbox/handover.h"
#include "sandbox/pending.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <unistd.h>

static int attempt(struct pending *p)
{
    if (p->source.fd >= 0) /* opened for reading, and a writer has come */
        return handover_blocking(&p->q, p->source.fd, p->flags);
    AUTO_FD fd = handover_reopen(p->q.w, p->object, p->flags | O_NONBLOCK);
    if (fd < 0)
        return errno == ENXIO ? PENDING_AGAIN : errno;
    return handover_blocking(&p->q, fd, p->flags);
}

/* An anonymous pipe that is opened again through /proc: nobody waits for its other end. */
static bool is_anonymous(struct warden *w, int object)
{
    char number[16], text[8];
    snprintf(number, sizeof number, "%d", object);
    ssize_t n = readlinkat(w->fds, number, text, sizeof text);
    return n > 0 && text[0] != '/';
}

int fifo_open(struct request *q, int object, const struct stat *st, int flags)
{
    const int mode = flags & O_ACCMODE;
    AUTO_FD fd = handover_reopen(q->w, object, flags | O_NONBLOCK);
    bool waits = !(flags & O_NONBLOCK);
    struct pending later = { .source.fd = -1,
                             .q = *q,
                             .object = -1,
                             .flags = flags,
                             .device = st->st_dev,
                             .inode = st->st_ino,
                             .attempt = attempt };
    if (fd < 0 && (errno != ENXIO || !waits))
        return errno;
    if (fd < 0) {
        later.object = fcntl(object, F_DUPFD_CLOEXEC, 0);
        return later.object < 0 ? errno : pending_add(&later, 0);
    }
    size_t writers = 0;
    if (mode != O_WRONLY)
        writers = pending_wake(q->w, st->st_dev, st->st_ino, O_WRONLY);
    if (mode != O_RDONLY || writers)
        pending_wake(q->w, st->st_dev, st->st_ino, O_RDONLY);
    if (waits && mode == O_RDONLY && !writers && !is_anonymous(q->w, object)) {
        later.source.fd = fd_take(&fd);
        return pending_add(&later, EPOLLIN | EPOLLHUP);
    }
    return handover_blocking(q, fd, flags);
}
