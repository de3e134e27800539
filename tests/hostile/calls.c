/* hostile-calls GROUP - reaches the kernel with calls that the filter must refuse (contract 4.5).
 *
 * A call counts as reached when it succeeds or fails with anything but EPERM, EACCES or ENOSYS:
 * EINVAL or EFAULT mean that the kernel's own code looked at the arguments. The arguments are chosen
 * so that a call that gets through changes nothing.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

struct call_row {
    const char *group, *name;
    long number;
    unsigned long a, b, c, d, e;
};

#define BAD 1ul /* an address that is never mapped */
#define ROW(group, call, ...)                                                                      \
    {                                                                                              \
        group, #call, SYS_##call, __VA_ARGS__                                                      \
    }

static const struct call_row rows[] = {
    ROW("mount", mount, BAD, BAD, BAD),
    ROW("mount", umount2, BAD, 0),
    ROW("mount", pivot_root, BAD, BAD),
    ROW("mount", fsopen, BAD, 0),
    ROW("mount", fsconfig, 0, 0, 0),
    ROW("mount", fsmount, 0, 0, 0),
    ROW("mount", fspick, 0, BAD, 0),
    ROW("mount", open_tree, 0, BAD, 1),
    ROW("mount", move_mount, 0, BAD, 0, BAD, 0),
    ROW("mount", mount_setattr, 0, BAD, 0, BAD, 0),
    ROW("namespace", unshare, 0x10000000),
    ROW("namespace", setns, 0, 0),
    ROW("namespace", clone3, BAD, 64),
    ROW("trace", ptrace, PTRACE_PEEKDATA, 1),
    ROW("trace", ptrace, PTRACE_ATTACH, 0x7fffffff),
    ROW("trace", process_vm_readv, 1, BAD, 1, BAD, 1),
    ROW("trace", process_vm_writev, 1, BAD, 1, BAD, 1),
    ROW("trace", kcmp, 1, 1, 0, 0, 0),
    ROW("trace", pidfd_getfd, 0, 0, 0),
    ROW("kernel", bpf, BPF_MAP_CREATE, BAD, 8),
    ROW("kernel", perf_event_open, BAD, 0, 0, (unsigned long)-1, 0),
    ROW("kernel", userfaultfd, 1),
    ROW("kernel", io_uring_setup, 4, BAD),
    ROW("kernel", io_uring_enter, 0, 0, 0, 0, 0),
    ROW("kernel", io_uring_register, 0, 0, 0, 0),
    ROW("key", keyctl, KEYCTL_GET_KEYRING_ID, (unsigned long)-3, 1),
    ROW("key", add_key, BAD, BAD, 0, 0, (unsigned long)-3),
    ROW("key", request_key, BAD, BAD, 0, 0),
    ROW("module", kexec_load, 0, 99, BAD, 0xffff),
    ROW("module", kexec_file_load, 0, 0, 0, BAD, 0xffff),
    ROW("module", init_module, BAD, 0, BAD),
    ROW("module", finit_module, 0, BAD, 0xffff),
    ROW("module", delete_module, BAD, 0),
    ROW("handle", open_by_handle_at, 0, BAD, 0),
    ROW("time", settimeofday, BAD, 0),
    ROW("time", clock_settime, 0, BAD),
    ROW("time", adjtimex, BAD),
    ROW("time", clock_adjtime, 0, BAD),
    ROW("machine", swapon, BAD, 0),
    ROW("machine", swapoff, BAD),
    ROW("machine", reboot, 0, 0, 0, 0),
    ROW("machine", acct, BAD),
    ROW("machine", quotactl, 0, BAD, 0, BAD),
    ROW("machine", lookup_dcookie, 0, BAD, 8),
    ROW("machine", memfd_secret, 0xffff),
    ROW("machine", sethostname, BAD, 4),
    ROW("machine", setdomainname, BAD, 4),
    ROW("machine", syslog, 3, BAD, (unsigned long)-1),
#ifdef __x86_64__
    ROW("machine", iopl, 3),
    ROW("machine", ioperm, 0x80, 1, 1),
    ROW("machine", modify_ldt, 1, BAD, 16),
    ROW("machine", nfsservctl, 0),
    ROW("machine", uselib, BAD),
#endif
    ROW("personality", personality, READ_IMPLIES_EXEC),
    ROW("personality", personality, 0x20000000ul /* an unknown bit */),
    ROW("personality", personality, ADDR_COMPAT_LAYOUT | MMAP_PAGE_ZERO),
};

/* "" when the call was refused, else what the kernel said. In a child: the filter may kill. */
static void call_try(const struct call_row *row, char *said, size_t room)
{
    *said = 0;
    pid_t child = fork();
    if (child < 0)
        attack_cannot("fork: %s", strerror(errno));
    if (child == 0) {
        errno = 0;
        long result = raw_call(row->number, row->a, row->b, row->c, row->d, row->e, 0);
        _exit(result < 0 ? errno : 255);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status))
        return;
    int os = WEXITSTATUS(status);
    if (os == EPERM || os == EACCES || os == ENOSYS)
        return;
    snprintf(said, room, "%s", os == 255 ? "done" : strerrorname_np(os));
}

int main(int argc, char **argv)
{
    attack_begin(argc, argv);
    const char *group = attack_argument(1);
    char reached[1024] = "", said[64];
    size_t at = 0, count = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].group, group) != 0)
            continue;
        count++;
        call_try(&rows[i], said, sizeof said);
        if (*said && at < sizeof reached)
            at += (size_t)snprintf(reached + at, sizeof reached - at, "%s%s: %s", at ? ", " : "",
                                   rows[i].name, said);
    }
    if (count == 0)
        attack_cannot("no group '%s'", group);
    if (at)
        attack_escaped("reached the kernel: %s", reached);
    attack_blocked("%zu calls refused", count);
}
