#include "sandbox/warden.h"

#include "base/check.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/pages.h"
#include "sandbox/disk_quota.h"
#include "sandbox/fileops.h"
#include "sandbox/gitpointer.h"
#include "sandbox/ipcops.h"
#include "sandbox/pending.h"
#include "sandbox/reach.h"
#include "sandbox/sendops.h"
#include "sandbox/sockops.h"
#include "sandbox/tracee.h"
#include "sandbox/verdict.h"
#include "sandbox/wishes.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { FCHMODAT2 = 452 }; /* the same number everywhere; newer than the headers we build with */

static int serve_openat(struct request *q, const uint64_t a[6])
{
    return fileop_open(q, (int)a[0], a[1], (int)a[2], (mode_t)a[3]);
}

static int serve_truncate(struct request *q, const uint64_t a[6])
{
    return fileop_truncate(q, a[0], (int64_t)a[1]);
}

static int serve_mkdirat(struct request *q, const uint64_t a[6])
{
    return fileop_mkdir(q, (int)a[0], a[1], (mode_t)a[2]);
}

static int serve_mknodat(struct request *q, const uint64_t a[6])
{
    return fileop_mknod(q, (int)a[0], a[1], (mode_t)a[2]);
}

static int serve_symlinkat(struct request *q, const uint64_t a[6])
{
    return fileop_symlink(q, a[0], (int)a[1], a[2]);
}

static int serve_linkat(struct request *q, const uint64_t a[6])
{
    return fileop_link(q, (int)a[0], a[1], (int)a[2], a[3], (int)a[4]);
}

static int serve_renameat2(struct request *q, const uint64_t a[6])
{
    return fileop_rename(q, (int)a[0], a[1], (int)a[2], a[3], (unsigned)a[4]);
}

static int serve_unlinkat(struct request *q, const uint64_t a[6])
{
    return fileop_unlink(q, (int)a[0], a[1], (int)a[2]);
}

static int serve_connect(struct request *q, const uint64_t a[6])
{
    return sockop_connect(q, (int)a[0], a[1], (uint32_t)a[2]);
}

static int serve_bind(struct request *q, const uint64_t a[6])
{
    return sockop_bind(q, (int)a[0], a[1], (uint32_t)a[2]);
}

static int serve_datagram(struct request *q, const uint64_t a[6])
{
    if ((int)a[0] == AF_UNIX)
        return sendop_socket(q);
    reach_want_redirect(q->w);
    notify_continue(&q->w->notify, &q->call); /* nothing but numbers in its arguments */
    return REQUEST_ANSWERED;
}

static int serve_umask(struct request *q, const uint64_t a[6])
{
    tracee_umask_changes(q);
    notify_continue(&q->w->notify, &q->call); /* no pointer in it */
    return REQUEST_ANSWERED;
}

static int serve_renameat(struct request *q, const uint64_t a[6])
{
    return fileop_rename(q, (int)a[0], a[1], (int)a[2], a[3], 0);
}

static int serve_listen(struct request *q, const uint64_t a[6])
{
    return sockop_listen(q, (int)a[0], (int)a[1]);
}

static int serve_fchmod(struct request *q, const uint64_t a[6])
{
    return fileop_chmod(q, (int)a[0], 0, (mode_t)a[1], 0);
}

static int serve_fchmodat(struct request *q, const uint64_t a[6])
{
    return fileop_chmod(q, (int)a[0], a[1], (mode_t)a[2], 0);
}

static int serve_fchmodat2(struct request *q, const uint64_t a[6])
{
    return fileop_chmod(q, (int)a[0], a[1], (mode_t)a[2], (int)a[3]);
}

static int serve_fchown(struct request *q, const uint64_t a[6])
{
    return fileop_chown(q, (int)a[0], 0, (uid_t)a[1], (gid_t)a[2], 0);
}

static int serve_fchownat(struct request *q, const uint64_t a[6])
{
    return fileop_chown(q, (int)a[0], a[1], (uid_t)a[2], (gid_t)a[3], (int)a[4]);
}

static int serve_utimensat(struct request *q, const uint64_t a[6])
{
    return fileop_times(q, (int)a[0], a[1], a[2], TIMES_TIMESPEC, (int)a[3]);
}

