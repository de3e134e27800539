#include "sandbox/seccomp.h"
#include "sandbox/seccomp_rules.h"

#include "base/check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#if defined(__x86_64__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#else
#define OUR_ARCH AUDIT_ARCH_AARCH64
#endif

#define REFUSED(os) (SECCOMP_RET_ERRNO | (os))
#define HIGH (1ull << 32) /* garbage above an int argument */

/* What the kernel would make of the program: a classic BPF machine with what filters use. */
static uint32_t run(const struct seccomp_program *p, const struct seccomp_data *data)
{
    uint32_t a = 0;
    for (unsigned pc = 0; pc < p->count; pc++) {
        const struct sock_filter *i = &p->filter[pc];
        switch (i->code) {
        case BPF_LD | BPF_W | BPF_ABS:
            CHECK(i->k + 4 <= sizeof *data && i->k % 4 == 0);
            memcpy(&a, (const char *)data + i->k, 4);
            break;
        case BPF_ALU | BPF_AND | BPF_K:
            a &= i->k;
            break;
        case BPF_JMP | BPF_JA:
            pc += i->k;
            break;
        case BPF_JMP | BPF_JEQ | BPF_K:
            pc += a == i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JGT | BPF_K:
            pc += a > i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JGE | BPF_K:
            pc += a >= i->k ? i->jt : i->jf;
            break;
        case BPF_JMP | BPF_JSET | BPF_K:
            pc += a & i->k ? i->jt : i->jf;
            break;
        case BPF_RET | BPF_K:
            return i->k;
        default:
            CHECK(!"an instruction that filters do not use");
        }
    }
    CHECK(!"the program ends without a verdict");
    return 0;
}

static uint32_t ask(const struct seccomp_choice *c, long number, uint64_t a0, uint64_t a1,
                    uint64_t a2)
{
    struct seccomp_program p;
    struct err e;
    struct seccomp_data data = { .nr = (int)number, .arch = OUR_ARCH, .args = { a0, a1, a2 } };
    assert_int_equal(seccomp_program_get(c, &p, &e), 0);
    uint32_t result = run(&p, &data);
    seccomp_program_release(&p);
    return result;
}

static const struct seccomp_choice usual = { .no_setid = true, .notify = true };

static void every_choice_has_its_program(void **state)
{
    for (unsigned i = 0; i < SECCOMP_BUILT; i++) {
        assert_non_null(seccomp_built[i].filter);
        assert_true(seccomp_built[i].count > 50 && seccomp_built[i].count < 1000);
    }
}

static void an_open_that_only_reads_is_judged_when_every_open_is(void **state)
{
    struct seccomp_choice every = usual;
    every.every_open = true;
    for (int preset = 0; preset < SECCOMP_PRESETS; preset++) {
        every.preset = preset;
        assert_int_equal(ask(&usual, SYS_openat, 0, 0, O_RDONLY | O_CLOEXEC), SECCOMP_RET_ALLOW);
        assert_int_equal(ask(&every, SYS_openat, 0, 0, O_RDONLY | O_CLOEXEC),
                         SECCOMP_RET_USER_NOTIF);
        assert_int_equal(ask(&every, SYS_openat, 0, 0, O_WRONLY), SECCOMP_RET_USER_NOTIF);
        assert_int_equal(ask(&every, SYS_openat, 0, 0, O_PATH | O_DIRECTORY), SECCOMP_RET_ALLOW);
#ifdef SYS_open
        assert_int_equal(ask(&every, SYS_open, 0, O_RDONLY, 0), SECCOMP_RET_USER_NOTIF);
        assert_int_equal(ask(&every, SYS_open, 0, O_PATH, 0), SECCOMP_RET_ALLOW);
#endif
    }
}

