#include "sandbox/seccomp_rules.h"

#include "base/check.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "sandbox/seccomp_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/fs.h>
#include <linux/netlink.h>
#include <linux/personality.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <asm/sockios.h>
#include <sys/stat.h>

#if defined(__x86_64__)
enum { OUR_ARCH_HAS_X32 = 1 };
#else
enum { OUR_ARCH_HAS_X32 = 0 };
#endif

struct rules {
    const struct seccomp_choice *choice;
    scmp_filter_ctx filter;
    int os; /* of the first rule that libseccomp refused */
};

/* The settings name the call themselves, so the preset's own rules for it do not count. */
static bool is_settled(const struct rules *r, const char *name)
{
    return seccomp_call_is_listed(r->choice->allow, name) ||
           seccomp_call_is_listed(r->choice->deny, name);
}

static void add(struct rules *r, uint32_t action, const char *name, unsigned count,
                const struct scmp_arg_cmp *args)
{
    int number = seccomp_call_number(name);
    if (number < 0 || is_settled(r, name))
        return;
    int result = seccomp_rule_add_array(r->filter, action, number, count, args);
    if (result < 0 && !r->os)
        r->os = -result;
}

/* The kernel looks at 32 bits of an `int` argument, so garbage above must not lead past a rule. */
static struct scmp_arg_cmp is(unsigned argument, uint32_t value)
{
    return SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, UINT32_MAX, value);
}

static struct scmp_arg_cmp has(unsigned argument, uint32_t bits)
{
    return SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, bits, bits);
}

static struct scmp_arg_cmp masked(unsigned argument, uint32_t mask, uint32_t value)
{
    return SCMP_CMP64(argument, SCMP_CMP_MASKED_EQ, mask, value);
}

static void add_refusals(struct rules *r)
{
    for (const struct seccomp_refusal *row = seccomp_refusals; row->name; row++) {
        bool mark =
            row->os == EOPNOTSUPP && r->choice->without_namespaces; /* no mount keeps them */
        if ((!(row->presets & (1u << r->choice->preset)) && !mark) ||
            (row->unless_nested && r->choice->nested_user_namespaces))
            continue;
        add(r, SCMP_ACT_ERRNO((uint32_t)row->os), row->name, 0, NULL);
    }
}

/* One rule per bit: the action holds when any of them is set. */
static void add_for_bits(struct rules *r, uint32_t action, const char *name, unsigned argument,
                         uint32_t bits)
{
    for (uint32_t bit = 1; bit; bit <<= 1)
        if (bits & bit)
            add(r, action, name, 1, (struct scmp_arg_cmp[]){ has(argument, bit) });
}

static void add_clone(struct rules *r)
{
    enum {
        SPACES = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER |
                 CLONE_NEWPID | CLONE_NEWNET
    };
    if (!r->choice->nested_user_namespaces)
        add_for_bits(r, SCMP_ACT_ERRNO(EPERM), "clone", 0, SPACES);
}

/* An open that can change something goes to the warden; O_TMPFILE needs one of the two bits too. */
static void add_opens(struct rules *r)
{
    enum { CHANGES = O_WRONLY | O_RDWR | O_CREAT | O_TRUNC };
    static const struct {
        const char *name;
        unsigned flags;
    } opens[] = { { "open", 1 }, { "openat", 2 } };
    for (size_t i = 0; i < 2; i++) {
        if (r->choice->notify && r->choice->every_open) {
            /* What O_PATH gives cannot be read before it is opened again. */
            add(r, SCMP_ACT_NOTIFY, opens[i].name, 1,
                (struct scmp_arg_cmp[]){ masked(opens[i].flags, O_PATH, 0) });
            continue;
        }
        /* With O_PATH none of these flags counts. */
        for (uint32_t bit = 1; r->choice->notify && bit <= CHANGES; bit <<= 1)
            if (CHANGES & bit)
                add(r, SCMP_ACT_NOTIFY, opens[i].name, 1,
                    (struct scmp_arg_cmp[]){ masked(opens[i].flags, bit | O_PATH, bit) });
        if (r->choice->notify)
            continue;
        if (r->choice->no_setid)
            for (uint32_t bit = S_ISGID; bit <= S_ISUID; bit <<= 1)
                add(r, SCMP_ACT_ERRNO(EPERM), opens[i].name, 2,
                    (struct scmp_arg_cmp[]){ has(opens[i].flags, O_CREAT),
                                             has(opens[i].flags + 1, bit) });
    }
}

