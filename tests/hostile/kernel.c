/* hostile-kernel [change] - what a root caller could do to the machine through /proc, /sys and /dev (T33).
 *
 * Opening for writing is what counts; nothing is written. The few files that only root's capabilities
 * protect are the ones that matter: the sandbox keeps uid 0 mapped. With "change" only what changes
 * something is tried: what masks hide, and what shows a capability, has one layer by its nature.
 */
#include "attack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static bool opens(const char *const *paths)
{
    int os = ENOENT;
    for (; *paths; paths++) {
        int fd = open(*paths, O_WRONLY | O_NONBLOCK);
        if (fd >= 0) {
            attack_note("%s", *paths);
            close(fd);
            return true;
        }
        if (errno != ENOENT)
            os = errno;
    }
    errno = os;
    return false;
}

static bool by_core_pattern(void)
{
    static const char *const paths[] = { "/proc/sys/kernel/core_pattern",
                                         "/proc/self/root/proc/sys/kernel/core_pattern",
                                         "/proc/sys/kernel/modprobe",
                                         "/proc/sys/kernel/hotplug",
                                         "/proc/sys/kernel/usermodehelper/bset",
                                         NULL };
    return opens(paths);
}

static bool by_other_sysctls(void)
{
    static const char *const paths[] = { "/proc/sys/vm/overcommit_memory",
                                         "/proc/sys/vm/drop_caches",
                                         "/proc/sys/vm/panic_on_oom",
                                         "/proc/sys/kernel/panic",
                                         "/proc/sys/kernel/sysrq",
                                         "/proc/sys/kernel/hostname",
                                         "/proc/sys/kernel/ns_last_pid",
                                         "/proc/sys/kernel/pid_max",
                                         "/proc/sys/kernel/shmmax",
                                         "/proc/sys/kernel/yama/ptrace_scope",
                                         "/proc/sys/fs/file-max",
                                         "/proc/sys/fs/suid_dumpable",
                                         "/proc/sys/fs/binfmt_misc/register",
                                         "/proc/sys/fs/protected_symlinks",
                                         "/proc/sys/net/ipv4/ip_forward",
                                         "/proc/sys/net/ipv4/conf/all/route_localnet",
                                         "/proc/sys/net/ipv6/conf/all/disable_ipv6",
                                         "/proc/sys/user/max_user_namespaces",
                                         NULL };
    return opens(paths);
}

static bool by_proc_files(void)
{
    static const char *const paths[] = { "/proc/sysrq-trigger",
                                         "/proc/kcore",
                                         "/proc/mtrr",
                                         "/proc/acpi/wakeup",
                                         "/proc/scsi/scsi",
                                         "/proc/irq/0/smp_affinity",
                                         "/proc/irq/default_smp_affinity",
                                         "/proc/timer_list",
                                         NULL };
    return opens(paths);
}

static bool by_reading_kernel_files(void)
{
    static const char *const paths[] = { "/proc/kcore",         "/proc/keys",
                                         "/proc/key-users",     "/proc/timer_list",
                                         "/proc/kallsyms",      "/proc/latency_stats",
                                         "/proc/sysrq-trigger", NULL };
    char byte;
    for (size_t i = 0; paths[i]; i++) {
        int fd = open(paths[i], O_RDONLY | O_NONBLOCK);
        if (fd >= 0 && read(fd, &byte, 1) == 1) {
            attack_note("%s", paths[i]);
            return true;
        }
    }
    errno = EACCES;
    return false;
}

static bool by_sys_files(void)
{
    static const char *const paths[] = { "/sys/kernel/uevent_helper",
                                         "/sys/kernel/profiling",
                                         "/sys/kernel/mm/transparent_hugepage/enabled",
                                         "/sys/power/state",
                                         "/sys/power/disk",
                                         "/sys/bus/pci/rescan",
                                         "/sys/module/kernel/parameters/panic",
                                         "/sys/class/net/lo/mtu",
                                         "/sys/block/vda/queue/scheduler",
                                         NULL };
    return opens(paths);
}

static bool by_masked_sys(void)
{
    static const char *const paths[] = { "/sys/firmware",
                                         "/sys/kernel/debug",
                                         "/sys/kernel/tracing",
                                         "/sys/kernel/security",
                                         "/sys/fs/bpf",
                                         "/sys/fs/cgroup",
                                         NULL };
    for (size_t i = 0; paths[i]; i++) {
        DIR *list = opendir(paths[i]);
        for (struct dirent *entry; list && (entry = readdir(list));)
            if (entry->d_name[0] != '.') {
                attack_note("%s/%s", paths[i], entry->d_name);
                return true;
            }
    }
    errno = EACCES;
    return false;
}