static void foreign_calls_kill(void **state)
{
    struct seccomp_program p;
    struct err e;
    assert_int_equal(seccomp_program_get(&usual, &p, &e), 0);
    struct seccomp_data data = { .nr = 1, .arch = AUDIT_ARCH_I386 };
    assert_int_equal(run(&p, &data), SECCOMP_RET_KILL_PROCESS);
    data.arch = AUDIT_ARCH_ARM;
    assert_int_equal(run(&p, &data), SECCOMP_RET_KILL_PROCESS);
#if defined(__x86_64__)
    for (int number = 0; number < 600; number++)
        assert_int_equal(ask(&usual, 0x40000000 + number, 0, 0, 0), SECCOMP_RET_KILL_PROCESS);
#endif
    assert_int_equal(ask(&usual, -1, 0, 0, 0), REFUSED(ENOSYS));
}

static void calls_that_are_not_known_do_not_exist(void **state)
{
    assert_int_equal(ask(&usual, 470, 0, 0, 0), REFUSED(ENOSYS));
    assert_int_equal(ask(&usual, 1000, 0, 0, 0), REFUSED(ENOSYS));
    assert_int_equal(ask(&usual, 0x3fffffff, 0, 0, 0), REFUSED(ENOSYS));
    assert_int_equal(ask(&usual, 462, 0, 0, 0), SECCOMP_RET_ALLOW); /* mseal */
}

enum { D = 1, S = 2, C = 4, ALL = 7 };

static const struct {
    long number;
    unsigned presets;
    uint32_t result;
} refused[] = {
    { SYS_mount, ALL, REFUSED(EPERM) },
    { SYS_umount2, ALL, REFUSED(EPERM) },
    { SYS_pivot_root, ALL, REFUSED(EPERM) },
    { 428, ALL, REFUSED(EPERM) }, /* open_tree */
    { 429, ALL, REFUSED(EPERM) }, /* move_mount */
    { 442, ALL, REFUSED(EPERM) }, /* mount_setattr */
    { 467, ALL, REFUSED(EPERM) }, /* open_tree_attr */
    { 430, ALL, REFUSED(EPERM) }, /* fsopen */
    { SYS_unshare, ALL, REFUSED(EPERM) },
    { SYS_setns, ALL, REFUSED(EPERM) },
    { SYS_clone3, ALL, REFUSED(ENOSYS) },
    { 437, ALL, REFUSED(ENOSYS) }, /* openat2 */
    { 425, ALL, REFUSED(EPERM) },  /* io_uring_setup */
    { 426, ALL, REFUSED(EPERM) },
    { 427, ALL, REFUSED(EPERM) },
    { SYS_ptrace, D | S, REFUSED(EPERM) },
    { SYS_process_vm_writev, D | S, REFUSED(EPERM) },
    { 438, D | S, REFUSED(EPERM) }, /* pidfd_getfd */
    { SYS_bpf, ALL, REFUSED(EPERM) },
    { SYS_perf_event_open, ALL, REFUSED(EPERM) },
    { SYS_userfaultfd, ALL, REFUSED(EPERM) },
    { SYS_keyctl, ALL, REFUSED(EPERM) },
    { SYS_add_key, ALL, REFUSED(EPERM) },
    { SYS_open_by_handle_at, ALL, REFUSED(EPERM) },
    { 447, ALL, REFUSED(EPERM) }, /* memfd_secret */
    { SYS_kexec_load, ALL, REFUSED(EPERM) },
    { SYS_setxattr, D | S, REFUSED(EOPNOTSUPP) },
    { SYS_fsetxattr, D | S, REFUSED(EOPNOTSUPP) },
    { 463, D | S, REFUSED(EOPNOTSUPP) }, /* setxattrat */
    { 469, D | S, REFUSED(EOPNOTSUPP) }, /* file_setattr */
    { SYS_vmsplice, S, REFUSED(EPERM) },
    { SYS_acct, ALL, REFUSED(EPERM) },
    { SYS_clock_settime, ALL, REFUSED(EPERM) },
};

static void the_presets_refuse_what_the_contract_says(void **state)
{
    for (int preset = 0; preset < SECCOMP_PRESETS; preset++)
        for (int notify = 0; notify < 2; notify++)
            for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
                struct seccomp_choice c = { .preset = preset, .notify = notify };
                uint32_t want =
                    refused[i].presets & (1u << preset) ? refused[i].result : SECCOMP_RET_ALLOW;
                if (ask(&c, refused[i].number, 0, 0, 0) != want)
                    fail_msg("preset %d, call %ld", preset, refused[i].number);
            }
}