/* The older calls are those above with a working directory and flags that go without saying; only
 * some architectures have them. */
#ifdef SYS_open
static int serve_open(struct request *q, const uint64_t a[6])
{
    return fileop_open(q, AT_FDCWD, a[0], (int)a[1], (mode_t)a[2]);
}

static int serve_creat(struct request *q, const uint64_t a[6])
{
    return fileop_open(q, AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC, (mode_t)a[1]);
}

static int serve_mkdir(struct request *q, const uint64_t a[6])
{
    return fileop_mkdir(q, AT_FDCWD, a[0], (mode_t)a[1]);
}

static int serve_mknod(struct request *q, const uint64_t a[6])
{
    return fileop_mknod(q, AT_FDCWD, a[0], (mode_t)a[1]);
}

static int serve_symlink(struct request *q, const uint64_t a[6])
{
    return fileop_symlink(q, a[0], AT_FDCWD, a[1]);
}

static int serve_link(struct request *q, const uint64_t a[6])
{
    return fileop_link(q, AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}

static int serve_rename(struct request *q, const uint64_t a[6])
{
    return fileop_rename(q, AT_FDCWD, a[0], AT_FDCWD, a[1], 0);
}

static int serve_unlink(struct request *q, const uint64_t a[6])
{
    return fileop_unlink(q, AT_FDCWD, a[0], 0);
}

static int serve_rmdir(struct request *q, const uint64_t a[6])
{
    return fileop_unlink(q, AT_FDCWD, a[0], AT_REMOVEDIR);
}

/* With path 0 these mean nothing, not a descriptor. */
static int serve_chmod(struct request *q, const uint64_t a[6])
{
    return a[0] ? fileop_chmod(q, AT_FDCWD, a[0], (mode_t)a[1], 0) : EFAULT;
}

static int serve_chown(struct request *q, const uint64_t a[6])
{
    return a[0] ? fileop_chown(q, AT_FDCWD, a[0], (uid_t)a[1], (gid_t)a[2], 0) : EFAULT;
}

static int serve_lchown(struct request *q, const uint64_t a[6])
{
    return a[0] ? fileop_chown(q, AT_FDCWD, a[0], (uid_t)a[1], (gid_t)a[2], AT_SYMLINK_NOFOLLOW)
                : EFAULT;
}

static int serve_utime(struct request *q, const uint64_t a[6])
{
    return a[0] ? fileop_times(q, AT_FDCWD, a[0], a[1], TIMES_SECONDS, 0) : EFAULT;
}

static int serve_utimes(struct request *q, const uint64_t a[6])
{
    return a[0] ? fileop_times(q, AT_FDCWD, a[0], a[1], TIMES_TIMEVAL, 0) : EFAULT;
}

static int serve_futimesat(struct request *q, const uint64_t a[6])
{
    return fileop_times(q, (int)a[0], a[1], a[2], TIMES_TIMEVAL, 0);
}
#endif

static const struct call_row {
    int number;
    const char *name;
    int (*serve)(struct request *q, const uint64_t args[6]);
} call_rows[] = {
    { SYS_openat, "openat", serve_openat },
    { SYS_truncate, "truncate", serve_truncate },
    { SYS_mkdirat, "mkdirat", serve_mkdirat },
    { SYS_mknodat, "mknodat", serve_mknodat },
    { SYS_symlinkat, "symlinkat", serve_symlinkat },
    { SYS_linkat, "linkat", serve_linkat },
    { SYS_renameat, "renameat", serve_renameat },
    { SYS_renameat2, "renameat2", serve_renameat2 },
    { SYS_unlinkat, "unlinkat", serve_unlinkat },
    { SYS_connect, "connect", serve_connect },
    { SYS_bind, "bind", serve_bind },
    { SYS_socket, "socket", serve_datagram },
    { SYS_socketpair, "socketpair", serve_datagram },
    { SYS_sendto, "sendto", sendop_to },
    { SYS_sendmsg, "sendmsg", sendop_message },
    { SYS_sendmmsg, "sendmmsg", sendop_messages },
    { SYS_umask, "umask", serve_umask },
    { SYS_listen, "listen", serve_listen },
    { SYS_shmget, "shmget", ipcop_shmget },
    { SYS_shmat, "shmat", ipcop_shm },
    { SYS_shmctl, "shmctl", ipcop_shmctl },
    { SYS_semget, "semget", ipcop_semget },
    { SYS_semop, "semop", ipcop_sem },
    { SYS_semtimedop, "semtimedop", ipcop_sem },
    { SYS_semctl, "semctl", ipcop_semctl },
    { SYS_msgget, "msgget", ipcop_msgget },
    { SYS_msgsnd, "msgsnd", ipcop_msg },
    { SYS_msgrcv, "msgrcv", ipcop_msg },
    { SYS_msgctl, "msgctl", ipcop_msgctl },
    { SYS_mq_open, "mq_open", ipcop_mq_open },
    { SYS_mq_unlink, "mq_unlink", ipcop_mq_unlink },
    { SYS_fchmod, "fchmod", serve_fchmod },
    { SYS_fchmodat, "fchmodat", serve_fchmodat },
    { FCHMODAT2, "fchmodat2", serve_fchmodat2 },
    { SYS_fchown, "fchown", serve_fchown },
    { SYS_fchownat, "fchownat", serve_fchownat },
    { SYS_utimensat, "utimensat", serve_utimensat },
#ifdef SYS_open
    { SYS_chmod, "chmod", serve_chmod },
    { SYS_chown, "chown", serve_chown },
    { SYS_lchown, "lchown", serve_lchown },
    { SYS_utime, "utime", serve_utime },
    { SYS_utimes, "utimes", serve_utimes },
    { SYS_futimesat, "futimesat", serve_futimesat },
    { SYS_open, "open", serve_open },
    { SYS_creat, "creat", serve_creat },
    { SYS_mkdir, "mkdir", serve_mkdir },
    { SYS_mknod, "mknod", serve_mknod },
    { SYS_symlink, "symlink", serve_symlink },
    { SYS_link, "link", serve_link },
    { SYS_rename, "rename", serve_rename },
    { SYS_unlink, "unlink", serve_unlink },
    { SYS_rmdir, "rmdir", serve_rmdir },
#endif
};

static void serve(struct warden *w, const struct notify_call *call)
{
    struct request q = { .w = w, .call = *call };
    gitpointer_settle(w);
    for (size_t i = 0; i < sizeof call_rows / sizeof *call_rows; i++) {
        if (call_rows[i].number != call->number)
            continue;
        q.name = call_rows[i].name;
        int result = call_rows[i].serve(&q, call->args);
        if (result != REQUEST_ANSWERED)
            notify_answer(&w->notify, call, 0, result);
        return;
    }
    notify_answer(&w->notify, call, 0, ENOSYS); /* a filter that judges more than we know */
}

/* A listener; its source is its own allocation. */
static void on_listener(struct warden *w, struct source *s, uint32_t events)
{
    struct notify_call call;
    int got = events & EPOLLIN ? notify_receive(&w->notify, s->fd, &call) : 0;
    if (got > 0)
        serve(w, &call);
    if (got < 0 || (events & (EPOLLHUP | EPOLLERR))) {
        warden_unwatch(w, s);
        close(s->fd);
        free(s);
        w->listeners--;
    }
}

int warden_watch(struct warden *w, struct source *s, uint32_t events)
{
    struct epoll_event event = { .events = events, .data.ptr = s };
    return epoll_ctl(w->epoll, EPOLL_CTL_ADD, s->fd, &event) < 0 ? errno : 0;
}

void warden_unwatch(struct warden *w, struct source *s)
{
    epoll_ctl(w->epoll, EPOLL_CTL_DEL, s->fd, NULL);
}

int64_t warden_now(void)
{
    struct timespec t;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &t) == 0);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

