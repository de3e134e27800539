#include "sandbox/fileops.h"

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/disk_quota.h"
#include "sandbox/fifo.h"
#include "sandbox/fileread.h"
#include "sandbox/gitpointer.h"
#include "sandbox/handover.h"
#include "sandbox/tracee.h"
#include "sandbox/usermap.h"
#include "sandbox/verdict.h"
#include "sandbox/wishes.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* The bit of O_TMPFILE that is not O_DIRECTORY. */
enum { TMPFILE_BIT = O_TMPFILE & ~O_DIRECTORY };

/* A name that another sandbox makes and removes again and again can beat us this often. */
enum { ATTEMPTS = 16 };

int fileop_check_mode(struct request *q, mode_t mode)
{
    if (!q->w->options.no_setid || !(mode & (S_ISUID | S_ISGID)))
        return 0;
    warden_report(q, STR("set-id mode"), "x.filesystem.noSetid", EPERM, false);
    return EPERM;
}

static bool is_read_only(int flags)
{
    return (flags & O_ACCMODE) == O_RDONLY && !(flags & O_TRUNC);
}

static int open_device(struct request *q, const struct place *at, int object, const struct stat *st,
                       int flags)
{
    char terminal[64];
    AUTO_FD fd = -1;
    if (st->st_rdev == makedev(5, 0)) { /* /dev/tty is whose it is */
        int os = tracee_terminal(q, terminal);
        if (os)
            return os;
        fd = open(terminal, (flags & ~(O_CREAT | O_EXCL)) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    } else {
        fd = handover_reopen(q->w, object, flags | O_NONBLOCK);
    }
    if (fd >= 0)
        return handover_blocking(q, fd, flags);
    return errno == EACCES ? handover_own(q, at->own_descriptor, flags) : errno;
}

/* Judges opening what is there. 0 or errno; EACCES is a denial that is not yet reported. */
static int judge_existing(struct request *q, const struct place *at, struct deed *d,
                          const struct stat *st, int flags)
{
    int os = pathname_of(q->w, at->object, &d->path);
    if (os)
        return os;
    if (fileread_is_nameless(at, &d->path, st))
        return tracee_is_there(q) ? 0 : EINTR;
    if (fileread_is_proc(q->w, at->object, st->st_dev) &&
        !tracee_may_use_proc(q, pathname_str(&d->path))) {
        d->verdict.rule = "another process's files in /proc";
        return EACCES;
    }
    if (is_read_only(flags))
        return tracee_is_there(q) ? 0 : EINTR;
    d->facts.device = st->st_dev;
    d->facts.inode = st->st_ino;
    return deed_ask(q, d);
}

/* What is opened for both must be free for both. Gives FILEREAD_OTHER_PROCESS for reading alone. */
static int judge_open(struct request *q, const struct place *at, struct deed *d,
                      const struct stat *st, int flags)
{
    int os = 0;
    if (q->w->options.judge_reads && (flags & O_ACCMODE) != O_WRONLY) {
        os = fileread_judge(q, at, d, st);
        if (is_read_only(flags))
            return os;
    }
    return !os || os == FILEREAD_OTHER_PROCESS ? judge_existing(q, at, d, st, flags) : os;
}

/* A person may be asked about what was denied for lying outside the plan and nothing else. */
static bool may_ask(const struct request *q, const struct deed *d)
{
    return q->w->options.ask_files && d->verdict.kind == FILE_DENIED && d->verdict.askable;
}

static int open_existing(struct request *q, struct place *at, int flags)
{
    const bool reads = is_read_only(flags);
    struct stat st;
    int os;
    if (fstat(at->object, &st) < 0)
        return errno;
    if (S_ISLNK(st.st_mode))
        return flags & O_DIRECTORY ? ENOTDIR : ELOOP;
    if (S_ISDIR(st.st_mode) ? !reads || (flags & O_CREAT) : flags & O_DIRECTORY)
        return S_ISDIR(st.st_mode) ? EISDIR : ENOTDIR;
    struct deed d = { .operation = FILE_WRITE, .place = at };
    os = judge_open(q, at, &d, &st, flags);
    if (os == FILEREAD_OTHER_PROCESS)
        return fileread_other_process(q, &d.path, flags);
    if (os == EACCES && handover_own(q, at->own_descriptor, flags) == REQUEST_ANSWERED)
        return REQUEST_ANSWERED;
    if (os == EACCES && S_ISREG(st.st_mode) && may_ask(q, &d))
        return wishes_open(q, pathname_str(&d.path), flags, 0);
    if (os)
        return os == EACCES ? deed_refuse(q, &d, d.verdict.rule) : os;
    if (S_ISFIFO(st.st_mode)) {
        os = fifo_open(q, at->object, &st, flags);
        if (os == EACCES) /* a pipe that another user made, such as our caller's */
            os = handover_own(q, at->own_descriptor, flags);
    } else if (S_ISCHR(st.st_mode)) {
        os = open_device(q, at, at->object, &st, flags);
    } else {
        AUTO_FD fd = -1;
        if (!reads && S_ISREG(st.st_mode) && warden_counts(q->w, pathname_str(&d.path)) &&
            ((os = disk_quota_room(q->w->quota)) != 0 ||
             (os = disk_quota_open(q->w->quota, at->object, st.st_blocks)) != 0))
            return os;
        if (usermap_is(q, pathname_str(&d.path)))
            os = usermap_open(q, pathname_str(&d.path), flags, &fd);
        else if ((fd = handover_reopen(q->w, at->object, flags)) < 0)
            os = errno;
        os = fd < 0 ? os : handover_give(q, fd, flags);
    }
    if (os == REQUEST_ANSWERED && !reads)
        deed_done(q, &d);
    return os;
}

/* Makes the file. EEXIST when somebody else was faster. */
static int create(struct request *q, struct place *at, int flags, mode_t mode)
{
    struct deed d = { .operation = FILE_CREATE, .place = at };
    int os = deed_ask(q, &d);
    if (os == EACCES && may_ask(q, &d))
        return wishes_open(q, pathname_str(&d.path), flags, mode);
    if (os)
        return deed_settle(q, &d, os);
    if (d.verdict.kind != FILE_ALLOWED)
        return gitpointer_open(q, at, &d, flags, mode);
    const bool counts = warden_counts(q->w, pathname_str(&d.path));
    if (counts && (os = disk_quota_room(q->w->quota)) != 0)
        return os;
    warden_set_umask(q->w, tracee_umask(q));
    AUTO_FD fd = openat(at->parent, at->name,
                        flags | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
    if (fd < 0)
        return errno;
    if (!deed_still_stands(q, &d)) {
        unlinkat(at->parent, at->name, 0);
        return deed_refuse(q, &d, d.verdict.rule);
    }
    os = counts ? disk_quota_open(q->w->quota, fd, 0) : 0;
    if (!os)
        os = handover_give(q, fd, flags);
    if (os == REQUEST_ANSWERED)
        deed_done(q, &d);
    else
        unlinkat(at->parent, at->name,
                 0); /* the kernel makes nothing when there is no descriptor */
    return os;
}

/* O_TMPFILE: a file without a name in the directory `path`. */
static int open_nameless(struct request *q, int dirfd, const char *path, int flags, mode_t mode)
{
    AUTO_PLACE at = PLACE_NONE;
    int os = place_find_object(q, dirfd, path, !(flags & O_NOFOLLOW), &at);
    struct stat st;
    if (os || at.object < 0)
        return os ? os : ENOENT;
    if (fstat(at.object, &st) < 0 || !S_ISDIR(st.st_mode))
        return ENOTDIR;
    struct place inside = PLACE_NONE;
    inside.parent = at.object;
    snprintf(inside.name, sizeof inside.name, "#nameless");
    struct deed d = { .operation = FILE_CREATE, .place = &inside };
    os = deed_judge(q, &d);
    const bool counts = !os && warden_counts(q->w, pathname_str(&d.path));
    if (counts)
        os = disk_quota_room(q->w->quota);
    if (os)
        return os;
    warden_set_umask(q->w, tracee_umask(q));
    AUTO_FD fd = openat(at.object, ".", flags | O_CLOEXEC, mode);
    if (fd < 0 || (counts && (os = disk_quota_open(q->w->quota, fd, 0)) != 0))
        return fd < 0 ? errno : os;
    return handover_give(q, fd, flags);
}

/* A dangerous name that is a link is denied like a file of that name: what it leads to would be read
 * by that name (T38). Other links are judged by what they lead to. */
static int judge_link(struct request *q, int dirfd, const char *path)
{
    AUTO_PLACE at = PLACE_NONE;
    struct stat st;
    struct deed d = { .operation = FILE_WRITE, .place = &at };
    int os = place_find_parent(q, dirfd, path, &at);
    if (os || !at.is_plain || at.ends_in_slash ||
        fstatat(at.parent, at.name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISLNK(st.st_mode) ||
        fileread_is_proc(q->w, at.parent, st.st_dev))
        return 0; /* opening it says what is wrong with it */
    os = pathname_of_place(q->w, &at, &d.path);
    if (os || file_rules_place(q->w->options.rules, pathname_str(&d.path)) == FILE_OUTSIDE)
        return os;
    d.facts.device = st.st_dev;
    d.facts.inode = st.st_ino;
    return deed_judge(q, &d);
}

/* Nothing stands there inside; in a hidden directory something may. */
static int open_absent(struct request *q, int dirfd, const char *path, int flags, mode_t mode)
{
    struct pathname whole;
    if (!q->w->options.ask_files || !q->w->options.judge_reads || (flags & O_DIRECTORY) ||
        !wishes_find_hidden(q, dirfd, path, &whole))
        return ENOENT;
    return wishes_open(q, pathname_str(&whole), flags, mode);
}

int fileop_open(struct request *q, int dirfd, uint64_t address, int flags, mode_t mode)
{
    char path[PATH_MAX];
    const bool makes = flags & (O_CREAT | TMPFILE_BIT), exclusive = flags & O_EXCL;
    int os = tracee_read_path(q, address, path);
    if (os)
        return os;
    CHECK(!(flags & O_PATH)); /* the filter lets these through: they can change nothing */
    if (makes && (os = fileop_check_mode(q, mode)) != 0)
        return os;
    if (flags & TMPFILE_BIT)
        return open_nameless(q, dirfd, path, flags, mode);
    if ((flags & O_CREAT) && (flags & O_DIRECTORY))
        return EINVAL;
    if ((flags & O_CREAT) && str_ends(str_of(path), STR("/"))) {
        AUTO_PLACE parent = PLACE_NONE;
        os = place_find_parent(q, dirfd, path, &parent);
        if (!os)
            os = !parent.is_plain && exclusive ? EEXIST : EISDIR;
        return os;
    }
    bool follow = !(flags & O_NOFOLLOW) && !((flags & O_CREAT) && exclusive);
    for (int i = 0; i < ATTEMPTS; i++) {
        AUTO_PLACE at = PLACE_NONE;
        int link = 0;
        os = place_find_object(q, dirfd, path, follow, &at);
        if (follow && !is_read_only(flags) && !at.is_direct)
            link = judge_link(q, dirfd, path);
        if (link)
            return link;
        if (os == ENOENT || (!os && at.object < 0 && !(flags & O_CREAT)))
            return open_absent(q, dirfd, path, flags, mode);
        if (os)
            return os;
        if (at.object >= 0)
            return (flags & O_CREAT) && exclusive ? EEXIST : open_existing(q, &at, flags);
        os = create(q, &at, flags, mode);
        if (os != EEXIST || exclusive)
            return os;
    }
    return EAGAIN;
}

int fileop_truncate(struct request *q, uint64_t address, int64_t length)
{
    char path[PATH_MAX];
    AUTO_PLACE at = PLACE_NONE;
    struct stat st;
    if (length < 0)
        return EINVAL;
    int os = tracee_read_path(q, address, path);
    if (os)
        return os;
    os = place_find_object(q, AT_FDCWD, path, true, &at);
    int link = at.is_direct ? 0 : judge_link(q, AT_FDCWD, path);
    if (link || os)
        return link ? link : os;
    if (at.object < 0)
        return ENOENT;
    if (fstat(at.object, &st) < 0)
        return errno;
    if (!S_ISREG(st.st_mode))
        return S_ISDIR(st.st_mode) ? EISDIR : EINVAL;
    struct deed d = { .operation = FILE_WRITE, .place = &at };
    os = judge_existing(q, &at, &d, &st, O_WRONLY);
    if (os)
        return os == EACCES ? deed_refuse(q, &d, d.verdict.rule) : os;
    if (warden_counts(q->w, pathname_str(&d.path)) &&
        ((os = disk_quota_room(q->w->quota)) != 0 ||
         (os = disk_quota_open(q->w->quota, at.object, st.st_blocks)) != 0))
        return os;
    AUTO_FD fd = handover_reopen(q->w, at.object, O_WRONLY);
    if (fd < 0 || ftruncate(fd, length) < 0)
        return errno;
    deed_done(q, &d);
    return 0;
}
