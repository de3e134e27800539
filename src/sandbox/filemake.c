#include "sandbox/fileops.h"

#include "base/fd.h"
#include "sandbox/disk_quota.h"
#include "sandbox/tracee.h"
#include "sandbox/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Judges making a name that is no regular file opened for writing. */
static int judge_new(struct request *q, struct deed *d)
{
    int os = deed_judge(q, d);
    if (os || d->verdict.kind == FILE_ALLOWED)
        return os;
    return deed_refuse(q, d, d->verdict.rule);
}

static int read_place(struct request *q, int dirfd, uint64_t address, struct place *at)
{
    char path[PATH_MAX];
    int os = tracee_read_path(q, address, path);
    return os ? os : place_find_parent(q, dirfd, path, at);
}

/* After the deed: take it back when the parent has been moved to where it would have been refused. */
static int confirm(struct request *q, struct deed *d, int result, int undo_flags)
{
    if (result < 0)
        return errno;
    if (!deed_still_stands(q, d)) {
        unlinkat(d->place->parent, d->place->name, undo_flags);
        return deed_refuse(q, d, d->verdict.rule);
    }
    deed_done(q, d);
    return 0;
}

int fileop_mkdir(struct request *q, int dirfd, uint64_t address, mode_t mode)
{
    AUTO_PLACE at = PLACE_NONE;
    int os = read_place(q, dirfd, address, &at);
    if (os)
        return os;
    struct deed d = { .operation = FILE_MKDIR, .place = &at, .facts.is_directory = true };
    if (at.is_plain && (os = judge_new(q, &d)) != 0)
        return os;
    warden_set_umask(q->w, tracee_umask(q));
    int result = mkdirat(at.parent, at.name, mode);
    return at.is_plain ? confirm(q, &d, result, AT_REMOVEDIR) : errno;
}

int fileop_mknod(struct request *q, int dirfd, uint64_t address, mode_t mode)
{
    AUTO_PLACE at = PLACE_NONE;
    if (S_ISCHR(mode) || S_ISBLK(mode)) {
        warden_report(q, STR("device"), "x.seccomp: mknod of a device", EPERM, false);
        return EPERM;
    }
    int os = fileop_check_mode(q, mode);
    if (os || (os = read_place(q, dirfd, address, &at)) != 0)
        return os;
    struct deed d = { .operation = FILE_CREATE, .place = &at };
    if (at.is_plain && (os = judge_new(q, &d)) != 0)
        return os;
    warden_set_umask(q->w, tracee_umask(q));
    int result = mknodat(at.parent, at.name, mode, 0);
    return at.is_plain ? confirm(q, &d, result, 0) : errno;
}

int fileop_symlink(struct request *q, uint64_t target, int dirfd, uint64_t address)
{
    AUTO_PLACE at = PLACE_NONE;
    char text[PATH_MAX];
    int os = tracee_read_path(q, target, text);
    if (os || (os = read_place(q, dirfd, address, &at)) != 0)
        return os;
    struct deed d = { .operation = FILE_CREATE, .place = &at };
    if (at.is_plain && (os = judge_new(q, &d)) != 0)
        return os;
    int result = symlinkat(text, at.parent, at.name);
    return at.is_plain ? confirm(q, &d, result, 0) : errno;
}

/* A file that never had a name (O_TMPFILE), or has lost its last one, cannot be denied by name. */
static bool has_no_name(const struct stat *st)
{
    return S_ISREG(st->st_mode) && st->st_nlink == 0;
}

/* Finds what is to get a second name, and judges that. Leaves an O_PATH descriptor in at->object. */
static int find_linked(struct request *q, int dirfd, uint64_t address, int flags, struct place *at,
                       struct deed *d)
{
    char path[PATH_MAX];
    struct stat st;
    int os = tracee_read_path(q, address, path);
    if (os)
        return os;
    if (!path[0] && (flags & AT_EMPTY_PATH) && dirfd != AT_FDCWD)
        os = tracee_open_start(q, dirfd, false, &at->object);
    else
        os = place_find_object(q, dirfd, path, flags & AT_SYMLINK_FOLLOW, at);
    if (os || at->object < 0)
        return os ? os : ENOENT;
    if (fstat(at->object, &st) < 0)
        return errno;
    if ((os = pathname_of(q->w, at->object, &d->path)) != 0)
        return os;
    if (d->path.n == 0 || d->path.text[0] != '/')
        return EXDEV; /* a pipe or the like */
    if (has_no_name(&st) || S_ISDIR(st.st_mode))
        return 0; /* the kernel links no directory */
    d->facts.device = st.st_dev;
    d->facts.inode = st.st_ino;
    os = deed_ask(q, d);
    if (os == EACCES &&
        file_rules_place(q->w->options.rules, pathname_str(&d->path)) == FILE_OUTSIDE)
        return EXDEV; /* as the mounts have it: programs copy then */
    return os == EACCES ? deed_refuse(q, d, d->verdict.rule) : os;
}

int fileop_link(struct request *q, int old_dirfd, uint64_t old_path, int new_dirfd,
                uint64_t new_path, int flags)
{
    AUTO_PLACE from = PLACE_NONE;
    AUTO_PLACE to = PLACE_NONE;
    char number[16];
    if (flags & ~(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return EINVAL;
    struct deed source = { .operation = FILE_LINK_FROM, .place = &from };
    struct deed d = { .operation = FILE_LINK_TO, .place = &to };
    int os = find_linked(q, old_dirfd, old_path, flags, &from, &source);
    if (os || (os = read_place(q, new_dirfd, new_path, &to)) != 0)
        return os;
    if (!to.is_plain)
        return EEXIST;
    if ((os = judge_new(q, &d)) != 0)
        return os;
    if (warden_counts(q->w, pathname_str(&d.path)))
        disk_quota_linked(q->w->quota, from.object);
    snprintf(number, sizeof number, "%d", from.object);
    /* By the object and not by its name, so that what was judged is what gets the name. */
    int result = linkat(q->w->fds, number, to.parent, to.name, AT_SYMLINK_FOLLOW);
    return confirm(q, &d, result, 0);
}