static void daily_work_is_let_through(void **state)
{
    static const long
        calls[] = { SYS_read,      SYS_write,     SYS_close,   SYS_mmap,      SYS_execve,
                    SYS_futex,     SYS_fstat,     SYS_sendmsg, SYS_recvmsg,   SYS_sendto,
                    SYS_wait4,     SYS_kill,      SYS_getpid,  SYS_faccessat, SYS_readlinkat,
                    SYS_dup3,      SYS_pipe2,     SYS_prctl,   SYS_seccomp,   SYS_getxattr,
                    SYS_ftruncate, SYS_fallocate, 444 /* landlock */ };
    for (int preset = 0; preset < SECCOMP_PRESETS; preset++)
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
            struct seccomp_choice c = { .preset = preset, .no_setid = true, .notify = true };
            assert_int_equal(ask(&c, calls[i], 0, 0, 0), SECCOMP_RET_ALLOW);
        }
}

static void opens_that_can_change_something_are_judged(void **state)
{
    static const int changing[] = { O_WRONLY,
                                    O_RDWR,
                                    O_ACCMODE,
                                    O_CREAT,
                                    O_TRUNC,
                                    O_RDWR | O_TMPFILE,
                                    O_WRONLY | O_APPEND | O_CLOEXEC };
    static const int harmless[] = { O_RDONLY,         O_RDONLY | O_DIRECTORY | O_CLOEXEC,
                                    O_PATH,           O_PATH | O_RDWR,
                                    O_PATH | O_CREAT, O_NONBLOCK | O_NOFOLLOW };
    for (size_t i = 0; i < sizeof changing / sizeof *changing; i++) {
        assert_int_equal(ask(&usual, SYS_openat, 0, 0, (uint64_t)changing[i]),
                         SECCOMP_RET_USER_NOTIF);
        assert_int_equal(ask(&usual, SYS_openat, 0, 0, (uint64_t)changing[i] | HIGH),
                         SECCOMP_RET_USER_NOTIF);
    }
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        assert_int_equal(ask(&usual, SYS_openat, 0, 0, (uint64_t)harmless[i]), SECCOMP_RET_ALLOW);
    struct seccomp_choice silent = { .no_setid = true };
    assert_int_equal(ask(&silent, SYS_openat, 0, 0, O_RDWR), SECCOMP_RET_ALLOW);
}

static void calls_that_change_names_are_judged(void **state)
{
    static const long calls[] = { SYS_mkdirat,   SYS_mknodat,  SYS_symlinkat, SYS_linkat,
                                  SYS_renameat2, SYS_unlinkat, SYS_truncate,  SYS_connect,
                                  SYS_bind,      SYS_umask };
    struct seccomp_choice silent = { 0 };
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        assert_int_equal(ask(&usual, calls[i], 0, 0, 0), SECCOMP_RET_USER_NOTIF);
        assert_int_equal(ask(&silent, calls[i], 0, 0, 0), SECCOMP_RET_ALLOW);
    }
}

