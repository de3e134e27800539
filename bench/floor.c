/* floor.c - the least that a sandbox with the layers of `postern run` costs: the floor of bench-start.
 *
 *   bench-floor [--hide DIR]... [--write DIR]... [--keep DIR]... -- COMMAND [ARG...]
 *
 * All namespaces, loopback, a read-only tree with writable, read-only and hidden places in it, its
 * own /proc and /dev, no capability, Landlock, a system call filter,
 * exec. No settings, no proxy, no init of its own, no judging by name, no audit, and errors end it
 * with the name of the step: it is measured against, never used.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/landlock.h>
#include <linux/mount.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum place_kind { PLACE_HIDE, PLACE_WRITE, PLACE_KEEP };
enum { PLACES_MAX = 32 };

struct place {
    enum place_kind kind;
    const char *path;
    int tree; /* a detached copy of it, taken before the tree turns read-only */
};

struct plan {
    struct place places[PLACES_MAX];
    size_t count;
    char **command;
    unsigned uid, gid; /* of the caller */
};

__attribute__((noreturn)) static void fail(const char *step)
{
    dprintf(2, "bench-floor: %s: %s\n", step, strerror(errno));
    _exit(125);
}

static int must(long result, const char *step)
{
    if (result < 0)
        fail(step);
    return (int)result;
}

static void put(const char *path, const char *text)
{
    int fd = must(open(path, O_WRONLY | O_CLOEXEC), path);
    must(write(fd, text, strlen(text)), path);
    close(fd);
}

static int tree_of(const char *path)
{
    return must(
        syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE),
        path);
}

static void tree_attr(int tree, uint64_t set)
{
    struct mount_attr attr = { .attr_set = set };
    must(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof attr),
         "mount_setattr");
}

static void tree_put(int tree, const char *path)
{
    must(syscall(SYS_move_mount, tree, "", AT_FDCWD, path, MOVE_MOUNT_F_EMPTY_PATH), path);
    close(tree);
}

static void own_ids(const struct plan *plan)
{
    char line[64];
    put("/proc/self/setgroups", "deny");
    snprintf(line, sizeof line, "%u %u 1", plan->uid, plan->uid);
    put("/proc/self/uid_map", line);
    snprintf(line, sizeof line, "%u %u 1", plan->gid, plan->gid);
    put("/proc/self/gid_map", line);
}

static void loopback_up(void)
{
    int fd = must(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "socket");
    struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
    must(ioctl(fd, SIOCSIFFLAGS, &request), "loopback");
    close(fd);
}

static void make_dev(void)
{
    static const char *const devices[] = { "null", "zero", "full", "random", "urandom", "tty" };
    int trees[sizeof devices / sizeof *devices];
    char path[64];
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        snprintf(path, sizeof path, "/dev/%s", devices[i]);
        trees[i] = tree_of(path);
    }
    must(mount("tmpfs", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755,size=64k"), "/dev");
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++) {
        snprintf(path, sizeof path, "/dev/%s", devices[i]);
        close(must(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0666), path));
        tree_put(trees[i], path);
    }
    must(mkdir("/dev/pts", 0755), "/dev/pts");
    must(mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "newinstance,ptmxmode=0666"),
         "/dev/pts");
    must(mkdir("/dev/shm", 01777), "/dev/shm");
    must(mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "size=64m"), "/dev/shm");
    must(symlink("pts/ptmx", "/dev/ptmx"), "/dev/ptmx");
    must(symlink("/proc/self/fd", "/dev/fd"), "/dev/fd");
}

static void make_mounts(struct plan *plan)
{
    must(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "private");
    for (size_t i = 0; i < plan->count; i++)
        if (plan->places[i].kind != PLACE_HIDE)
            plan->places[i].tree = tree_of(plan->places[i].path);

    int root = tree_of("/");
    tree_attr(root, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID);
    tree_put(root, "/tmp");
    must(chdir("/tmp"), "chdir");
    must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
    must(umount2(".", MNT_DETACH), "umount");
    must(chdir("/"), "chdir");

    for (size_t i = 0; i < plan->count; i++) {
        struct place *place = &plan->places[i];
        if (place->kind == PLACE_HIDE) {
            must(mount("tmpfs", place->path, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV, "size=4k"),
                 place->path);
            continue;
        }
        if (place->kind == PLACE_KEEP)
            tree_attr(place->tree, MOUNT_ATTR_RDONLY);
        tree_put(place->tree, place->path);
    }
    make_dev();
    must(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL), "/proc");
    must(mount("/proc/sys", "/proc/sys", NULL, MS_BIND, NULL), "/proc/sys");
    must(mount(NULL, "/proc/sys", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), "/proc/sys");
}

static void drop_rights(void)
{
    for (int capability = 0; prctl(PR_CAPBSET_READ, capability) >= 0; capability++)
        must(prctl(PR_CAPBSET_DROP, capability, 0, 0, 0), "bounding set");
    struct {
        uint32_t version;
        int pid;
    } head = { 0x20080522, 0 };
    uint32_t none[6] = { 0 };
    must(syscall(SYS_capset, &head, none), "capset");
    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs");
    must(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }), "core");
}

