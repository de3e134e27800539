#include "sandbox/seccomp_calls.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/str.h"
#include "sandbox/seccomp_rules.h"

#include <errno.h>
#include <seccomp.h>
#include <stdio.h>

/* Calls that libseccomp 2.5 has no name for. They have one number on all architectures. */
static const struct {
    const char *name;
    int number;
} newer_calls[] = {
    { "cachestat", 451 },         { "fchmodat2", 452 },        { "map_shadow_stack", 453 },
    { "futex_wake", 454 },        { "futex_wait", 455 },       { "futex_requeue", 456 },
    { "statmount", 457 },         { "listmount", 458 },        { "lsm_get_self_attr", 459 },
    { "lsm_set_self_attr", 460 }, { "lsm_list_modules", 461 }, { "mseal", 462 },
    { "setxattrat", 463 },        { "getxattrat", 464 },       { "listxattrat", 465 },
    { "removexattrat", 466 },     { "open_tree_attr", 467 },   { "file_getattr", 468 },
    { "file_setattr", 469 },
};

enum { DEFAULT = 1, STRICT = 2, COMPAT = 4, EVERY = 7 };

/* Contract 4.5. ENOSYS where the C library has an older way to do the same. */
const struct seccomp_refusal seccomp_refusals[] = {
    /* Mounts would put a denied file under a name that is allowed. */
    { "mount", EVERY, EPERM, false },
    { "umount2", EVERY, EPERM, false },
    { "pivot_root", EVERY, EPERM, false },
    { "fsopen", EVERY, EPERM, false },
    { "fsconfig", EVERY, EPERM, false },
    { "fsmount", EVERY, EPERM, false },
    { "fspick", EVERY, EPERM, false },
    { "open_tree", EVERY, EPERM, false },
    { "open_tree_attr", EVERY, EPERM, false },
    { "move_mount", EVERY, EPERM, false },
    { "mount_setattr", EVERY, EPERM, false },
    { "chroot", EVERY, EPERM, true },
    { "unshare", EVERY, EPERM, true },
    { "setns", EVERY, EPERM, true },
    /* Their arguments stand in memory, where a filter cannot look. */
    { "clone3", EVERY, ENOSYS, false },
    { "openat2", EVERY, ENOSYS, false },
    { "io_uring_setup", EVERY, EPERM, false },
    { "io_uring_enter", EVERY, EPERM, false },
    { "io_uring_register", EVERY, EPERM, false },
    { "open_by_handle_at", EVERY, EPERM, false },
    /* Other processes. */
    { "ptrace", DEFAULT | STRICT, EPERM, false },
    { "process_vm_readv", DEFAULT | STRICT, EPERM, false },
    { "process_vm_writev", DEFAULT | STRICT, EPERM, false },
    { "kcmp", DEFAULT | STRICT, EPERM, false },
    { "pidfd_getfd", DEFAULT | STRICT, EPERM, false },
    /* Large parts of the kernel that work inside does not need. */
    { "bpf", EVERY, EPERM, false },
    { "perf_event_open", EVERY, EPERM, false },
    { "userfaultfd", EVERY, EPERM, false },
    { "keyctl", EVERY, EPERM, false },
    { "add_key", EVERY, EPERM, false },
    { "request_key", EVERY, EPERM, false },
    { "memfd_secret", EVERY, EPERM, false },
    { "fanotify_init", DEFAULT | STRICT, EPERM, false },
    { "modify_ldt", EVERY, EPERM, false },
    { "vm86", EVERY, EPERM, false },
    { "lookup_dcookie", EVERY, EPERM, false },
    { "nfsservctl", EVERY, EPERM, false },
    { "uselib", EVERY, EPERM, false },
    { "syslog", EVERY, EPERM, false },
    /* The machine itself. */
    { "kexec_load", EVERY, EPERM, false },
    { "kexec_file_load", EVERY, EPERM, false },
    { "init_module", EVERY, EPERM, false },
    { "finit_module", EVERY, EPERM, false },
    { "delete_module", EVERY, EPERM, false },
    { "swapon", EVERY, EPERM, false },
    { "swapoff", EVERY, EPERM, false },
    { "reboot", EVERY, EPERM, false },
    { "settimeofday", EVERY, EPERM, false },
    { "clock_settime", EVERY, EPERM, false },
    { "clock_adjtime", DEFAULT | STRICT, EPERM, false },
    { "adjtimex", DEFAULT | STRICT, EPERM, false },
    { "acct", EVERY, EPERM, false },
    { "quotactl", EVERY, EPERM, false },
    { "quotactl_fd", EVERY, EPERM, false },
    { "iopl", EVERY, EPERM, false },
    { "ioperm", EVERY, EPERM, false },
    { "vhangup", EVERY, EPERM, false },
    /* Marks on files that mean something outside (T23). */
    { "setxattr", DEFAULT | STRICT, EOPNOTSUPP, false },
    { "lsetxattr", DEFAULT | STRICT, EOPNOTSUPP, false },
    { "fsetxattr", DEFAULT | STRICT, EOPNOTSUPP, false },
    { "setxattrat", DEFAULT | STRICT, EOPNOTSUPP, false },
    { "removexattr", DEFAULT | STRICT, EOPNOTSUPP, false },
    { "lremovexattr", DEFAULT | STRICT, EOPNOTSUPP, false },
    { "fremovexattr", DEFAULT | STRICT, EOPNOTSUPP, false },
    { "removexattrat", DEFAULT | STRICT, EOPNOTSUPP, false },
    { "file_setattr", DEFAULT | STRICT, EOPNOTSUPP, false },
    /* Rarely used, often in the lists of kernel faults. */
    { "name_to_handle_at", STRICT, EPERM, false },
    { "vmsplice", STRICT, EPERM, false },
    { "remap_file_pages", STRICT, EPERM, false },
    { "move_pages", STRICT, EPERM, false },
    { "migrate_pages", STRICT, EPERM, false },
    { "process_madvise", STRICT, EPERM, false },
    { "sysfs", STRICT, EPERM, false },
    { "ustat", STRICT, EPERM, false },
    { 0 },
};

