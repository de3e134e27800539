#include "role/confine.h"

#include "base/fd.h"
#include "base/log.h"
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#if defined(__x86_64__)
#define CONFINE_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define CONFINE_ARCH AUDIT_ARCH_AARCH64
#else
#error "say which AUDIT_ARCH this machine has"
#endif

enum { X32_BIT = 0x40000000, LAST_CAPABILITY = 63 };

/* Calls that lead to other programs, other processes, other name spaces or more of the kernel than
 * sockets and files. */
static const unsigned refused_calls[] = {
    SYS_execve,
    SYS_execveat,
    SYS_ptrace,
    SYS_unshare,
    SYS_setns,
    SYS_mount,
    SYS_umount2,
    SYS_pivot_root,
    SYS_chroot,
    SYS_open_tree,
    SYS_move_mount,
    SYS_fsopen,
    SYS_fsmount,
    SYS_bpf,
    SYS_perf_event_open,
    SYS_userfaultfd,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pidfd_getfd,
    SYS_kcmp,
    SYS_io_uring_setup,
    SYS_init_module,
    SYS_finit_module,
    SYS_delete_module,
    SYS_kexec_load,
    SYS_add_key,
    SYS_request_key,
    SYS_keyctl,
    SYS_personality,
    SYS_open_by_handle_at,
};

enum { REFUSED = sizeof refused_calls / sizeof *refused_calls };

/* Linear: the list is short, and the calls of the hot path are all compared in under 0.1 us. */
static int load_filter(struct err *e)
{
    struct sock_filter code[REFUSED + 8];
    unsigned short n = 0;
    code[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CONFINE_ARCH, 1, 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    code[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_BIT, REFUSED + 1, 0);
    for (unsigned i = 0; i < REFUSED; i++)
        code[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refused_calls[i],
                                                 (unsigned char)(REFUSED - i), 0);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    code[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    struct sock_fprog program = { n, code };
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        return err_set(e, E_SANDBOX, errno, "load the system call filter");
    return 0;
}

static int allow_directory(int rules, int abi, const char *path, struct err *e)
{
    AUTO_FD fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, E_IO, errno, "open '%s'", path);
    return landlock_allow_path(rules, abi, fd, LL_WRITE, e);
}

/* Reading stays free (name service, certificates); nothing may be written or made but beneath the
 * directories, nothing may be executed. */
static int enter_landlock(const char *const *directories, size_t count, struct err *e)
{
    int abi = landlock_abi();
    if (abi == 0) {
        log_debug("no Landlock here; file rights are not given up");
        return 0;
    }
    struct landlock_wants wants = { .files = LL_EXECUTE | LL_WRITE | LL_MAKE_CHAR | LL_MAKE_BLOCK,
                                    .scopes = LL_SCOPE_SIGNAL };
    AUTO_FD rules = landlock_ruleset(abi, landlock_granted(abi, wants), e);
    if (rules < 0)
        return -1;
    for (size_t i = 0; i < count; i++)
        if (allow_directory(rules, abi, directories[i], e) < 0)
            return -1;
    return landlock_enter(rules, 0, e);
}

static int drop_capabilities(struct err *e)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { 0 };
    for (int cap = 0; cap <= LAST_CAPABILITY; cap++)
        (void)prctl(PR_CAPBSET_DROP, cap, 0, 0, 0); /* refused to who has none: nothing to drop */
    (void)prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    if (syscall(SYS_capset, &head, none) < 0)
        return err_set(e, E_SANDBOX, errno, "give up the capabilities");
    return 0;
}

int confine_reader(struct err *e)
{
    return confine_keeper(NULL, 0, e);
}

int confine_keeper(const char *const *directories, size_t count, struct err *e)
{
    struct rlimit none = { 0, 0 };
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 ||
        setrlimit(RLIMIT_CORE, &none) < 0)
        return err_set(e, E_SANDBOX, errno, "give up rights");
    if (drop_capabilities(e) < 0 || enter_landlock(directories, count, e) < 0)
        return -1;
    return load_filter(e);
}

unsigned long confine_descriptors(unsigned long want)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
        return 0;
    rlim_t goal = limit.rlim_max < want ? limit.rlim_max : want;
    if (limit.rlim_cur < goal) {
        struct rlimit more = { goal, limit.rlim_max };
        if (setrlimit(RLIMIT_NOFILE, &more) == 0)
            limit = more;
    }
    return limit.rlim_cur;
}