static void only_plain_sockets_are_made(void **state)
{
    static const struct {
        uint64_t family, type, protocol;
        uint32_t result;
    } cases[] = {
        { AF_UNIX, SOCK_STREAM, 0, SECCOMP_RET_ALLOW },
        { AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, SECCOMP_RET_ALLOW },
        { AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, SECCOMP_RET_USER_NOTIF },
        { AF_UNIX, SOCK_DGRAM | HIGH, 0, SECCOMP_RET_USER_NOTIF },
        { AF_UNIX, SOCK_RAW, 0, REFUSED(EPERM) },
        { AF_UNIX | HIGH, SOCK_DGRAM, 0, SECCOMP_RET_USER_NOTIF },
        { AF_INET, SOCK_STREAM, 0, SECCOMP_RET_ALLOW },
        { AF_INET, SOCK_DGRAM, 0, SECCOMP_RET_USER_NOTIF },
        { AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0, SECCOMP_RET_USER_NOTIF },
        { AF_INET, SOCK_RAW, 1, REFUSED(EPERM) },
        { AF_INET, 10 /* SOCK_PACKET */, 0, REFUSED(EPERM) },
        { AF_INET, SOCK_STREAM, 262, REFUSED(EPROTONOSUPPORT) },
        { AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 262 | HIGH, REFUSED(EPROTONOSUPPORT) },
        { AF_INET, SOCK_STREAM, 132, REFUSED(EPERM) },
        { AF_INET, SOCK_SEQPACKET, 0, REFUSED(EPERM) }, /* SCTP, too */
        { AF_INET6, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, REFUSED(EPERM) },
        { AF_NETLINK, SOCK_RAW, 0, SECCOMP_RET_ALLOW },
        { AF_NETLINK, SOCK_RAW, 12, REFUSED(EPERM) },
        { AF_NETLINK, SOCK_RAW, 9, REFUSED(EPERM) },
        { AF_PACKET, SOCK_DGRAM, 0, REFUSED(EPERM) },
        { AF_ALG, SOCK_SEQPACKET, 0, REFUSED(EPERM) },
        { AF_VSOCK, SOCK_STREAM, 0, REFUSED(EPERM) },
        { AF_VSOCK | HIGH, SOCK_STREAM, 0, REFUSED(EPERM) },
        { 3, SOCK_STREAM, 0, REFUSED(EPERM) },
        { 15 | HIGH, SOCK_RAW, 0, REFUSED(EPERM) },
        { 44, SOCK_RAW, 0, REFUSED(EPERM) },
        { ~0ull, SOCK_RAW, 0, REFUSED(EPERM) },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (ask(&usual, SYS_socket, cases[i].family, cases[i].type, cases[i].protocol) !=
            cases[i].result)
            fail_msg("family %lx type %lx protocol %lx", (unsigned long)cases[i].family,
                     (unsigned long)cases[i].type, (unsigned long)cases[i].protocol);
    assert_int_equal(ask(&usual, SYS_socketpair, AF_UNIX, SOCK_STREAM, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&usual, SYS_socketpair, AF_UNIX, SOCK_DGRAM, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(&usual, SYS_socketpair, 30, SOCK_STREAM, 0), REFUSED(EPERM));
}

static void sends_that_may_carry_a_name_are_handed_over_when_asked_for(void **state)
{
    struct seccomp_choice sends = usual;
    sends.sends = true;
    assert_int_equal(ask(&usual, SYS_sendmsg, 3, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&sends, SYS_sendmsg, 3, 0, 0), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(&sends, SYS_sendmsg, 3, 0, MSG_NOSIGNAL | HIGH), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(&sends, SYS_sendmsg, 3, 0, MSG_FASTOPEN), REFUSED(EOPNOTSUPP));
    assert_int_equal(ask(&sends, SYS_sendto, 3, 0, 0), SECCOMP_RET_ALLOW); /* no address */
    assert_int_equal(ask(&sends, SYS_sendmmsg, 3, 0, 0), SECCOMP_RET_USER_NOTIF);
}

static void namespaces_are_made_only_when_nesting_is_allowed(void **state)
{
    static const uint64_t spaces[] = { CLONE_NEWUSER, CLONE_NEWNS,  CLONE_NEWPID,   CLONE_NEWNET,
                                       CLONE_NEWIPC,  CLONE_NEWUTS, CLONE_NEWCGROUP };
    struct seccomp_choice nested = usual;
    nested.nested_user_namespaces = true;
    for (size_t i = 0; i < sizeof spaces / sizeof *spaces; i++) {
        assert_int_equal(ask(&usual, SYS_clone, spaces[i] | SIGCHLD, 0, 0), REFUSED(EPERM));
        assert_int_equal(ask(&usual, SYS_clone, spaces[i] | HIGH, 0, 0), REFUSED(EPERM));
        assert_int_equal(ask(&nested, SYS_clone, spaces[i], 0, 0), SECCOMP_RET_ALLOW);
    }
    assert_int_equal(ask(&usual, SYS_clone, CLONE_VM | CLONE_THREAD | CLONE_FS, 0, 0),
                     SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&nested, SYS_unshare, 0, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&nested, SYS_mount, 0, 0, 0), REFUSED(EPERM));
}

static void set_id_bits_are_refused(void **state)
{
    struct seccomp_choice free_modes = { .notify = true }, silent = { .no_setid = true };
    static const uint64_t bits[] = { 04755, 02755, 06000, 04000 | HIGH };
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        assert_int_equal(ask(&usual, SYS_fchmod, 0, bits[i], 0), REFUSED(EPERM));
        assert_int_equal(ask(&usual, SYS_fchmodat, 0, 0, bits[i]), REFUSED(EPERM));
        assert_int_equal(ask(&usual, 452, 0, 0, bits[i]), REFUSED(EPERM));
        assert_int_equal(ask(&free_modes, SYS_fchmodat, 0, 0, bits[i]), SECCOMP_RET_USER_NOTIF);
        assert_int_equal(ask(&silent, SYS_mknodat, 0, 0, bits[i]), REFUSED(EPERM));
    }
    assert_int_equal(ask(&usual, SYS_fchmodat, 0, 0, 01777), SECCOMP_RET_USER_NOTIF);
    assert_int_equal(ask(&silent, SYS_mknodat, 0, 0, S_IFCHR | 0600), REFUSED(EPERM));
    assert_int_equal(ask(&silent, SYS_mknodat, 0, 0, S_IFIFO | 0600), SECCOMP_RET_ALLOW);
}