/* The release agent of control groups runs a program on the host. */
static bool by_control_groups(void)
{
    static const char *const places[] = { "/sys/fs/cgroup",
                                          "/sys/fs/cgroup/memory",
                                          "/sys/fs/cgroup/pids",
                                          "/sys/fs/cgroup/freezer",
                                          "/sys/fs/cgroup/systemd",
                                          "/sys/fs/cgroup/unified",
                                          NULL };
    char path[128];
    for (size_t i = 0; places[i]; i++) {
        static const char *const names[] = { "release_agent", "notify_on_release", "cgroup.procs",
                                             "devices.allow", "memory.limit_in_bytes" };
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            snprintf(path, sizeof path, "%s/%s", places[i], names[k]);
            int fd = open(path, O_WRONLY);
            if (fd >= 0) {
                attack_note("%s", path);
                return true;
            }
        }
        snprintf(path, sizeof path, "%s/hostile", places[i]);
        if (mkdir(path, 0755) == 0) {
            rmdir(path);
            attack_note("%s", path);
            return true;
        }
    }
    errno = EACCES;
    return false;
}

static bool by_devices(void)
{
    static const char *const paths[] = { "/dev/mem",         "/dev/kmem",
                                         "/dev/port",        "/dev/vda",
                                         "/dev/sda",         "/dev/kmsg",
                                         "/dev/core",        "/dev/fuse",
                                         "/dev/kvm",         "/dev/net/tun",
                                         "/dev/vhost-vsock", "/dev/vsock",
                                         "/dev/console",     "/dev/tty0",
                                         "/dev/ttyS0",       "/dev/hvc0",
                                         "/dev/snapshot",    "/dev/cpu_dma_latency",
                                         "/dev/userfaultfd", NULL };
    return opens(paths);
}

/* What is in /dev beyond the list of contract 2.4 and our own program? */
static bool by_unlisted_device(void)
{
    static const char *const known[] = { "null", "zero",   "full",    "random", "urandom", "tty",
                                         "pts",  "shm",    "fd",      "stdin",  "stdout",  "stderr",
                                         "ptmx", "mqueue", "console", "postern" };
    DIR *list = opendir("/dev");
    for (struct dirent *entry; list && (entry = readdir(list));) {
        bool is_known = entry->d_name[0] == '.';
        for (size_t i = 0; i < sizeof known / sizeof *known; i++)
            is_known = is_known || strcmp(entry->d_name, known[i]) == 0;
        if (!is_known) {
            attack_note("/dev/%s", entry->d_name);
            return true;
        }
    }
    errno = EACCES;
    return false;
}

static bool by_new_device(void)
{
    char path[64];
    snprintf(path, sizeof path, "/dev/shm/hostile-%d", getpid());
    if (mknod(path, S_IFCHR | 0600, makedev(1, 1)) == 0)
        return unlink(path) == 0;
    return false;
}

static bool by_identity(void)
{
    static const uid_t ids[] = { 0, 1, 1000, 65534 };
    gid_t group = 0;
    if (setgroups(1, &group) == 0) {
        attack_note("setgroups");
        return true;
    }
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        if (ids[i] != getuid() && setresuid(ids[i], ids[i], ids[i]) == 0) {
            attack_note("uid %u", ids[i]);
            return true;
        }
        if (ids[i] != getgid() && setresgid(ids[i], ids[i], ids[i]) == 0) {
            attack_note("gid %u", ids[i]);
            return true;
        }
    }
    return false;
}

static bool by_chroot(void)
{
    return chroot("/usr") == 0;
}

static bool by_capabilities(void)
{
    for (unsigned long capability = 0; capability < 41; capability++) {
        if (prctl(PR_CAPBSET_READ, capability) == 1) {
            attack_note("capability %lu is in the bounding set", capability);
            return true;
        }
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, capability, 0, 0) == 0) {
            attack_note("capability %lu can be raised", capability);
            return true;
        }
    }
    return false;
}

static bool by_reading_others_files(void)
{
    /* Only the right to overlook permissions reads a file of mode 000. */
    char path[64], byte;
    snprintf(path, sizeof path, "/dev/shm/closed-%d", getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0000);
    if (fd < 0 || write(fd, "x", 1) != 1)
        return false;
    int again = open(path, O_RDONLY);
    unlink(path);
    errno = EACCES;
    return again >= 0 && read(again, &byte, 1) == 1;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "core_pattern and helpers", by_core_pattern },
        { "sysctls", by_other_sysctls },
        { "files of /proc", by_proc_files },
        { "files of /sys", by_sys_files },
        { "control groups", by_control_groups },
        { "devices", by_devices },
        { "new device", by_new_device },
        { "identity", by_identity },
        { "chroot", by_chroot },
        /* up to here they change something */
        { "reading /proc", by_reading_kernel_files },
        { "masked /sys", by_masked_sys },
        { "unlisted device", by_unlisted_device },
        { "capabilities", by_capabilities },
        { "overlooking permissions", by_reading_others_files },
    };
    enum { WAYS = sizeof ways / sizeof *ways, LOOKING = 5 };
    attack_begin(argc, argv);
    return attack_run(ways, argc > 1 ? WAYS - LOOKING : WAYS);
}