static void add_modes(struct rules *r)
{
    static const struct {
        const char *name;
        unsigned mode;
    } calls[] = { { "chmod", 1 }, { "fchmod", 1 }, { "fchmodat", 2 }, { "fchmodat2", 2 } };
    static const struct {
        const char *name;
        unsigned mode;
    } makers[] = { { "mknod", 1 }, { "mknodat", 2 }, { "creat", 1 } };
    for (size_t i = 0; r->choice->no_setid && i < sizeof calls / sizeof *calls; i++) {
        add_for_bits(r, SCMP_ACT_ERRNO(EPERM), calls[i].name, calls[i].mode, S_ISUID | S_ISGID);
        if (r->choice->notify)
            add(r, SCMP_ACT_NOTIFY, calls[i].name, 1,
                (struct scmp_arg_cmp[]){ masked(calls[i].mode, S_ISUID | S_ISGID, 0) });
    }
    for (size_t i = 0; !r->choice->notify && i < sizeof makers / sizeof *makers; i++) {
        if (r->choice->no_setid)
            add_for_bits(r, SCMP_ACT_ERRNO(EPERM), makers[i].name, makers[i].mode,
                         S_ISUID | S_ISGID);
        if (str_eq(str_of(makers[i].name), STR("creat")))
            continue;
        add(r, SCMP_ACT_ERRNO(EPERM), makers[i].name, 1,
            (struct scmp_arg_cmp[]){ masked(makers[i].mode, S_IFMT, S_IFCHR) });
        add(r, SCMP_ACT_ERRNO(EPERM), makers[i].name, 1,
            (struct scmp_arg_cmp[]){ masked(makers[i].mode, S_IFMT, S_IFBLK) });
    }
}