static void allow(int rules, const char *path, uint64_t access)
{
    struct landlock_path_beneath_attr rule = {
        .allowed_access = access,
        .parent_fd = must(open(path, O_PATH | O_CLOEXEC), path),
    };
    must(syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &rule, 0),
         "landlock rule");
    close(rule.parent_fd);
}

static void enter_landlock(const struct plan *plan)
{
    enum { READ = 1 << 0 | 1 << 2 | 1 << 3, ALL = (1 << 15) - 1 };
    struct landlock_ruleset_attr attr = { .handled_access_fs = ALL };
    int rules = must(syscall(SYS_landlock_create_ruleset, &attr, sizeof attr, 0), "landlock");
    allow(rules, "/", READ);
    allow(rules, "/dev", READ | LANDLOCK_ACCESS_FS_WRITE_FILE);
    for (size_t i = 0; i < plan->count; i++)
        if (plan->places[i].kind == PLACE_WRITE)
            allow(rules, plan->places[i].path, ALL);
    must(syscall(SYS_landlock_restrict_self, rules, 0), "landlock");
    close(rules);
}

/* A filter of the usual size: the architecture, then one comparison for each refused call. */
static void enter_filter(void)
{
    static const int refused[] = {
        SYS_mount,
        SYS_umount2,
        SYS_pivot_root,
        SYS_fsopen,
        SYS_fsconfig,
        SYS_fsmount,
        SYS_fspick,
        SYS_open_tree,
        SYS_move_mount,
        SYS_mount_setattr,
        SYS_unshare,
        SYS_setns,
        SYS_ptrace,
        SYS_process_vm_readv,
        SYS_process_vm_writev,
        SYS_kcmp,
        SYS_pidfd_getfd,
        SYS_bpf,
        SYS_perf_event_open,
        SYS_userfaultfd,
        SYS_io_uring_setup,
        SYS_io_uring_enter,
        SYS_io_uring_register,
        SYS_keyctl,
        SYS_add_key,
        SYS_request_key,
        SYS_kexec_load,
        SYS_kexec_file_load,
        SYS_init_module,
        SYS_finit_module,
        SYS_delete_module,
        SYS_open_by_handle_at,
        SYS_swapon,
        SYS_swapoff,
        SYS_reboot,
        SYS_settimeofday,
        SYS_clock_settime,
        SYS_adjtimex,
        SYS_acct,
        SYS_quotactl,
        SYS_iopl,
        SYS_ioperm,
        SYS_modify_ldt,
        SYS_lookup_dcookie,
        SYS_nfsservctl,
        SYS_uselib,
        SYS_memfd_secret,
        SYS_clone3,
    };
    enum { COUNT = sizeof refused / sizeof *refused };
    struct sock_filter filter[COUNT + 6] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
    };
    for (int i = 0; i < COUNT; i++)
        filter[4 + i] = (struct sock_filter)BPF_JUMP(
            BPF_JMP | BPF_JEQ | BPF_K, (unsigned)refused[i], (unsigned char)(COUNT - i), 0);
    filter[4 + COUNT] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    filter[5 + COUNT] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog program = { .len = COUNT + 6, .filter = filter };
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program), "seccomp");
}

__attribute__((noreturn)) static void inside(struct plan *plan, const char *home)
{
    must(prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0), "pdeathsig");
    own_ids(plan);
    loopback_up();
    make_mounts(plan);
    must(chdir(home), home);
    must(setsid(), "setsid");
    drop_rights();
    enter_landlock(plan);
    must(syscall(SYS_close_range, 3, ~0u, 0), "close_range");
    enter_filter();
    execvp(plan->command[0], plan->command);
    fail(plan->command[0]);
}

static int read_arguments(int argc, char **argv, struct plan *plan)
{
    static const char *const names[] = { "--hide", "--write", "--keep" };
    int i = 1;
    for (; i + 1 < argc && strcmp(argv[i], "--") != 0; i += 2) {
        int kind = 0;
        while (kind < 3 && strcmp(argv[i], names[kind]) != 0)
            kind++;
        if (kind == 3 || plan->count == PLACES_MAX)
            return -1;
        plan->places[plan->count++] = (struct place){ (enum place_kind)kind, argv[i + 1], -1 };
    }
    if (i + 1 >= argc)
        return -1;
    plan->command = argv + i + 1;
    return 0;
}

int main(int argc, char **argv)
{
    struct plan plan = { .uid = getuid(), .gid = getgid() };
    if (read_arguments(argc, argv, &plan) < 0) {
        dprintf(2, "usage: bench-floor [--hide DIR] [--write DIR] [--keep DIR] -- COMMAND\n");
        return 2;
    }
    char home[4096];
    if (!getcwd(home, sizeof home))
        fail("getcwd");
    struct clone_args how = {
        .flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                 CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_VFORK,
        .exit_signal = SIGCHLD,
    };
    pid_t child = must(syscall(SYS_clone3, &how, sizeof how), "clone3");
    if (child == 0)
        inside(&plan, home);
    int status = 0;
    must(waitpid(child, &status, 0), "wait");
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
