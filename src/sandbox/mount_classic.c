#include "sandbox/mount_classic.h"

#include "base/buf.h"
#include "base/fd.h"
#include "sandbox/mount_calls.h"
#include "sandbox/mount_list.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Each pass does all it can; more than two are needed only while the host renames and mounts. */
enum { PASSES_MAX = 16 };

struct work {
    int self_fd; /* /proc/self/fd */
    int proc;    /* its root */
    unsigned top_id;
    int top_fd;
    unsigned long wanted; /* MS_ flags */
    bool deep;
};

bool classic_is_needed(void)
{
    static enum { UNKNOWN, THERE, MISSING } state;
    int os = errno;
    /* The real call finds that the size is wrong before it looks at anything else. */
    if (state == UNKNOWN)
        state =
            syscall(SYS_mount_setattr, -1, "", 0, NULL, 0) < 0 && errno == EINVAL ? THERE : MISSING;
    errno = os;
    return state == MISSING;
}

static unsigned long flags_from(uint64_t attributes)
{
    return (attributes & MOUNT_ATTR_RDONLY ? MS_RDONLY : 0) |
           (attributes & MOUNT_ATTR_NOSUID ? MS_NOSUID : 0) |
           (attributes & MOUNT_ATTR_NODEV ? MS_NODEV : 0) |
           (attributes & MOUNT_ATTR_NOEXEC ? MS_NOEXEC : 0);
}

static int id_of(int fd, unsigned *id)
{
    struct statx st;
    if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &st) < 0)
        return -1;
    if (!(st.stx_mask & STATX_MNT_ID))
        return errno = ENOSYS, -1;
    *id = (unsigned)st.stx_mnt_id;
    return 0;
}

/* mount(2) on what is behind `fd`: by its name in /proc/self/fd, relative, because something may stand
 * on /proc meanwhile. */
static int mount_at(const struct work *w, int fd, const char *type, unsigned long flags,
                    const char *options)
{
    char name[16];
    snprintf(name, sizeof name, "%d", fd);
    AUTO_FD back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (back < 0 || fchdir(w->self_fd) < 0)
        return -1;
    int result = mount(type, name, type, flags, options);
    int os = errno;
    if (fchdir(back) < 0)
        return -1;
    errno = os;
    return result;
}

/* The mount's other flags must be repeated: an owner of a user namespace may not take them off. Its way of
 * keeping access times stays when none is named. */
static int remount(const struct work *w, int fd, const struct mount_line *line)
{
    return mount_at(w, fd, NULL, MS_REMOUNT | MS_BIND | line->flags | w->wanted, NULL);
}

/* Lays an empty directory that nobody enters over the deepest one on the way to `path` that we reach. */
static int shut_way(const struct work *w, const char *path)
{
    AUTO_FREE char *above = str_dup(str_of(path));
    for (char *slash = strrchr(above, '/'); slash && slash != above; slash = strrchr(above, '/')) {
        *slash = '\0';
        AUTO_FD at = path_open(above);
        if (at >= 0)
            return mount_at(w, at, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
                            "mode=000,size=4k");
        if (errno != EACCES)
            return -1;
    }
    return errno = EACCES, -1;
}

enum outcome { CHANGED, OUT_OF_REACH, FAILED };

static enum outcome change(const struct work *w, const struct mount_list *list, int index)
{
    const struct mount_line *line = &list->lines[index];
    if (line->id == w->top_id)
        return remount(w, w->top_fd, line) < 0 ? FAILED : CHANGED;
    unsigned id = 0;
    AUTO_FD at = path_open(line->path);
    int os = errno;
    if (at >= 0 && id_of(at, &id) < 0)
        return FAILED;
    if (at >= 0 && id == line->id)
        return remount(w, at, line) < 0 ? FAILED : CHANGED;
    if (mount_list_is_covered(list, index))
        return OUT_OF_REACH;
    if (at < 0 && os == EACCES)
        return shut_way(w, line->path) < 0 ? FAILED : CHANGED;
    errno = at < 0 ? os : ESTALE;
    return FAILED;
}

static int read_list(const struct work *w, struct mount_list *list)
{
    AUTO_BUF text = { 0 };
    AUTO_FD fd = openat(w->proc, "self/mountinfo", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno = ESTALE, -1;
    for (ssize_t n = 1; n > 0;) {
        n = read(fd, buf_room(&text, 65536), 65536);
        if (n < 0)
            return -1;
        buf_grew(&text, (size_t)n);
    }
    mount_list_take(list, buf_str(&text));
    return 0;
}

/* 0 = every mount has the flags, 1 = the list is to be looked at again, -1 = errno. */
static int pass(const struct work *w, int *os)
{
    CLEANUP(mount_list_release) struct mount_list list = { 0 };
    bool again = false;
    if (read_list(w, &list) < 0)
        return -1;
    const int top = mount_list_find(&list, w->top_id);
    if (top == MOUNT_NONE)
        return errno = ENOENT, -1;
    for (int i = 0; i < (int)list.count; i++) {
        bool meant = i == top || (w->deep && mount_list_is_on(&list, i, top));
        if (!meant || (list.lines[i].flags & w->wanted) == w->wanted)
            continue;
        enum outcome outcome = change(w, &list, i);
        again |= outcome != OUT_OF_REACH;
        if (outcome == FAILED)
            *os = errno;
    }
    return again ? 1 : 0;
}

int classic_set(int fd, uint64_t attributes, bool deep, int proc)
{
    AUTO_FD own = proc < 0 ? open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
    struct work w = {
        .proc = proc < 0 ? own : proc, .top_fd = fd, .wanted = flags_from(attributes), .deep = deep
    };
    AUTO_FD self_fd = openat(w.proc, "self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    w.self_fd = self_fd;
    int os = EAGAIN, more = 1;
    if (self_fd < 0 || id_of(fd, &w.top_id) < 0)
        more = -1;
    for (int i = 0; more > 0 && i < PASSES_MAX; i++)
        more = pass(&w, &os);
    if (more == 0)
        return 0;
    if (more > 0)
        errno = os == ENOENT ? ESTALE : os;
    return -1;
}
