#include "sandbox/tracee.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <unistd.h>

/* How long a umask that was seen is believed. The filter tells us of every umask(2), so this bounds
 * only what it cannot tell: a child that has taken over the number of a dead thread. */
enum { UMASK_BELIEVED_NS = 50 * 1000 * 1000, UMASK_SETTLES_NS = 20 * 1000 * 1000 };

int tracee_read(struct request *q, uint64_t address, void *out, size_t n)
{
    struct iovec here = { out, n }, there = { (void *)(uintptr_t)address, n };
    ssize_t got = process_vm_readv(q->call.tid, &here, 1, &there, 1, 0);
    return got == (ssize_t)n ? 0 : EFAULT;
}

int tracee_read_path(struct request *q, uint64_t address, char path[PATH_MAX])
{
    /* Most paths end in the page where they begin; the second part is cut at the page after it, so
     * that an unmapped page behind the NUL does no harm. */
    size_t first = 4096 - (size_t)(address & 4095);
    struct iovec here = { path, PATH_MAX };
    struct iovec there[2] = { { (void *)(uintptr_t)address, first },
                              { (void *)(uintptr_t)(address + first), PATH_MAX - first } };
    if (!address)
        return EFAULT;
    ssize_t got = process_vm_readv(q->call.tid, &here, 1, there, first < PATH_MAX ? 2 : 1, 0);
    if (got <= 0)
        return EFAULT;
    if (memchr(path, '\0', (size_t)got))
        return 0;
    return got == PATH_MAX ? ENAMETOOLONG : EFAULT;
}

bool tracee_is_there(struct request *q)
{
    return notify_is_valid(&q->call);
}

/* The number behind "\nLABEL:\t". -1 when the line is not there. */
static long status_number(const char *text, const char *label, int base)
{
    const char *at = strstr(text, label);
    return at ? strtol(at + strlen(label), NULL, base) : -1;
}

/* Reads the start of a small file beneath /proc. Number of bytes, or -1. */
static ssize_t read_start(struct request *q, const char *path, char *text, size_t room)
{
    AUTO_FD fd = openat(q->w->proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);
    text[n > 0 ? n : 0] = '\0';
    return n;
}

static int open_thread(struct request *q)
{
    enum { PIDFD_OF_THREAD = O_EXCL }; /* 6.9 */
    int fd = (int)syscall(SYS_pidfd_open, q->call.tid, 0);
    return fd >= 0 ? fd : (int)syscall(SYS_pidfd_open, q->call.tid, PIDFD_OF_THREAD);
}

/* A descriptor of a process shows the number that it has in the /proc where one looks. */
pid_t tracee_number(struct request *q)
{
    char path[48], text[512];
    if (!q->w->options.foreign_proc)
        return q->call.tid;
    if (q->number)
        return q->number;
    AUTO_FD thread = open_thread(q);
    snprintf(path, sizeof path, "self/fdinfo/%d", thread);
    if (thread >= 0 && read_start(q, path, text, sizeof text) > 0) {
        long number = status_number(text, "\nPid:\t", 10);
        q->number = number > 0 ? (pid_t)number : 0;
    }
    return q->number;
}