/* AF_UNIX, AF_INET, AF_INET6 and routing netlink; nothing raw. */
static void add_sockets(struct rules *r)
{
    enum { TYPE = 0xf, SOCK_PACKET_TYPE = 10, SMC = 256, MPTCP = 262 };
    const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
    const char *name = "socket";
    static const uint32_t internet[] = { AF_INET, AF_INET6 };
    for (uint32_t family = AF_INET + 1; family < AF_NETLINK; family++)
        if (family != AF_INET6)
            add(r, refuse, name, 1, (struct scmp_arg_cmp[]){ is(0, family) });
    add(r, refuse, name, 1, (struct scmp_arg_cmp[]){ SCMP_A0_64(SCMP_CMP_GT, AF_NETLINK) });
    add(r, refuse, name, 2,
        (struct scmp_arg_cmp[]){ is(0, AF_NETLINK), SCMP_A2_64(SCMP_CMP_NE, NETLINK_ROUTE) });
    add(r, refuse, name, 1, (struct scmp_arg_cmp[]){ masked(1, TYPE, SOCK_PACKET_TYPE) });
    add(r, refuse, name, 1, (struct scmp_arg_cmp[]){ masked(1, TYPE, SOCK_DCCP) });
    add(r, refuse, name, 2, (struct scmp_arg_cmp[]){ is(0, AF_UNIX), masked(1, TYPE, SOCK_RAW) });
    for (size_t i = 0; i < 2; i++) {
        add(r, refuse, name, 2,
            (struct scmp_arg_cmp[]){ is(0, internet[i]), masked(1, TYPE, SOCK_RAW) });
        add(r, refuse, name, 2, (struct scmp_arg_cmp[]){ is(0, internet[i]), is(2, IPPROTO_SCTP) });
        /* SCTP again, which is what this type means without a protocol. */
        add(r, refuse, name, 2,
            (struct scmp_arg_cmp[]){ is(0, internet[i]), masked(1, TYPE, SOCK_SEQPACKET) });
        /* Landlock's rules on TCP do not see these; programs go on with plain TCP. */
        for (uint32_t over = SMC; over <= MPTCP; over += MPTCP - SMC)
            add(r, SCMP_ACT_ERRNO(EPROTONOSUPPORT), name, 3,
                (struct scmp_arg_cmp[]){ is(0, internet[i]), masked(1, TYPE, SOCK_STREAM),
                                         is(2, over) });
    }
    /* A datagram socket can name a path in every sendmsg, whose address stands in memory. The warden
     * must know of the first one, unless Landlock watches where they lead. */
    if (r->choice->notify) {
        const struct scmp_arg_cmp datagram[] = { is(0, AF_UNIX), masked(1, TYPE, SOCK_DGRAM) };
        add(r, SCMP_ACT_NOTIFY, "socket", 2, datagram);
        add(r, SCMP_ACT_NOTIFY, "socketpair", 2, datagram);
    }
    /* One of the internet's can be sent from without connect: the redirect must stand by then. */
    for (size_t i = 0; r->choice->notify && !r->choice->without_namespaces && i < 2; i++)
        add(r, SCMP_ACT_NOTIFY, name, 2,
            (struct scmp_arg_cmp[]){ is(0, internet[i]), masked(1, TYPE, SOCK_DGRAM) });
    add(r, refuse, "socketpair", 2,
        (struct scmp_arg_cmp[]){ is(0, AF_UNIX), masked(1, TYPE, SOCK_RAW) });
    add(r, refuse, "socketpair", 1, (struct scmp_arg_cmp[]){ SCMP_A0_64(SCMP_CMP_GT, AF_UNIX) });
}

static void add_commands(struct rules *r)
{
    const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
    add(r, refuse, "ioctl", 1, (struct scmp_arg_cmp[]){ is(1, TIOCSTI) });
    add(r, refuse, "ioctl", 1, (struct scmp_arg_cmp[]){ is(1, TIOCLINUX) });
    /* A lease would hold up whoever opens the file next, the warden of another sandbox too. */
    add(r, refuse, "fcntl", 1, (struct scmp_arg_cmp[]){ is(1, F_SETLEASE) });
}

static void add_judged(struct rules *r)
{
    if (!r->choice->notify)
        return;
    for (const char *const *name = seccomp_judged_calls; *name; name++)
        if (!r->choice->no_setid || !str_has(str_of(*name), STR("chmod")))
            add(r, SCMP_ACT_NOTIFY, *name, 0, NULL); /* chmod: see add_modes */
    for (const char *const *name = seccomp_ipc_calls; !r->choice->nested_user_namespaces && *name;
         name++)
        add(r, SCMP_ACT_NOTIFY, *name, 0, NULL);
}

/* A connection that a send makes would not pass the judgement of connect. */
static void add_sends(struct rules *r)
{
    static const struct {
        const char *name;
        unsigned flags;
    } sends[] = { { "sendto", 3 }, { "sendmsg", 2 }, { "sendmmsg", 3 } };
    for (size_t i = 0; i < sizeof sends / sizeof *sends; i++) {
        add(r, SCMP_ACT_ERRNO(EOPNOTSUPP), sends[i].name, 1,
            (struct scmp_arg_cmp[]){ has(sends[i].flags, MSG_FASTOPEN) });
        /* sendto without an address can reach nobody but whom connect has reached. */
        if (r->choice->notify && r->choice->sends)
            add(r, SCMP_ACT_NOTIFY, sends[i].name, i == 0 ? 2 : 1,
                (struct scmp_arg_cmp[]){ masked(sends[i].flags, MSG_FASTOPEN, 0),
                                         SCMP_A4_64(SCMP_CMP_NE, 0) });
    }
}

