#include "sandbox/handover.h"

#include "base/fd.h"
#include "sandbox/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

int handover_reopen(struct warden *w, int object, int flags)
{
    char number[16];
    snprintf(number, sizeof number, "%d", object);
    return openat(w->fds, number,
                  (flags & ~(O_CREAT | O_EXCL | O_NOFOLLOW)) | O_CLOEXEC | O_NOCTTY);
}

int handover_give(struct request *q, int fd, int flags)
{
    int os = notify_give(&q->w->notify, &q->call, fd, flags & O_CLOEXEC);
    if (os == EMFILE)
        warden_report(q, STR("descriptor"), "x.limits.openFiles", os, false);
    return os ? os : REQUEST_ANSWERED;
}

int handover_blocking(struct request *q, int fd, int flags)
{
    if (!(flags & O_NONBLOCK) && fcntl(fd, F_SETFL, flags & (O_APPEND | O_DIRECT | O_NOATIME)) < 0)
        return errno;
    return handover_give(q, fd, flags);
}

/* The copy shares its place in the file with the original, so whoever opens it to write goes on there and
 * O_TRUNC is left out: it would leave a hole. Whoever opens it to read and truncate wants just that: it
 * is done where the descriptor gives the right to write, and refused where not. */
static int truncate_own(int fd, int has)
{
    struct stat st;
    if (has == O_RDONLY)
        return EACCES;
    if (fstat(fd, &st) < 0)
        return errno;
    return S_ISREG(st.st_mode) && ftruncate(fd, 0) < 0 ? errno : 0;
}

int handover_own(struct request *q, int own, int flags)
{
    AUTO_FD fd = -1;
    if (own < 0 || tracee_copy_descriptor(q, own, &fd) != 0 || !tracee_is_there(q))
        return EACCES;
    int status = fcntl(fd, F_GETFL), has = status & O_ACCMODE, wants = flags & O_ACCMODE;
    if ((status & O_PATH) || (has != wants && has != O_RDWR))
        return EACCES;
    int os = (flags & O_TRUNC) && wants == O_RDONLY ? truncate_own(fd, has) : 0;
    return os ? os : handover_give(q, fd, flags);
}
