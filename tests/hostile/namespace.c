/* hostile-namespace SCRATCH HIDDEN-FILE MARK - new namespaces, and mounts undone in them (T6).
 *
 * Run bare only in a mount namespace that is thrown away: as root it changes mounts.
 * Any namespace that can be made is an escape; inside a new one the mounts are taken apart and the
 * hidden file is read.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static const unsigned long namespaces[] = {
    CLONE_NEWUSER,
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWNET,
    CLONE_NEWIPC,
    CLONE_NEWCGROUP,
    CLONE_NEWUTS,
    0x80 /* CLONE_NEWTIME */,
    CLONE_NEWUSER | CLONE_NEWNS,
};
enum { NAMESPACES = sizeof namespaces / sizeof *namespaces };

/* A child that ends at once; true when it could be made. */
static bool child_made(long pid)
{
    if (pid == 0)
        _exit(0);
    if (pid > 0)
        waitpid((pid_t)pid, NULL, 0);
    return pid > 0;
}

static bool by_unshare(void)
{
    for (int i = 0; i < NAMESPACES; i++)
        if (unshare((int)namespaces[i]) == 0) {
            attack_note("flags %#lx", namespaces[i]);
            return true;
        }
    return false;
}

static bool by_unshare_high_bits(void)
{
    return raw_call(SYS_unshare, CLONE_NEWUSER | 0x100000000ul, 0, 0, 0, 0, 0) == 0;
}

static bool by_clone(void)
{
    for (int i = 0; i < NAMESPACES; i++)
        if (namespaces[i] != 0x80 && /* clone takes the low byte as the signal */
            child_made(raw_call(SYS_clone, namespaces[i] | SIGCHLD, 0, 0, 0, 0, 0))) {
            attack_note("flags %#lx", namespaces[i]);
            return true;
        }
    return false;
}

static bool by_clone_high_bits(void)
{
    return child_made(
        raw_call(SYS_clone, CLONE_NEWUSER | SIGCHLD | 0x8000000000000000ul, 0, 0, 0, 0, 0));
}

static bool by_clone3(void)
{
    for (int i = 0; i < NAMESPACES; i++) {
        struct clone_args args = { .flags = namespaces[i], .exit_signal = SIGCHLD };
        if (child_made(syscall(SYS_clone3, &args, sizeof args))) {
            attack_note("flags %#lx", namespaces[i]);
            return true;
        }
    }
    return false;
}

static bool by_setns(void)
{
    static const char *const names[] = { "user", "mnt", "net", "pid", "ipc", "uts", "cgroup" };
    char path[64];
    for (int pid = 1; pid < 8; pid++)
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            snprintf(path, sizeof path, "/proc/%d/ns/%s", pid, names[i]);
            int fd = open(path, O_RDONLY);
            if (fd >= 0 && setns(fd, 0) == 0) {
                attack_note("%s", path);
                return true;
            }
            close(fd);
        }
    errno = EPERM;
    return false;
}

static bool by_setns_of_a_process(void)
{
    for (int pid = 1; pid < 8; pid++) {
        int fd = (int)syscall(SYS_pidfd_open, pid, 0);
        if (fd >= 0 && setns(fd, CLONE_NEWNS | CLONE_NEWNET) == 0)
            return true;
    }
    errno = EPERM;
    return false;
}

/* Mounts over a directory of the attacker's own, never over one that others use. */
static bool by_mount(void)
{
    const char *at = attack_argument(1);
    if (mount("tmpfs", at, "tmpfs", 0, NULL) < 0 && mount("/", at, NULL, MS_BIND, NULL) < 0 &&
        mount("proc", at, "proc", 0, NULL) < 0)
        return false;
    umount2(at, MNT_DETACH);
    return true;
}

static bool by_remount(void)
{
    return mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_NODEV, NULL) == 0 ||
           mount(NULL, "/usr", NULL, MS_REMOUNT | MS_BIND, NULL) == 0 ||
           umount2("/proc", MNT_DETACH) == 0;
}

static bool by_new_mount_calls(void)
{
    int tree = (int)syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | AT_RECURSIVE);
    int fs = (int)syscall(SYS_fsopen, "tmpfs", 0);
    int pick = (int)syscall(SYS_fspick, AT_FDCWD, "/", 0);
    struct mount_attr attr = { .attr_clr = MOUNT_ATTR_NOSUID };
    long set = syscall(SYS_mount_setattr, AT_FDCWD, "/", 0, &attr, sizeof attr);
    return tree >= 0 || fs >= 0 || pick >= 0 || set == 0;
}

static bool by_root_change(void)
{
    return chroot(attack_argument(1)) == 0 || syscall(SYS_pivot_root, ".", ".") == 0;
}

static bool by_unmounting_what_hides(void)
{
    const char *hidden = attack_argument(2), *mark = attack_argument(3);
    char text[256] = "";
    if (unshare(CLONE_NEWUSER | CLONE_NEWNS) < 0)
        return false;
    for (int i = 0; i < 8; i++)
        umount2(hidden, MNT_DETACH);
    int fd = open(hidden, O_RDONLY);
    if (fd < 0 || read(fd, text, sizeof text - 1) <= 0)
        return false;
    return strstr(text, mark) != NULL;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "unshare", by_unshare },
        { "unshare with high bits", by_unshare_high_bits },
        { "clone", by_clone },
        { "clone with high bits", by_clone_high_bits },
        { "clone3", by_clone3 },
        { "setns", by_setns },
        { "setns of a pidfd", by_setns_of_a_process },
        { "mount", by_mount },
        { "remount or unmount", by_remount },
        { "new mount calls", by_new_mount_calls },
        { "chroot or pivot_root", by_root_change },
        { "unmounting in a new namespace", by_unmounting_what_hides },
    };
    attack_begin(argc, argv);
    return attack_run(ways, sizeof ways / sizeof *ways);
}
