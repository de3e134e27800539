#include "sandbox/cgroup_guard.h"

#include "base/fd.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

enum {
    STACK_SIZE = 96 << 10, /* three levels of PATH_MAX; pages that are not used cost nothing */
    DEPTH_MAX = 8,         /* groups inside our group: more than a sandbox in a sandbox needs */
    PAUSE_FIRST_US = 500,  /* doubles: the kernel needs a moment until dying tasks have left */
    PAUSE_SCOPE_US = 500 * 1000, /* so long a scope is left to systemd */
    PAUSE_LAST_US = 1000 * 1000,
};

static int open_in(const char *dir, const char *name, int flags)
{
    char path[PATH_MAX];
    if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, name) >= sizeof path)
        return errno = ENAMETOOLONG, -1;
    return open(path, flags | O_CLOEXEC | O_NOFOLLOW);
}

/* For kernels before 5.14 and v1: one SIGKILL for each process that is listed. */
static void kill_by_list(const char *dir)
{
    AUTO_FD fd = open_in(dir, "cgroup.procs", O_RDONLY);
    char text[4096];
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (n <= 0)
        return;
    text[n] = '\0'; /* a cut number at the end is another pid: leave it for the next round */
    char *end = memrchr(text, '\n', (size_t)n);
    for (char *at = text; end && at < end;) {
        long pid = strtol(at, &at, 10);
        if (pid > 1 && pid <= INT_MAX)
            kill((pid_t)pid, SIGKILL);
        at += strspn(at, "\n");
    }
}

static void kill_all(const char *dir)
{
    AUTO_FD fd = open_in(dir, "cgroup.kill", O_WRONLY);
    if (fd < 0 || write(fd, "1", 1) != 1)
        kill_by_list(dir);
}

/* The kernel's record of a directory entry. */
struct entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};

static bool remove_tree(const char *dir, int depth);

/* Removes the groups below `dir`. opendir would take memory from the heap. */
static void remove_below(const char *dir, int depth)
{
    AUTO_FD fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    _Alignas(struct entry) char room[2048];
    long n;
    while (fd >= 0 && (n = syscall(SYS_getdents64, fd, room, sizeof room)) > 0) {
        for (char *at = room; at < room + n; at += ((struct entry *)at)->size) {
            const struct entry *found = (const struct entry *)at;
            char path[PATH_MAX];
            if (found->type != DT_DIR || found->name[0] == '.')
                continue;
            if ((size_t)snprintf(path, sizeof path, "%s/%s", dir, found->name) < sizeof path)
                remove_tree(path, depth + 1);
        }
    }
}

/* True when nothing of `dir` is left. */
static bool remove_tree(const char *dir, int depth)
{
    if (rmdir(dir) == 0 || errno == ENOENT)
        return true;
    if (depth < DEPTH_MAX)
        remove_below(dir, depth);
    kill_all(dir);
    return rmdir(dir) == 0 || errno == ENOENT;
}

/* A scope is systemd's own to remove: one that is gone before systemd has seen it empty counts as running
 * there for ever. True when it is gone. */
static bool is_removed_by_systemd(const char *dir)
{
    if (access(dir, F_OK) < 0)
        return true;
    kill_all(dir);
    return false;
}

static bool is_scope(const char *dir)
{
    const char *end = strrchr(dir, '.');
    return end && strcmp(end, ".scope") == 0;
}

int cgroup_tear_down(char *const dirs[CGROUP_PLACES])
{
    for (long pause = PAUSE_FIRST_US;; pause *= 2) {
        int left = 0;
        for (int i = 0; i < CGROUP_PLACES && dirs[i]; i++)
            left += is_scope(dirs[i]) && pause < PAUSE_SCOPE_US ? !is_removed_by_systemd(dirs[i])
                                                                : !remove_tree(dirs[i], 0);
        if (left == 0 || pause > PAUSE_LAST_US)
            return left;
        nanosleep(&(struct timespec){ pause / 1000000, pause % 1000000 * 1000 }, NULL);
    }
}

struct guard_task {
    char *const *dirs; /* of the supervisor's struct cgroup, which grows while we wait */
    int supervisor;    /* pidfd */
};

/* Runs in the supervisor's memory, beside it: until the supervisor is gone it makes no call that can
 * fail, because errno is shared, too. */
static int guard_main(void *argument)
{
    struct guard_task *task = argument;
    prctl(PR_SET_NAME, "postern-guard", 0, 0, 0);
    syscall(SYS_setsid);
    if (task->supervisor > 0)
        syscall(SYS_close_range, 0, task->supervisor - 1, 0);
    syscall(SYS_close_range, task->supervisor + 1, ~0u, 0);
    struct pollfd gone = { .fd = task->supervisor, .events = POLLIN };
    /* EINTR is not possible: every signal is blocked. */
    syscall(SYS_ppoll, &gone, 1, NULL, NULL, 0);
    cgroup_tear_down(task->dirs);
    return 0;
}

int cgroup_guard_start(struct cgroup *c, struct err *e)
{
    AUTO_FD self = (int)syscall(SYS_pidfd_open, getpid(), 0);
    if (self < 0)
        return err_set(e, E_SANDBOX, errno, "cgroup guard");
    AUTO_FREE char *stack = mem_grow(NULL, STACK_SIZE);
    /* The task lies above the guard's own stack. */
    struct guard_task *task = (struct guard_task *)(stack + STACK_SIZE) - 1;
    task->dirs = c->dirs;
    task->supervisor = self;

    /* Our handlers must never run in the guard. */
    sigset_t all, was;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &was);
    /* No signal at its end: the supervisor's own waits never see it (__WCLONE). */
    pid_t pid = clone(guard_main, task, CLONE_VM, task);
    int os = errno;
    sigprocmask(SIG_SETMASK, &was, NULL);
    /* Before any group exists, and whoever of the two is first: it leaves our process group. */
    if (pid > 0)
        setpgid(pid, pid);
    if (pid < 0)
        return err_set(e, E_SANDBOX, os, "cgroup guard");
    c->guard = pid;
    c->guard_stack = mem_take(&stack);
    return 0;
}

void cgroup_guard_stop(struct cgroup *c)
{
    if (!c->guard)
        return;
    kill(c->guard, SIGKILL);
    while (waitpid(c->guard, NULL, __WCLONE) < 0 && errno == EINTR)
        continue;
    free(c->guard_stack);
    c->guard = 0;
    c->guard_stack = NULL;
}
