/* hostile-process disturb|reach [HOST-PID FORBIDDEN-NAME] - signals, traces and reads other processes (T19).
 *
 * Every process that is not the attacker's own child is a target: the host's by number, init and
 * whatever else of ours can be seen. After the signals an attempt to make FORBIDDEN-NAME shows whether
 * the guard is still alive.
 */
#include "attack.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t targets[256], program; /* program: the attacker's first process */
static size_t target_count;

static void ignore(int number)
{
    sigaction(number, &(struct sigaction){ .sa_handler = SIG_IGN }, NULL);
}

/* Small numbers are tried also when /proc does not show them: hidden is not the same as safe. */
static void find_targets(void)
{
    enum { SMALL = 24 };
    program = getpid();
    for (pid_t pid = 1; pid < SMALL; pid++)
        if (pid != program)
            targets[target_count++] = pid;
    DIR *list = opendir("/proc");
    for (struct dirent *entry; list && (entry = readdir(list)) && target_count < 250;) {
        pid_t pid = (pid_t)strtol(entry->d_name, NULL, 10);
        if (pid >= SMALL && pid != program)
            targets[target_count++] = pid;
    }
    if (attack_argument_count > 2)
        targets[target_count++] = (pid_t)strtol(attack_argument(2), NULL, 10);
}

/* The one who tries is itself among the small numbers and is no target. */
static bool each(bool (*deed)(pid_t))
{
    int os = ESRCH;
    for (size_t i = 0; i < target_count; i++) {
        if (targets[i] != getpid() && deed(targets[i])) {
            attack_note("process %d", targets[i]);
            return true;
        }
        if (errno != ESRCH)
            os = errno;
    }
    errno = os;
    return false;
}

static bool probe(pid_t pid)
{
    return kill(pid, 0) == 0;
}

static bool by_probe(void)
{
    return each(probe);
}

static bool stop_and_go(pid_t pid)
{
    return pid != 1 && (kill(pid, SIGCONT) == 0 || kill(pid, SIGSTOP) == 0);
}

static bool by_stop(void)
{
    return each(stop_and_go);
}

static bool by_pidfd(void)
{
    int os = ESRCH;
    for (size_t i = 0; i < target_count; i++) {
        int fd = targets[i] == getpid() ? -1 : (int)syscall(SYS_pidfd_open, targets[i], 0);
        if (fd >= 0 && syscall(SYS_pidfd_send_signal, fd, SIGCONT, NULL, 0) == 0) {
            attack_note("process %d", targets[i]);
            return true;
        }
        os = errno;
    }
    errno = os;
    return false;
}

static bool queue_signal(pid_t pid)
{
    union sigval value = { 0 };
    return sigqueue(pid, SIGCONT, value) == 0 || syscall(SYS_tgkill, pid, pid, SIGCONT) == 0 ||
           syscall(SYS_tkill, pid, SIGCONT) == 0;
}

static bool by_queued_signal(void)
{
    return each(queue_signal);
}

static bool trace(pid_t pid)
{
    return ptrace(PTRACE_SEIZE, pid, 0, 0) == 0 || ptrace(PTRACE_ATTACH, pid, 0, 0) == 0;
}

static bool by_trace(void)
{
    return each(trace);
}

static bool read_memory(pid_t pid)
{
    char byte;
    struct iovec here = { &byte, 1 }, there = { (void *)0x400000, 1 };
    if (process_vm_readv(pid, &here, 1, &there, 1, 0) == 1)
        return true;
    /* EFAULT: we were let in, the address was not mapped. */
    return errno == EFAULT;
}

static bool by_reading_memory(void)
{
    return each(read_memory);
}

static bool by_proc_files(void)
{
    static const char *const names[] = {
        "mem", "environ", "maps", "auxv", "syscall", "stack", "io"
    };
    char path[64], byte;
    for (size_t i = 0; i < target_count; i++)
        for (size_t k = 0; targets[i] != getpid() && k < sizeof names / sizeof *names; k++) {
            snprintf(path, sizeof path, "/proc/%d/%s", targets[i], names[k]);
            int fd = open(path, O_RDONLY);
            if (fd >= 0 && read(fd, &byte, 1) == 1) {
                attack_note("%s", path);
                return true;
            }
            close(fd);
        }
    errno = EACCES;
    return false;
}

