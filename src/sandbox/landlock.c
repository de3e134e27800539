#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's interface, written down here because the header of the build machine may be older
 * than the kernel that we run on. Numbers above 424 are the same on every architecture. */
enum {
    NR_LANDLOCK_CREATE_RULESET = 444,
    NR_LANDLOCK_ADD_RULE = 445,
    NR_LANDLOCK_RESTRICT_SELF = 446,
    CREATE_RULESET_VERSION = 1, /* ask for the ABI instead of making a rule set */
    RULE_PATH_BENEATH = 1,
    RULE_NET_PORT = 2,
    LOG_ABI = 7,
    UNKNOWN = -1, /* ABI */
};

/* Grown by the kernel at its end; what an older kernel does not know must be zero. */
struct ruleset_attr {
    uint64_t handled_files, handled_net, scopes;
};

struct path_attr {
    uint64_t access;
    int32_t parent_fd;
} __attribute__((packed));

struct port_attr {
    uint64_t access, port;
};

/* Which right came with which ABI. */
static const struct {
    int abi;
    struct landlock_wants came;
} abi_rows[] = {
    { 1, { .files = LL_REFER - 1 } }, /* every bit below REFER */
    { 2, { .files = LL_REFER } },
    { 3, { .files = LL_TRUNCATE } },
    { 4, { .net = LL_BIND_TCP | LL_CONNECT_TCP } },
    { 5, { .files = LL_IOCTL_DEV } },
    { 6, { .scopes = LL_SCOPE_ABSTRACT_UNIX | LL_SCOPE_SIGNAL } },
    { 9, { .files = LL_RESOLVE_UNIX } },
};

/* What the kernel accepts in a rule for anything that is no directory. */
#define FILE_RIGHTS                                                                                \
    (LL_EXECUTE | LL_WRITE_FILE | LL_READ_FILE | LL_TRUNCATE | LL_IOCTL_DEV | LL_RESOLVE_UNIX)

int landlock_abi(void)
{
    static _Atomic(int) known = UNKNOWN; /* asked once: it does not change while a kernel runs */
    if (known == UNKNOWN) {
        long abi = syscall(NR_LANDLOCK_CREATE_RULESET, NULL, (size_t)0, CREATE_RULESET_VERSION);
        known = abi > 0 ? (int)abi : 0; /* ENOSYS: not built in; EOPNOTSUPP: not in lsm= */
    }
    return known;
}

struct landlock_wants landlock_granted(int abi, struct landlock_wants wants)
{
    struct landlock_wants known = { 0 };
    for (size_t i = 0; i < sizeof abi_rows / sizeof *abi_rows; i++) {
        if (abi_rows[i].abi > abi)
            break;
        known.files |= abi_rows[i].came.files;
        known.net |= abi_rows[i].came.net;
        known.scopes |= abi_rows[i].came.scopes;
    }
    return (struct landlock_wants){ wants.files & known.files, wants.net & known.net,
                                    wants.scopes & known.scopes };
}

int landlock_ruleset(int abi, struct landlock_wants wants, struct err *e)
{
    struct landlock_wants got = landlock_granted(abi, wants);
    struct ruleset_attr attr = { got.files, got.net, got.scopes };
    /* The kernel makes the descriptor close-on-exec by itself. */
    long fd = syscall(NR_LANDLOCK_CREATE_RULESET, &attr, sizeof attr, 0);
    if (fd < 0)
        return err_set(e, E_SANDBOX, errno, "landlock: make a rule set");
    return (int)fd;
}

static int add_path(int ruleset, int abi, int path_fd, bool directory, uint64_t access)
{
    access = landlock_granted(abi, (struct landlock_wants){ .files = access }).files;
    if (!directory)
        access &= FILE_RIGHTS;
    if (access == 0) /* nothing that this kernel could refuse: ENOMSG otherwise */
        return 0;
    struct path_attr attr = { access, path_fd };
    return syscall(NR_LANDLOCK_ADD_RULE, ruleset, RULE_PATH_BENEATH, &attr, 0) < 0 ? -1 : 0;
}

int landlock_allow_path(int ruleset, int abi, int path_fd, uint64_t access, struct err *e)
{
    struct statx st;
    /* The kind is known without asking a file system that may not answer. */
    if (statx(path_fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE, &st) < 0)
        return err_set(e, E_SANDBOX, errno, "landlock: look at the path of a rule");
    if (add_path(ruleset, abi, path_fd, S_ISDIR(st.stx_mode), access) < 0)
        return err_set(e, E_SANDBOX, errno, "landlock: add a rule for a path");
    return 0;
}

int landlock_allow_entry(int ruleset, int abi, int path_fd, bool directory, uint64_t access,
                         struct err *e)
{
    if (add_path(ruleset, abi, path_fd, directory, access) == 0)
        return 0;
    return landlock_allow_path(ruleset, abi, path_fd, access, e);
}

int landlock_allow_port(int ruleset, int abi, uint16_t port, uint64_t access, struct err *e)
{
    access = landlock_granted(abi, (struct landlock_wants){ .net = access }).net;
    if (access == 0)
        return 0;
    struct port_attr attr = { access, port };
    if (syscall(NR_LANDLOCK_ADD_RULE, ruleset, RULE_NET_PORT, &attr, 0) < 0)
        return err_set(e, E_SANDBOX, errno, "landlock: add a rule for port %u", port);
    return 0;
}

int landlock_enter(int ruleset, unsigned log, struct err *e)
{
    const unsigned flags = landlock_abi() < LOG_ABI ? 0 : log;
    if (syscall(NR_LANDLOCK_RESTRICT_SELF, ruleset, flags) < 0)
        return err_set(e, E_SANDBOX, errno, "landlock: enter the rule set");
    return 0;
}