/* Calls whose every use is judged by the warden. */
const char *const seccomp_judged_calls[] = {
    "creat", "truncate", "mkdir", "mkdirat", "mknod", "mknodat", "symlink", "symlinkat", "link",
    "linkat", "rename", "renameat", "renameat2", "unlink", "unlinkat", "rmdir", "bind", "connect",
    "listen", "chmod", "fchmod", "fchmodat", "fchmodat2", "chown", "lchown", "fchown", "fchownat",
    "utimensat", "utime", "utimes", "futimesat",
    /* Not judged: the warden follows it, because it makes files in the caller's place. */
    "umask", NULL
};

/* Shared objects, as far as they are named by a number or a key: those that the sandbox has made. With
 * nested namespaces their maker may have objects of its own, which the warden cannot make. */
const char *const seccomp_ipc_calls[] = { "shmget", "shmat",   "shmctl",     "semget", "semop",
                                          "semctl", "msgget",  "semtimedop", "msgsnd", "msgrcv",
                                          "msgctl", "mq_open", "mq_unlink",  NULL };

/* Calls that are refused or judged for some of their arguments only; see the add_ functions. */
const char *const seccomp_partly_calls[] = { "open",
                                             "openat",
                                             "socket",
                                             "socketpair",
                                             "clone",
                                             "chmod",
                                             "fchmod",
                                             "fchmodat",
                                             "fchmodat2",
                                             "personality",
                                             "ioctl",
                                             "fcntl",
                                             "sendto",
                                             "sendmsg",
                                             "sendmmsg",
                                             "kill",
                                             "tkill",
                                             "tgkill",
                                             "rt_sigqueueinfo",
                                             "setpgid",
                                             "prlimit64",
                                             "pidfd_open",
                                             "rt_tgsigqueueinfo",
                                             NULL };

const char *seccomp_preset_name(int preset)
{
    static const char *const names[SECCOMP_PRESETS] = { "default", "strict", "compat" };
    CHECK(preset >= 0 && preset < SECCOMP_PRESETS);
    return names[preset];
}

int seccomp_call_number(const char *name)
{
    for (size_t i = 0; i < sizeof newer_calls / sizeof *newer_calls; i++)
        if (str_eq(str_of(name), str_of(newer_calls[i].name)))
            return newer_calls[i].number;
    return seccomp_syscall_resolve_name(name);
}