static void terminals_are_not_typed_into_and_leases_not_taken(void **state)
{
    assert_int_equal(ask(&usual, SYS_ioctl, 0, TIOCSTI, 0), REFUSED(EPERM));
    assert_int_equal(ask(&usual, SYS_ioctl, 0, TIOCSTI | HIGH, 0), REFUSED(EPERM));
    assert_int_equal(ask(&usual, SYS_ioctl, 0, TIOCLINUX, 0), REFUSED(EPERM));
    assert_int_equal(ask(&usual, SYS_ioctl, 0, TIOCGWINSZ, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&usual, SYS_fcntl, 0, F_SETLEASE, 0), REFUSED(EPERM));
    assert_int_equal(ask(&usual, SYS_fcntl, 0, F_SETFL, 0), SECCOMP_RET_ALLOW);
}

static void only_harmless_personalities_are_taken(void **state)
{
    struct seccomp_choice compat = { .preset = 2, .notify = true };
    static const uint64_t harmless[] = { 0, 8, 0x20000, 0x20008, 0xffffffff, ~0ull };
    static const uint64_t harmful[] = { ADDR_NO_RANDOMIZE, READ_IMPLIES_EXEC, 0x80040000,
                                        0xfffffffe, MMAP_PAGE_ZERO | HIGH };
    for (size_t i = 0; i < sizeof harmless / sizeof *harmless; i++)
        assert_int_equal(ask(&usual, SYS_personality, harmless[i], 0, 0), SECCOMP_RET_ALLOW);
    for (size_t i = 0; i < sizeof harmful / sizeof *harmful; i++) {
        assert_int_equal(ask(&usual, SYS_personality, harmful[i], 0, 0), REFUSED(EPERM));
        assert_int_equal(ask(&compat, SYS_personality, harmful[i], 0, 0), SECCOMP_RET_ALLOW);
    }
}

static void the_settings_may_allow_and_deny_by_name(void **state)
{
    const char *const allow[] = { "ptrace", "personality", NULL };
    const char *const deny[] = { "getpid", "openat", "mseal", NULL };
    struct seccomp_choice c = usual;
    c.allow = allow;
    c.deny = deny;
    assert_int_equal(ask(&c, SYS_ptrace, 0, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&c, SYS_personality, READ_IMPLIES_EXEC, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&c, SYS_getpid, 0, 0, 0), REFUSED(EPERM));
    assert_int_equal(ask(&c, SYS_openat, 0, 0, 0), REFUSED(EPERM));
    assert_int_equal(ask(&c, 462, 0, 0, 0), REFUSED(EPERM));
    assert_int_equal(ask(&c, SYS_mount, 0, 0, 0), REFUSED(EPERM));
}