/* TCP through the warden is all of the network: no other protocol. */
static void add_without_namespaces(struct rules *r)
{
    enum { TYPE = 0xf };
    static const uint32_t internet[] = { AF_INET, AF_INET6 };
    static const uint32_t types[] = { SOCK_DGRAM, SOCK_RDM };
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < sizeof types / sizeof *types; k++)
            add(r, SCMP_ACT_ERRNO(EACCES), "socket", 2,
                (struct scmp_arg_cmp[]){ is(0, internet[i]), masked(1, TYPE, types[k]) });
}

/* Init and the warden have fixed numbers in their pid namespace. Without signals by number, by a
 * descriptor, by their group (init's, which only setpgid could join) and by the events of a file. */
static void add_processes(struct rules *r)
{
    static const struct {
        const char *name;
        unsigned pid;
    } calls[] = { { "kill", 0 },
                  { "tkill", 0 },
                  { "tgkill", 1 },
                  { "rt_sigqueueinfo", 0 },
                  { "rt_tgsigqueueinfo", 1 },
                  { "pidfd_open", 0 } };
    const uint32_t refuse = SCMP_ACT_ERRNO(EPERM);
    for (uint32_t pid = SECCOMP_INIT_PID; pid <= SECCOMP_WARDEN_PID; pid++) {
        for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
            add(r, refuse, calls[i].name, 1, (struct scmp_arg_cmp[]){ is(calls[i].pid, pid) });
        add(r, refuse, "fcntl", 2, (struct scmp_arg_cmp[]){ is(1, F_SETOWN), is(2, pid) });
    }
    add(r, refuse, "setpgid", 1, (struct scmp_arg_cmp[]){ is(1, SECCOMP_INIT_PID) });
    /* These have the number in memory. */
    add(r, refuse, "fcntl", 1, (struct scmp_arg_cmp[]){ is(1, F_SETOWN_EX) });
    add(r, refuse, "ioctl", 1, (struct scmp_arg_cmp[]){ is(1, FIOSETOWN) });
    add(r, refuse, "ioctl", 1, (struct scmp_arg_cmp[]){ is(1, SIOCSPGRP) });
}

/* The limits of another process, such as init's, are none of the command's business; and inode flags
 * (immutable, append only ...) would be set through a descriptor that is open for reading. */
static void add_limits(struct rules *r)
{
    static const uint32_t flags[] = { FS_IOC_SETFLAGS, FS_IOC_SETVERSION, FS_IOC_FSSETXATTR };
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
        add(r, SCMP_ACT_ERRNO(EOPNOTSUPP), "ioctl", 1, (struct scmp_arg_cmp[]){ is(1, flags[i]) });
    add(r, SCMP_ACT_ERRNO(EPERM), "prlimit64", 2,
        (struct scmp_arg_cmp[]){ SCMP_A0_64(SCMP_CMP_NE, 0), SCMP_A2_64(SCMP_CMP_NE, 0) });
}

/* x.seccomp.deny. The preset is silent about what it and x.seccomp.allow name. */
static int add_own(struct rules *r, struct err *e)
{
    for (const char *const *name = r->choice->deny; name && *name; name++) {
        int number = seccomp_call_number(*name);
        if (number < 0)
            continue; /* another architecture's */
        int result = seccomp_rule_add(r->filter, SCMP_ACT_ERRNO(EPERM), number, 0);
        if (result < 0)
            return err_set(e, E_SANDBOX, -result, "layer seccomp: deny '%s'", *name);
    }
    return 0;
}

/* What libseccomp cannot express goes in front of its program: foreign architectures, numbers that
 * nobody knew, and personality(2), where one value with all bits set only asks. */