bool seccomp_call_is_listed(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (str_eq(str_of(*list), str_of(name)))
            return true;
    return false;
}

/* Handed to the warden: silence about it would let it through unseen. */
static bool is_judged(const struct seccomp_choice *c, const char *name)
{
    struct str call = str_of(name);
    return c->notify &&
           (seccomp_call_is_listed(seccomp_judged_calls, name) || str_eq(call, STR("open")) ||
            str_eq(call, STR("openat")) ||
            (c->sends && str_starts(call, STR("send")) && !str_starts(call, STR("sendfile"))));
}

bool seccomp_refuses_namespaces(const struct seccomp_choice *c)
{
    static const char *const makers[] = { "unshare", "clone", "clone3" };
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++)
        if (seccomp_call_is_listed(c->allow, makers[i]))
            return false;
    return !c->nested_user_namespaces;
}

static void add_problem(struct buf *out, const char *list, size_t i, const char *name,
                        const char *what)
{
    buf_addf(out, "%sx.seccomp.%s[%zu]: '%s' %s", out->n ? "; " : "", list, i, name, what);
}

int seccomp_choice_check(const struct seccomp_choice *c, struct err *e)
{
    static const char unknown[] = "is no system call";
    AUTO_BUF problems = { 0 };
    for (size_t i = 0; c->allow && c->allow[i]; i++) {
        if (seccomp_call_number(c->allow[i]) == __NR_SCMP_ERROR)
            add_problem(&problems, "allow", i, c->allow[i], unknown);
        else if (is_judged(c, c->allow[i]))
            add_problem(&problems, "allow", i, c->allow[i],
                        "is judged by name and cannot be let through unseen (use "
                        "filesystem.allowWrite)");
        else if (seccomp_call_is_listed(c->deny, c->allow[i]))
            add_problem(&problems, "allow", i, c->allow[i], "stands in x.seccomp.deny too");
    }
    for (size_t i = 0; c->deny && c->deny[i]; i++)
        if (seccomp_call_number(c->deny[i]) == __NR_SCMP_ERROR)
            add_problem(&problems, "deny", i, c->deny[i], unknown);
    return problems.n ? err_set(e, E_INPUT, 0, "%s", buf_text(&problems)) : 0;
}

static void describe_list(const char *what, const char *const *names,
                          void (*line)(void *ctx, const char *text), void *ctx)
{
    for (; names && *names; names++) {
        char text[160];
        snprintf(text, sizeof text, "%s: %s", *names, what);
        line(ctx, text);
    }
}

void seccomp_describe(const struct seccomp_choice *choice,
                      void (*line)(void *ctx, const char *text), void *ctx)
{
    char text[160];
    snprintf(text, sizeof text, "preset %s", seccomp_preset_name(choice->preset));
    line(ctx, text);
    for (const struct seccomp_refusal *row = seccomp_refusals; row->name; row++) {
        bool off = row->unless_nested && choice->nested_user_namespaces;
        if (off || !(row->presets & (1u << choice->preset)) ||
            seccomp_call_is_listed(choice->allow, row->name) ||
            seccomp_call_is_listed(choice->deny, row->name))
            continue;
        snprintf(text, sizeof text, "%s: refused, %s", row->name, strerrorname_np(row->os));
        line(ctx, text);
    }
    if (choice->notify)
        describe_list("judged by name and done by the warden", seccomp_judged_calls, line, ctx);
    if (choice->notify && !choice->nested_user_namespaces)
        describe_list("objects that were made inside only", seccomp_ipc_calls, line, ctx);
    if (choice->notify && choice->sends)
        line(ctx,
             "sendto with an address, sendmsg, sendmmsg: done by the warden once there is a unix "
             "datagram socket");
    describe_list("some arguments are refused or judged", seccomp_partly_calls, line, ctx);
    describe_list("allowed by x.seccomp.allow", choice->allow, line, ctx);
    describe_list("refused by x.seccomp.deny, EPERM", choice->deny, line, ctx);
    snprintf(text, sizeof text,
             "calls above number %d: refused, ENOSYS; 32-bit and x32 calls: process killed",
             SECCOMP_NEWEST_CALL);
    line(ctx, text);
}