int tracee_open_root(struct request *q, int *fd)
{
    char path[48];
    /* Only a command with user namespaces of its own can have changed its root. */
    if (!q->w->options.nested_user_namespaces) {
        *fd = fcntl(q->w->root, F_DUPFD_CLOEXEC, 0);
    } else {
        snprintf(path, sizeof path, "%d/root", tracee_number(q));
        *fd = openat(q->w->proc, path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    }
    return *fd < 0 ? errno : 0;
}

int tracee_copy_descriptor(struct request *q, int descriptor, int *fd)
{
    AUTO_FD process = open_thread(q);
    if (process < 0 && tracee_tgid(q)) /* not the first thread of its process */
        process = (int)syscall(SYS_pidfd_open, tracee_tgid(q), 0);
    if (process < 0)
        return ESRCH;
    *fd = (int)syscall(SYS_pidfd_getfd, process, descriptor, 0);
    return *fd < 0 ? errno : 0;
}

int tracee_open_start(struct request *q, int dirfd, bool absolute, int *fd)
{
    char path[48];
    if (absolute)
        return tracee_open_root(q, fd);
    if (dirfd == AT_FDCWD)
        snprintf(path, sizeof path, "%d/cwd", tracee_number(q));
    else if (dirfd < 0)
        return EBADF;
    else
        snprintf(path, sizeof path, "%d/fd/%d", tracee_number(q), dirfd);
    *fd = openat(q->w->proc, path, O_PATH | O_CLOEXEC);
    if (*fd >= 0)
        return 0;
    /* A process that is not dumpable hides the names of its descriptors, but not from pidfd_getfd. */
    if (dirfd != AT_FDCWD && (errno == EACCES || errno == EPERM))
        return tracee_copy_descriptor(q, dirfd, fd);
    return errno == ENOENT && dirfd != AT_FDCWD ? EBADF : errno;
}

/* Reads a small file of the caller's directory in /proc. Number of bytes, or -1. */
static ssize_t read_proc(struct request *q, const char *name, char *text, size_t room)
{
    char path[48];
    snprintf(path, sizeof path, "%d/%s", tracee_number(q), name);
    return read_start(q, path, text, room);
}

/* In a /proc of another pid namespace the second number is the one in ours. */
static void learn_process(struct request *q)
{
    char text[4096];
    int ours = 0;
    if (q->tgid || read_proc(q, "status", text, sizeof text) <= 0)
        return;
    long tgid = status_number(text, "\nTgid:\t", 10);
    q->tgid_number = q->tgid = tgid > 0 ? (pid_t)tgid : 0;
    if (!q->w->options.foreign_proc)
        return;
    const char *at = strstr(text, "\nNStgid:\t");
    q->tgid = at && sscanf(at, "\nNStgid:%*d%d", &ours) == 1 ? ours : 0;
}

pid_t tracee_tgid(struct request *q)
{
    learn_process(q);
    return q->tgid;
}

pid_t tracee_tgid_number(struct request *q)
{
    learn_process(q);
    return q->tgid_number;
}

mode_t tracee_umask(struct request *q)
{
    struct warden *w = q->w;
    int64_t now = warden_now();
    if (w->umask_seen.tid == q->call.tid && now < w->umask_seen.until)
        return w->umask_seen.mask;
    char text[512];
    long mask = -1;
    if (read_proc(q, "status", text, sizeof text) > 0)
        mask = status_number(text, "\nUmask:\t", 8);
    if (mask < 0)
        mask = 077; /* the caller is gone; what it made must not be more open than it wanted */
    if (now >= w->umask_seen.not_before) {
        w->umask_seen.tid = q->call.tid;
        w->umask_seen.mask = (mode_t)mask;
        w->umask_seen.until = now + UMASK_BELIEVED_NS;
    }
    return (mode_t)mask;
}

void tracee_umask_changes(struct request *q)
{
    /* The change happens after our answer; a thread that shares the umask may create meanwhile. */
    q->w->umask_seen.tid = 0;
    q->w->umask_seen.not_before = warden_now() + UMASK_SETTLES_NS;
}

int tracee_terminal(struct request *q, char path[64])
{
    char text[512];
    if (read_proc(q, "stat", text, sizeof text) <= 0)
        return ENXIO;
    /* The second field is the program's name in parentheses and may hold anything. */
    const char *at = strrchr(text, ')');
    int device;
    if (!at || sscanf(at + 1, " %*c %*d %*d %*d %d", &device) != 1 || device == 0)
        return ENXIO;
    enum { PTS_FIRST_MAJOR = 136, PTS_LAST_MAJOR = 143 };
    dev_t tty = makedev(((unsigned)device >> 8) & 0xfff,
                        ((unsigned)device & 0xff) | (((unsigned)device >> 12) & 0xfff00));
    if (major(tty) < PTS_FIRST_MAJOR || major(tty) > PTS_LAST_MAJOR)
        return ENXIO;
    snprintf(path, 64, "/dev/pts/%u", (major(tty) - PTS_FIRST_MAJOR) * 256 + minor(tty));
    struct stat st;
    if (stat(path, &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != tty)
        return ENXIO; /* a terminal of another devpts, outside */
    return 0;
}

enum proc_owner tracee_proc_owner(struct request *q, struct str path)
{
    if (str_eq(path, STR("/proc")))
        return PROC_OWN;
    if (!str_starts(path, STR("/proc/")))
        return PROC_FOREIGN;
    struct str rest = str_skip(path, 6), first;
    uint64_t pid;
    if (!str_cut(&rest, '/', &first) || !str_to_u64(first, &pid))
        return PROC_OWN;
    return pid == (uint64_t)tracee_number(q) || pid == (uint64_t)tracee_tgid_number(q) ? PROC_OWN
                                                                                       : PROC_OTHER;
}

bool tracee_may_use_proc(struct request *q, struct str path)
{
    return tracee_proc_owner(q, path) == PROC_OWN;
}

static pid_t parent_of(struct request *q, pid_t pid)
{
    char path[32], text[512];
    int parent;
    snprintf(path, sizeof path, "%d/stat", pid);
    read_start(q, path, text, sizeof text);
    const char *at = strrchr(text, ')');
    return at && sscanf(at + 1, " %*c %d", &parent) == 1 ? parent : 0;
}

bool tracee_is_ancestor(struct request *q, pid_t of)
{
    enum { GENERATIONS = 64 };
    pid_t ours = tracee_tgid_number(q);
    for (int i = 0; i < GENERATIONS && of > 1; i++)
        if ((of = parent_of(q, of)) == ours)
            return ours != 0;
    return false;
}