void warden_set_umask(struct warden *w, mode_t mask)
{
    if (mask != w->umask_now)
        umask(mask);
    w->umask_now = mask;
}

void warden_make_ready(struct warden *w)
{
    warden_set_umask(w, w->umask_start);
}

void warden_read_comm(struct request *q, char *out, size_t room)
{
    char path[32];
    snprintf(path, sizeof path, "%d/comm", tracee_number(q));
    AUTO_FD fd = openat(q->w->proc, path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, room - 1);
    out[n > 0 ? n - 1 : 0] = '\0'; /* without the newline */
}

void warden_report(struct request *q, struct str object, const char *rule, int os, bool warn_only)
{
    struct warden *w = q->w;
    if (w->options.report < 0)
        return;
    struct warden_report r = {
        .pid = (uint32_t)q->call.tid, .os = os, .lost = w->lost, .warn_only = warn_only
    };
    snprintf(r.call, sizeof r.call, "%s", q->name);
    snprintf(r.rule, sizeof r.rule, "%s", rule ? rule : "");
    warden_read_comm(q, r.argv0, sizeof r.argv0);
    memcpy(r.object, object.p, object.n < sizeof r.object ? object.n : sizeof r.object - 1);
    if (send(w->options.report, &r, sizeof r, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof r)
        w->lost = 0;
    else
        w->lost++;
}

static int open_tree_of_proc(struct warden *w, struct err *e)
{
    w->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
    w->fds = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    w->root = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    w->start = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    w->epoll = epoll_create1(EPOLL_CLOEXEC);
    char self[64] = "";
    if (w->proc >= 0 && readlinkat(w->proc, "thread-self", self, sizeof self - 1) > 0 &&
        sscanf(self, "%d/task/%d", &w->own[0], &w->own[1]) != 2)
        errno = EINVAL;
    if (w->proc < 0 || w->fds < 0 || w->root < 0 || w->start < 0 || w->epoll < 0 || !w->own[1])
        return err_set(e, E_SANDBOX, errno, "layer seccomp: open what the warden needs");
    return 0;
}

static void on_removed(struct warden *w, struct source *s, uint32_t events)
{
    disk_quota_ready(w->quota);
}

/* Half of our descriptors may stand for files that the command has open for writing. */
static int open_quota(struct warden *w, struct err *e)
{
    enum { HELD_MAX = 1024 };
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return err_set(e, E_SANDBOX, errno, "x.limits.diskQuota: how many descriptors there are");
    unsigned held = files.rlim_cur / 2 < HELD_MAX ? (unsigned)(files.rlim_cur / 2) : HELD_MAX;
    if (disk_quota_new(w->options.disk_quota, held, w->fds, &w->quota, e) < 0)
        return -1;
    w->removed = (struct source){ disk_quota_fd(w->quota), on_removed };
    int os = warden_watch(w, &w->removed, EPOLLIN);
    return os ? err_set(e, E_SANDBOX, os, "x.limits.diskQuota: watch what is removed") : 0;
}

/* The kill is the supervisor's. Without room in its queue we come again. */
static int run_quota(struct warden *w)
{
    int timeout = disk_quota_run(w->quota, warden_now());
    if (!disk_quota_is_passed(w->quota) || w->excess_told || w->options.report < 0)
        return timeout;
    struct warden_excess excess = { (uint64_t)disk_quota_added(w->quota), w->options.disk_quota };
    w->excess_told = send(w->options.report, &excess, sizeof excess, MSG_DONTWAIT | MSG_NOSIGNAL) ==
                     sizeof excess;
    return w->excess_told ? timeout : 1;
}

/* What is due by the clock. Milliseconds until the next, -1 for none. */
static int run_timers(struct warden *w)
{
    int pending = pending_run(w), quota = w->quota ? run_quota(w) : -1;
    return pending < 0 || (quota >= 0 && quota < pending) ? quota : pending;
}

int warden_new(const struct warden_options *options, struct warden **out, struct err *e)
{
    struct warden *w = mem_get(sizeof *w);
    *w = (struct warden){
        .options = *options, .epoll = -1, .proc = -1, .fds = -1, .root = -1, .start = -1
    };
    w->umask_now = w->umask_start = umask(077);
    umask(w->umask_now);
    /* A limit on file sizes and a peer that is gone are errors of the caller's, not our end. Blocked,
     * because what is ignored would stay ignored in the command. */
    sigset_t ours;
    sigemptyset(&ours);
    sigaddset(&ours, SIGXFSZ);
    sigaddset(&ours, SIGPIPE);
    sigaddset(&ours, SIGIO); /* somebody wants what a lease of the quota's holds for a moment */
    sigprocmask(SIG_BLOCK, &ours, NULL);
    /* Nobody can be seen asleep in a /proc of other numbers. */
    w->judges_sends = options->unseen_datagrams || options->foreign_proc;
    if (notify_init(&w->notify, e) < 0 || open_tree_of_proc(w, e) < 0 ||
        (options->disk_quota && open_quota(w, e) < 0)) {
        warden_free(w);
        return -1;
    }
    int os = options->ask_files ? wishes_watch(w) : 0;
    if (os) {
        warden_free(w);
        return err_set(e, E_SANDBOX, os, "layer seccomp: watch the answers");
    }
    *out = w;
    return 0;
}

int warden_note_descriptor(struct warden *w, int fd, struct err *e)
{
    int domain = -1, type = -1;
    socklen_t n = sizeof domain, m = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 &&
        getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &m) == 0)
        w->judges_sends |= domain == AF_UNIX && type == SOCK_DGRAM;
    struct stat st;
    struct pathname path;
    int flags = w->quota ? fcntl(fd, F_GETFL) : -1;
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(fd, &st) < 0 ||
        !S_ISREG(st.st_mode) || pathname_of(w, fd, &path) != 0 ||
        !warden_counts(w, pathname_str(&path)))
        return 0;
    int os = disk_quota_room(w->quota);
    if (!os)
        os = disk_quota_open(w->quota, fd, st.st_blocks);
    return os ? err_set(e, E_SANDBOX, os, "x.limits.diskQuota: watch descriptor %d", fd) : 0;
}

