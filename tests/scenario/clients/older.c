/* older CALL... -- COMMAND: runs the command as on a kernel that lacks these system calls. "cloexec" stands
 * for the flag of that name of close_range. */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { PARTS_MAX = 64 };

static const struct {
    const char *name;
    unsigned number;
    unsigned error; /* 0 = ENOSYS */
} calls[] = {
    { "mount_setattr", SYS_mount_setattr, 0 },
    { "mount_setattr-refused", SYS_mount_setattr, EPERM }, /* by a container's old profile */
    { "open_tree", SYS_open_tree, 0 },
    { "move_mount", SYS_move_mount, 0 },
    { "fsopen", SYS_fsopen, 0 },
    { "fsconfig", SYS_fsconfig, 0 },
    { "fsmount", SYS_fsmount, 0 },
    { "openat2", SYS_openat2, 0 },
    { "landlock_create_ruleset", SYS_landlock_create_ruleset, 0 },
    { "cloexec", SYS_close_range, 0 },
};

static struct sock_filter program[PARTS_MAX];
static unsigned short parts;

static void add(struct sock_filter part)
{
    program[parts++] = part;
}

static void load(size_t offset)
{
    add((struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, (unsigned)offset));
}

static int lack(const char *name)
{
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++) {
        if (strcmp(calls[i].name, name) != 0)
            continue;
        if (strcmp(name, "cloexec") != 0) {
            add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0, 1));
            unsigned error = calls[i].error ? calls[i].error : ENOSYS;
            add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error));
            return 0;
        }
        add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i].number, 0, 4));
        load(offsetof(struct seccomp_data, args[2]));
        add((struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 4, 0, 1));
        add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL));
        load(offsetof(struct seccomp_data, nr));
        return 0;
    }
    return -1;
}

int main(int argc, char **argv)
{
    int i = 1;
    load(offsetof(struct seccomp_data, nr));
    for (; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (parts > PARTS_MAX - 8 || lack(argv[i]) < 0)
            return fprintf(stderr, "older: what is '%s'?\n", argv[i]), 2;
    add((struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
    const struct sock_fprog filter = { parts, program };
    if (i + 1 >= argc || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) < 0)
        return perror("older"), 2;
    execvp(argv[i + 1], argv + i + 1);
    return perror(argv[i + 1]), 127;
}