static void wrong_names_in_the_settings_are_refused(void **state)
{
    static const struct {
        const char *const allow[2], *const deny[2];
        const char *says;
    } cases[] = {
        { { "no_such_call" }, { NULL }, "x.seccomp.allow[0]: 'no_such_call' is no system call" },
        { { NULL }, { "" }, "x.seccomp.deny[0]: '' is no system call" },
        { { "renameat2" }, { NULL }, "x.seccomp.allow[0]: 'renameat2' is judged by name" },
        { { "openat" }, { NULL }, "x.seccomp.allow[0]: 'openat' is judged by name" },
        { { "ptrace" }, { "ptrace" }, "x.seccomp.allow[0]: 'ptrace' stands in x.seccomp.deny too" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct seccomp_choice c = usual;
        struct seccomp_program p;
        struct err e;
        c.allow = cases[i].allow;
        c.deny = cases[i].deny;
        assert_int_equal(seccomp_program_get(&c, &p, &e), -1);
        assert_int_equal(e.kind, E_INPUT);
        assert_memory_equal(e.text, cases[i].says, strlen(cases[i].says));
    }
}

static void every_wrong_name_is_said_with_its_place(void **state)
{
    static const char *const allow[] = { "read", "nono", "mkdir", NULL };
    static const char *const deny[] = { "write", "neither", NULL };
    struct seccomp_choice c = usual;
    struct err e;
    c.allow = allow;
    c.deny = deny;
    assert_int_equal(seccomp_choice_check(&c, &e), -1);
    assert_string_equal(e.text,
                        "x.seccomp.allow[1]: 'nono' is no system call; x.seccomp.allow[2]: 'mkdir' "
                        "is judged by name and cannot be let through unseen (use "
                        "filesystem.allowWrite); x.seccomp.deny[1]: 'neither' is no system call");
}

static void count_lines(void *ctx, const char *text)
{
    assert_true(*text);
    ++*(int *)ctx;
}

static void a_choice_can_be_described(void **state)
{
    int lines = 0, compat_lines = 0;
    struct seccomp_choice compat = { .preset = 2, .notify = true };
    seccomp_describe(&usual, count_lines, &lines);
    seccomp_describe(&compat, count_lines, &compat_lines);
    assert_true(lines > 60 && compat_lines < lines);
}

/* The kernel takes every program, and a second listener in one process is refused with words. */
static void the_kernel_takes_every_program(void **state)
{
    for (unsigned i = 0; i < SECCOMP_BUILT; i++) {
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct seccomp_program p = { seccomp_built[i].filter, seccomp_built[i].count, false };
            struct err e;
            int listener;
            prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
            if (seccomp_program_load(&p, 0, &listener, &e) < 0)
                _exit(1);
            if (seccomp_program_load(&p, 0, &listener, &e) == 0 ||
                !strstr(e.text, "already inside"))
                _exit(2);
            _exit(syscall(SYS_mount, 0, 0, 0, 0, 0) == -1 && errno == EPERM ? 0 : 3);
        }
        int status;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_int_equal(status, 0);
    }
}

static void no_send_connects(void **state)
{
    struct seccomp_program p;
    struct err e;
    struct seccomp_data data = { .arch = OUR_ARCH, .args = { 3, 0, MSG_FASTOPEN, MSG_FASTOPEN } };
    static const int sends[] = { SYS_sendto, SYS_sendmsg, SYS_sendmmsg };
    assert_int_equal(seccomp_program_get(&usual, &p, &e), 0);
    for (size_t i = 0; i < sizeof sends / sizeof *sends; i++) {
        data.nr = sends[i];
        assert_int_equal(run(&p, &data), REFUSED(EOPNOTSUPP));
    }
    data.args[2] = data.args[3] = MSG_NOSIGNAL | MSG_DONTWAIT;
    for (size_t i = 0; i < sizeof sends / sizeof *sends; i++) {
        data.nr = sends[i];
        assert_int_equal(run(&p, &data), SECCOMP_RET_ALLOW);
    }
    seccomp_program_release(&p);
}