static unsigned short write_head(const struct rules *r, struct sock_filter head[20])
{
    const bool ask = r->choice->preset != 2 && !is_settled(r, "personality");
    const uint32_t kill = SECCOMP_RET_KILL_PROCESS, x32 = 0x40000000;
    const uint32_t absent = SECCOMP_RET_ERRNO | ENOSYS;
    unsigned short n = 0;
    head[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch));
    head[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SECCOMP_OUR_ARCH, 1, 0);
    head[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, kill);
    head[n++] =
        (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
    if (OUR_ARCH_HAS_X32) {
        /* A tracer skips a call by making its number -1. */
        head[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 2, 0);
        head[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, x32, 0, 1);
        head[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, kill);
    }
    head[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SECCOMP_NEWEST_CALL, 0, 1);
    head[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, absent);
    if (ask) {
        enum { HARMLESS = PER_LINUX32 | UNAME26 };
        uint32_t number = (uint32_t)seccomp_call_number("personality");
        head[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 5);
        head[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                 offsetof(struct seccomp_data, args[0]));
        head[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 1, 0);
        head[n++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, ~(uint32_t)HARMLESS, 1, 0);
        head[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
        head[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM);
    }
    return n;
}

static int export(struct rules *r, struct sock_filter **filter, unsigned short *count,
                  struct err *e)
{
    struct sock_filter head[20];
    size_t head_size = write_head(r, head) * sizeof *head;
    AUTO_FD fd = memfd_create("filter", MFD_CLOEXEC);
    if (fd < 0)
        return err_set(e, E_SANDBOX, errno, "layer seccomp: make a memory file");
    int result = seccomp_export_bpf(r->filter, fd);
    if (result < 0)
        return err_set(e, E_SANDBOX, -result, "layer seccomp: compile the filter");
    struct stat st;
    if (fstat(fd, &st) < 0)
        return err_set(e, E_SANDBOX, errno, "layer seccomp: size of the filter");
    size_t size = head_size + (size_t)st.st_size;
    if (size / sizeof *head > BPF_MAXINSNS)
        return err_set(e, E_SANDBOX, 0, "layer seccomp: the filter is too long for the kernel");
    *filter = mem_get(size);
    memcpy(*filter, head, head_size);
    if (pread(fd, (char *)*filter + head_size, (size_t)st.st_size, 0) != st.st_size)
        return free(*filter), err_set(e, E_SANDBOX, errno, "layer seccomp: read the filter");
    *count = (unsigned short)(size / sizeof *head);
    return 0;
}

int seccomp_rules_compile(const struct seccomp_choice *choice, struct sock_filter **filter,
                          unsigned short *count, struct err *e)
{
    CHECK(choice->preset >= 0 && choice->preset < SECCOMP_PRESETS);
    struct rules r = { .choice = choice };
    if (seccomp_choice_check(choice, e) < 0)
        return -1;
    /* Level 5 has notification; without this, libseccomp would ask the kernel of the build machine. */
    seccomp_api_set(5);
    r.filter = seccomp_init(SCMP_ACT_ALLOW);
    if (!r.filter)
        return err_set(e, E_SANDBOX, ENOMEM, "layer seccomp: start a filter");
    seccomp_attr_set(r.filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    seccomp_attr_set(r.filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
    add_refusals(&r);
    add_clone(&r);
    add_opens(&r);
    add_modes(&r);
    add_sockets(&r);
    add_commands(&r);
    add_judged(&r);
    add_limits(&r);
    add_sends(&r);
    if (choice->without_namespaces)
        add_without_namespaces(&r);
    else
        add_processes(&r);
    int result = r.os ? err_set(e, E_SANDBOX, r.os, "layer seccomp: add a rule") : add_own(&r, e);
    if (result == 0)
        result = export(&r, filter, count, e);
    seccomp_release(r.filter);
    return result;
}
