/* Mode, owner and times of what exists: judged by name like writes. */
#include "sandbox/fileops.h"

#include "base/fd.h"
#include "sandbox/tracee.h"
#include "sandbox/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* The object that the caller means, in at->object. */
static int find(struct request *q, int dirfd, uint64_t address, int flags, struct place *at)
{
    char path[PATH_MAX] = "";
    int os = address ? tracee_read_path(q, address, path) : 0;
    if (os)
        return os;
    if (!address || (path[0] == '\0' && (flags & AT_EMPTY_PATH)))
        return tracee_copy_descriptor(q, dirfd, &at->object);
    os = place_find_object(q, dirfd, path, !(flags & AT_SYMLINK_NOFOLLOW), at);
    return os || at->object >= 0 ? os : ENOENT;
}

/* What has no name on a disk, such as a pipe, is the command's own. Devices are nobody's. */
static int judge(struct request *q, const struct place *at, struct deed *d)
{
    struct stat st;
    int os = pathname_of(q->w, at->object, &d->path);
    if (os || fstat(at->object, &st) < 0)
        return os ? os : errno;
    if (d->path.n == 0 || d->path.text[0] != '/')
        return tracee_is_there(q) ? 0 : EINTR;
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
        return deed_refuse(q, d, "built-in");
    d->facts.is_directory = S_ISDIR(st.st_mode);
    d->facts.device = st.st_dev;
    d->facts.inode = st.st_ino;
    os = deed_judge(q, d);
    if (!os && d->verdict.kind != FILE_ALLOWED)
        os = deed_refuse(q, d, d->verdict.rule);
    return os;
}

/* The object's name in our /proc/self/fd, through which calls reach the very inode. */
static void number_of(const struct place *at, char out[16])
{
    snprintf(out, 16, "%d", at->object);
}

int fileop_chmod(struct request *q, int dirfd, uint64_t path, mode_t mode, int flags)
{
    AUTO_PLACE at = PLACE_NONE;
    struct deed d = { .operation = FILE_WRITE, .place = &at };
    char number[16];
    int os = fileop_check_mode(q, mode);
    if (os || (os = find(q, dirfd, path, flags, &at)) != 0 || (os = judge(q, &at, &d)) != 0)
        return os;
    number_of(&at, number);
    if (fchmodat(q->w->fds, number, mode, 0) < 0)
        return errno;
    deed_done(q, &d);
    return 0;
}

int fileop_chown(struct request *q, int dirfd, uint64_t path, uid_t owner, gid_t group, int flags)
{
    AUTO_PLACE at = PLACE_NONE;
    struct deed d = { .operation = FILE_WRITE, .place = &at };
    int os = find(q, dirfd, path, flags, &at);
    if (os || (os = judge(q, &at, &d)) != 0)
        return os;
    if (fchownat(at.object, "", owner, group, AT_EMPTY_PATH) < 0)
        return errno;
    deed_done(q, &d);
    return 0;
}

static int read_times(struct request *q, uint64_t address, enum fileop_times form,
                      struct timespec out[2])
{
    int64_t raw[4] = { 0 };
    size_t size = form == TIMES_SECONDS ? 2 * sizeof *raw : sizeof raw;
    int os = tracee_read(q, address, raw, size);
    if (os)
        return os;
    const bool whole = form == TIMES_SECONDS;
    const int64_t unit = form == TIMES_TIMEVAL ? 1000 : 1;
    for (int i = 0; i < 2; i++) {
        int64_t fraction = whole ? 0 : raw[2 * i + 1];
        if (form == TIMES_TIMEVAL && (fraction < 0 || fraction >= 1000000))
            return EINVAL;
        out[i] = (struct timespec){ whole ? raw[i] : raw[2 * i], fraction * unit };
    }
    return 0;
}

int fileop_times(struct request *q, int dirfd, uint64_t path, uint64_t times,
                 enum fileop_times form, int flags)
{
    AUTO_PLACE at = PLACE_NONE;
    struct deed d = { .operation = FILE_WRITE, .place = &at };
    struct timespec when[2];
    char number[16];
    int os = times ? read_times(q, times, form, when) : 0;
    if (os || (os = find(q, dirfd, path, flags, &at)) != 0 || (os = judge(q, &at, &d)) != 0)
        return os;
    number_of(&at, number);
    if (utimensat(q->w->fds, number, times ? when : NULL, 0) < 0)
        return errno;
    deed_done(q, &d);
    return 0;
}