static void init_and_warden_get_no_signal(void **state)
{
    struct seccomp_choice flat = usual;
    flat.without_namespaces = true; /* they have other numbers there */
    for (uint64_t pid = SECCOMP_INIT_PID; pid <= SECCOMP_WARDEN_PID; pid++) {
        assert_int_equal(ask(&usual, SYS_kill, pid | HIGH, SIGTERM, 0), REFUSED(EPERM));
        assert_int_equal(ask(&usual, SYS_tkill, pid, SIGTERM, 0), REFUSED(EPERM));
        assert_int_equal(ask(&usual, SYS_tgkill, pid, pid, SIGTERM), REFUSED(EPERM));
        assert_int_equal(ask(&usual, SYS_pidfd_open, pid, 0, 0), REFUSED(EPERM));
        assert_int_equal(ask(&usual, SYS_fcntl, 0, F_SETOWN, pid), REFUSED(EPERM));
        assert_int_equal(ask(&flat, SYS_kill, pid, SIGTERM, 0), SECCOMP_RET_ALLOW);
    }
    assert_int_equal(ask(&usual, SYS_setpgid, 0, SECCOMP_INIT_PID, 0), REFUSED(EPERM));
    assert_int_equal(ask(&usual, SYS_kill, 3, SIGTERM, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&usual, SYS_kill, 0, SIGTERM, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&usual, SYS_kill, (uint64_t)-3, SIGTERM, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&usual, SYS_setpgid, 0, 0, 0), SECCOMP_RET_ALLOW);
    assert_int_equal(ask(&usual, SYS_fcntl, 0, F_SETOWN, 7), SECCOMP_RET_ALLOW);
}

static void shared_objects_are_judged_where_one_namespace_holds_them(void **state)
{
    static const int calls[] = { SYS_shmget, SYS_shmat, SYS_semop, SYS_msgrcv, SYS_mq_open };
    struct seccomp_choice nested = usual;
    nested.nested_user_namespaces = true;
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        assert_int_equal(ask(&usual, calls[i], 0, 0, 0), SECCOMP_RET_USER_NOTIF);
        assert_int_equal(ask(&nested, calls[i], 0, 0, 0), SECCOMP_RET_ALLOW);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_choice_has_its_program),
        cmocka_unit_test(an_open_that_only_reads_is_judged_when_every_open_is),
        cmocka_unit_test(foreign_calls_kill),
        cmocka_unit_test(calls_that_are_not_known_do_not_exist),
        cmocka_unit_test(the_presets_refuse_what_the_contract_says),
        cmocka_unit_test(daily_work_is_let_through),
        cmocka_unit_test(opens_that_can_change_something_are_judged),
        cmocka_unit_test(calls_that_change_names_are_judged),
        cmocka_unit_test(only_plain_sockets_are_made),
        cmocka_unit_test(no_send_connects),
        cmocka_unit_test(init_and_warden_get_no_signal),
        cmocka_unit_test(shared_objects_are_judged_where_one_namespace_holds_them),
        cmocka_unit_test(sends_that_may_carry_a_name_are_handed_over_when_asked_for),
        cmocka_unit_test(namespaces_are_made_only_when_nesting_is_allowed),
        cmocka_unit_test(set_id_bits_are_refused),
        cmocka_unit_test(terminals_are_not_typed_into_and_leases_not_taken),
        cmocka_unit_test(only_harmless_personalities_are_taken),
        cmocka_unit_test(the_settings_may_allow_and_deny_by_name),
        cmocka_unit_test(wrong_names_in_the_settings_are_refused),
        cmocka_unit_test(every_wrong_name_is_said_with_its_place),
        cmocka_unit_test(a_choice_can_be_described),
        cmocka_unit_test(the_kernel_takes_every_program),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
