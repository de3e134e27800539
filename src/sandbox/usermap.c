#include "sandbox/usermap.h"

#include "base/fd.h"
#include "sandbox/part.h"
#include "sandbox/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>

enum { STACK_SIZE = 16 << 10 };

bool usermap_is(const struct request *q, struct str path)
{
    static const char *const names[] = { "/uid_map", "/gid_map", "/projid_map", "/setgroups" };
    for (size_t i = 0; q->w->options.nested_user_namespaces && i < sizeof names / sizeof *names;
         i++)
        if (str_starts(path, STR("/proc/")) && str_ends(path, str_of(names[i])))
            return true;
    return false;
}

struct errand {
    int proc, space, flags;
    const char *path; /* below /proc */
    int fd, os;       /* what came of it */
};

/* Runs in the warden's memory and on its descriptors, while the warden waits: what it opens is ours. */
static int run_errand(void *ctx)
{
    struct errand *r = ctx;
    /* With other credentials the kernel may let the memory be looked into again (fs.suid_dumpable), and it is
     * the warden's. */
    if (setns(r->space, CLONE_NEWUSER) == 0 &&
        prctl(PR_SET_DUMPABLE, part_is_off(PART_DUMPABLE)) == 0)
        r->fd = openat(r->proc, r->path, r->flags);
    r->os = r->fd < 0 ? errno : 0;
    return 0;
}

static bool is_ours(const struct warden *w, int space)
{
    struct stat here, there;
    return fstatat(w->proc, "self/ns/user", &here, 0) == 0 && fstat(space, &there) == 0 &&
           here.st_ino == there.st_ino && here.st_dev == there.st_dev;
}

int usermap_open(struct request *q, struct str path, int flags, int *fd)
{
    _Alignas(16) char stack[STACK_SIZE];
    char text[64], link[32];
    struct str below = str_skip(path, strlen("/proc/"));
    if (below.n >= sizeof text)
        return ENOENT;
    snprintf(text, sizeof text, "%.*s", STR_ARGS(below));
    snprintf(link, sizeof link, "%d/ns/user", tracee_number(q));
    AUTO_FD space = openat(q->w->proc, link, O_RDONLY | O_CLOEXEC);
    if (space < 0)
        return errno;
    struct errand errand = { .proc = q->w->proc,
                             .space = space,
                             .flags = (flags & ~(O_CREAT | O_EXCL)) | O_CLOEXEC | O_NOCTTY,
                             .path = text,
                             .fd = -1,
                             .os = EINTR }; /* unless it comes to say something else */
    if (!tracee_is_there(q))
        return EINTR;
    if (is_ours(q->w, space)) { /* one is not let into where one stands */
        *fd = openat(errand.proc, errand.path, errand.flags);
        return *fd < 0 ? errno : 0;
    }
    /* Without a signal at its end: init, whose thread we are, reaps everything that sends it one. */
    int how = CLONE_VM | CLONE_VFORK | CLONE_FILES;
    pid_t child = clone(run_errand, stack + sizeof stack, how, &errand);
    if (child < 0)
        return errno;
    while (waitpid(child, NULL, __WALL) < 0 && errno == EINTR)
        continue;
    *fd = errand.fd;
    return errand.os;
}