bool warden_counts(const struct warden *w, struct str path)
{
    return w->quota && file_rules_place(w->options.rules, path) == FILE_IN_WRITE_ROOT;
}

int warden_add(struct warden *w, int listener, struct err *e)
{
    struct source *s = mem_get(sizeof *s);
    *s = (struct source){ listener, on_listener };
    int os = warden_watch(w, s, EPOLLIN);
    if (os) {
        free(s);
        return err_set(e, E_SANDBOX, os, "layer seccomp: watch the notifications");
    }
    w->listeners++;
    return 0;
}

struct waker {
    struct source source; /* first */
    void (*on_wake)(struct warden *w, void *ctx);
    void *ctx;
};

static void on_waker(struct warden *w, struct source *s, uint32_t events)
{
    struct waker *k = (struct waker *)s;
    k->on_wake(w, k->ctx);
}

int warden_run(struct warden *w, int wake, void (*on_wake)(struct warden *w, void *ctx), void *ctx,
               struct err *e)
{
    struct waker waker = { { wake, on_waker }, on_wake, ctx };
    const bool for_ever = w->listeners == 0;
    int os = wake >= 0 ? warden_watch(w, &waker.source, EPOLLIN) : 0;
    bool has_pages = true;
    while (!os && (w->listeners || for_ever)) {
        /* One at a time: what is served may end another source whose event has been fetched too. */
        struct epoll_event event;
        const int timeout = run_timers(w), idle = pages_timeout(has_pages, timeout);
        int n = epoll_wait(w->epoll, &event, 1, idle);
        if (n < 0 && errno != EINTR)
            os = errno;
        if (n == 0 && idle != timeout) {
            pages_give_back();
            has_pages = false;
        }
        if (n == 1) {
            struct source *s = event.data.ptr;
            s->ready(w, s, event.events);
        }
    }
    if (wake >= 0)
        warden_unwatch(w, &waker.source);
    return os ? err_set(e, E_SANDBOX, os, "layer seccomp: wait for notifications") : 0;
}

void warden_free(struct warden *w)
{
    pending_free(w);
    disk_quota_free(w->quota);
    free(w->senders);
    gitpointer_free(w);
    ipcops_free(w);
    notify_release(&w->notify);
    fd_drop(&w->proc);
    fd_drop(&w->fds);
    fd_drop(&w->root);
    fd_drop(&w->start);
    fd_drop(&w->epoll);
    fd_drop(&w->options.redirect);
    free(w);
}
