#include "sandbox/fileread.h"

#include "base/fd.h"
#include "sandbox/handover.h"
#include "sandbox/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

bool fileread_is_proc(struct warden *w, int object, dev_t device)
{
    struct statfs fs;
    if (device == w->plain_device)
        return false;
    if (fstatfs(object, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC)
        return true;
    w->plain_device = device;
    return false;
}

bool fileread_is_nameless(const struct place *at, const struct pathname *path,
                          const struct stat *st)
{
    return at->is_magic &&
           (path->n == 0 || path->text[0] != '/' || (S_ISREG(st->st_mode) && st->st_nlink == 0));
}

static bool is_our_own(const struct warden *w, dev_t device)
{
    return device && (device == w->options.own_devices[0] || device == w->options.own_devices[1]);
}

int fileread_judge(struct request *q, const struct place *at, struct deed *d, const struct stat *st)
{
    const struct file_rules *rules = q->w->options.rules;
    int os = pathname_of(q->w, at->object, &d->path);
    if (os)
        return os;
    if (!q->was_there && !tracee_is_there(q))
        return EINTR;
    q->was_there = true;
    struct str path = pathname_str(&d->path), former;
    if (path.n == 0 || path.p[0] != '/' || is_our_own(q->w, st->st_dev))
        return 0;
    if (fileread_is_proc(q->w, at->object, st->st_dev)) {
        enum proc_owner owner = tracee_proc_owner(q, path);
        d->verdict.rule = "another proc file system";
        return owner == PROC_OWN ? 0 : owner == PROC_OTHER ? FILEREAD_OTHER_PROCESS : EACCES;
    }
    struct file_facts facts = { .device = st->st_dev, .inode = st->st_ino };
    d->verdict = file_rules_judge_read(rules, path, &facts);
    if (d->verdict.kind == FILE_ALLOWED && pathname_former(path, &former))
        d->verdict = file_rules_judge_read(rules, former, &facts);
    return d->verdict.kind == FILE_DENIED ? EACCES : 0;
}

/* Switches the right that we have and the caller has not. */
static bool look_into_others(bool on)
{
    struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct rights[2];
    if (syscall(SYS_capget, &header, rights) < 0)
        return false;
    rights[0].effective &= ~(1u << CAP_SYS_PTRACE);
    if (on)
        rights[0].effective |= rights[0].permitted & (1u << CAP_SYS_PTRACE);
    return syscall(SYS_capset, &header, rights) == 0;
}

/* Everybody may see these of a process that he sees at all. */
static bool is_public(struct str name)
{
    static const char *const names[] = { "",        "task", "stat",   "statm", "status",
                                         "cmdline", "comm", "cgroup", "limits" };
    struct str rest = name, part;
    if (str_starts(rest, STR("task/"))) {
        rest = str_skip(rest, 5);
        str_cut(&rest, '/', &part);
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq(rest, str_of(names[i])))
            return true;
    return false;
}

int fileread_other_process(struct request *q, const struct pathname *path, int flags)
{
    struct str rest = str_skip(pathname_str(path), sizeof "/proc/" - 1), first;
    uint64_t pid;
    if (!str_cut(&rest, '/', &first) || !str_to_u64(first, &pid) || pid > INT32_MAX ||
        (pid_t)pid == q->w->own[0] || (pid_t)pid == q->w->own[1])
        return ENOENT; /* of ourselves the command is to see nothing; the kernel would show us all */
    if (!is_public(rest) && !tracee_is_ancestor(q, (pid_t)pid))
        return EACCES;
    struct open_how how = { .flags = (uint64_t)((flags & O_DIRECTORY) | O_CLOEXEC | O_NONBLOCK),
                            .resolve = RESOLVE_NO_SYMLINKS };
    if (!look_into_others(false))
        return EACCES;
    AUTO_FD fd = (int)syscall(SYS_openat2, q->w->root, path->text + 1, &how, sizeof how);
    int os = errno;
    if (!look_into_others(true))
        return EACCES; /* without the right nothing will be answered: closed */
    return fd < 0 ? os : handover_blocking(q, fd, flags);
}