static bool by_proc_writes(void)
{
    static const char *const names[] = { "mem",       "oom_score_adj", "coredump_filter",
                                         "comm",      "uid_map",       "gid_map",
                                         "setgroups", "timerslack_ns" };
    char path[64];
    for (size_t i = 0; i < target_count; i++)
        for (size_t k = 0; targets[i] != getpid() && k < sizeof names / sizeof *names; k++) {
            snprintf(path, sizeof path, "/proc/%d/%s", targets[i], names[k]);
            int fd = open(path, O_WRONLY);
            if (fd >= 0) {
                attack_note("%s", path);
                return true;
            }
        }
    errno = EACCES;
    return false;
}

static bool by_proc_links(void)
{
    static const char *const names[] = { "root", "cwd", "exe" };
    char path[64], leads_to[256];
    for (size_t i = 0; i < target_count; i++)
        for (size_t k = 0; targets[i] != getpid() && k < sizeof names / sizeof *names; k++) {
            snprintf(path, sizeof path, "/proc/%d/%s", targets[i], names[k]);
            if (readlink(path, leads_to, sizeof leads_to) > 0) {
                attack_note("%s", path);
                return true;
            }
        }
    errno = EACCES;
    return false;
}

static bool take_descriptor(pid_t pid)
{
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    for (int number = 0; fd >= 0 && number < 32; number++)
        if (syscall(SYS_pidfd_getfd, fd, number, 0) >= 0)
            return true;
    return false;
}

static bool by_taking_descriptors(void)
{
    return each(take_descriptor);
}

static bool compare(pid_t pid)
{
    return syscall(SYS_kcmp, getpid(), pid, KCMP_VM, 0, 0) >= 0;
}

static bool by_comparing(void)
{
    return each(compare);
}

static bool change_limits(pid_t pid)
{
    struct rlimit limit = { 3, 3 };
    return prlimit(pid, RLIMIT_NOFILE, &limit, NULL) == 0;
}

static bool by_limits(void)
{
    return each(change_limits);
}

static bool advise(pid_t pid)
{
    struct iovec part = { (void *)0x400000, 4096 };
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    return fd >= 0 && syscall(SYS_process_madvise, fd, &part, 1, 20, 0) >= 0;
}

static bool by_advice(void)
{
    return each(advise);
}

/* kill(-1) reaches everybody whom we may signal, the attacker's own family included. In a session of
 * its own and with the signal ignored first, so that the report still comes out. */
static bool by_killing_everybody(void)
{
    ignore(SIGTERM);
    ignore(SIGHUP);
    kill(-1, SIGHUP);
    kill(-1, SIGTERM);
    errno = EPERM;
    if (attack_argument_count < 4)
        return false;
    int fd = open(attack_argument(3), O_WRONLY | O_CREAT, 0644);
    if (fd >= 0)
        attack_note("the guard is gone");
    return fd >= 0;
}

/* Signals and limits only disturb; the rest looks or reaches into another process. */
int main(int argc, char **argv)
{
    static const struct way disturbing[] = {
        { "kill 0", by_probe },   { "stop", by_stop },
        { "pidfd", by_pidfd },    { "queued signal", by_queued_signal },
        { "prlimit", by_limits },
    };
    static const struct way reaching[] = {
        { "ptrace", by_trace },
        { "process_vm_readv", by_reading_memory },
        { "reading /proc", by_proc_files },
        { "writing /proc", by_proc_writes },
        { "links of /proc", by_proc_links },
        { "pidfd_getfd", by_taking_descriptors },
        { "kcmp", by_comparing },
        { "process_madvise", by_advice },
        { "kill everybody", by_killing_everybody },
    };
    attack_begin(argc, argv);
    /* The first process survives its own kill(-1). */
    ignore(SIGTERM);
    ignore(SIGHUP);
    bool only_disturbing = strcmp(attack_argument(1), "disturb") == 0;
    find_targets();
    return only_disturbing ? attack_run(disturbing, sizeof disturbing / sizeof *disturbing)
                           : attack_run(reaching, sizeof reaching / sizeof *reaching);
}
