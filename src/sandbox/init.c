#include "sandbox/init.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/pages.h"
#include "sandbox/boss.h"
#include "sandbox/brake.h"
#include "sandbox/capabilities.h"
#include "sandbox/confine.h"
#include "sandbox/cover.h"
#include "sandbox/dialer.h"
#include "sandbox/keyring.h"
#include "sandbox/mounts.h"
#include "sandbox/part.h"
#include "sandbox/ports.h"
#include "sandbox/rlimits.h"
#include "sandbox/spawner.h"
#include "sandbox/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

enum { SPAWNER_STACK = 512 << 10 };

struct init {
    const struct init_setup *setup;
    int boss, signals;
    int dialer;  /* for x.network.ports.in; -1 = none */
    pid_t first; /* written by the kernel when the spawner starts it; 0 = not yet, or none */
    int status;  /* of the first command, once it has ended */
    bool first_ended;
    int pty_slave;
    struct cover cover;
    char *covered; /* of mounts_apply, for the warden; owned */
    int covered_fd;
    bool foreign_proc; /* of mounts_apply, for the warden */
    bool in_domain;    /* the outer Landlock domain holds for this thread, too */
};

static void tell_boss(int boss, enum boss_kind kind, int number, struct str body, const int *fds,
                      size_t fd_count)
{
    struct boss_message m = { .kind = kind, .number = number };
    struct err e;
    m.length = (uint32_t)(body.n < sizeof m.body ? body.n : sizeof m.body);
    if (m.length)
        memcpy(m.body, body.p, m.length);
    if (boss_send(boss, &m, fds, fd_count, &e) < 0)
        _exit(125); /* the supervisor is gone */
}

static void tell(const struct init *i, enum boss_kind kind, int number, struct str body,
                 const int *fds, size_t fd_count)
{
    tell_boss(i->boss, kind, number, body, fds, fd_count);
}

_Noreturn void init_fail(const struct init_setup *s, const struct err *e)
{
    tell_boss(s->boss, BOSS_FAILED, e->os, str_of(e->text), NULL, 0);
    _exit(125);
}

static _Noreturn void fail(const struct init *i, const struct err *e)
{
    init_fail(i->setup, e);
}

int stdio_drop(struct err *e)
{
    AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0)
        return err_set(e, E_SANDBOX, errno, "open /dev/null");
    for (int fd = 0; fd < 3; fd++)
        if (dup2(null, fd) < 0)
            return err_set(e, E_SANDBOX, errno, "replace descriptor %d", fd);
    return 0;
}

static int write_text(const char *path, const char *text, struct err *e)
{
    AUTO_FD fd = open(path, O_WRONLY | O_CLOEXEC);
    size_t n = strlen(text);
    if (fd < 0 || write(fd, text, n) != (ssize_t)n)
        return err_set(e, E_SANDBOX, errno, "layer namespaces: write %s", path);
    return 0;
}

/* One uid and one gid, the caller's own (contract 2.2). */
static int map_identity(const struct init_setup *s, struct err *e)
{
    char map[64];
    if (write_text("/proc/self/setgroups", "deny", e) < 0)
        return -1;
    snprintf(map, sizeof map, "%u %u 1", s->uid, s->uid);
    if (write_text("/proc/self/uid_map", map, e) < 0)
        return -1;
    snprintf(map, sizeof map, "%u %u 1", s->gid, s->gid);
    if (write_text("/proc/self/gid_map", map, e) < 0)
        return -1;
    return s->standin ? standin_keep(e) : 0;
}

/* Everything but our own sockets and the standard ones is closed at once, so that neither we nor
 * the command hold a descriptor of the caller's (T10). */
int init_close_others(const struct init_setup *s, struct err *e)
{
    int keep[] = { s->boss, s->orders, s->report, s->failure, s->redirect, s->ruleset };
    enum { N = sizeof keep / sizeof *keep };
    for (int a = 0; a < N; a++)
        for (int b = a + 1; b < N; b++)
            if (keep[b] < keep[a]) {
                int t = keep[a];
                keep[a] = keep[b];
                keep[b] = t;
            }
    unsigned from = 3;
    if (part_is_off(PART_CLOSE_IN_INIT))
        return 0;
    for (int a = 0; a <= N; a++) {
        if (a < N && keep[a] < 0)
            continue;
        unsigned to = a < N ? (unsigned)keep[a] - 1 : ~0u;
        if (from <= to && syscall(SYS_close_range, from, to, 0) < 0)
            return err_set(e, E_SANDBOX, errno, "close inherited descriptors");
        from = a < N ? (unsigned)keep[a] + 1 : from;
    }
    return 0;
}

static void pass_control(const struct init *i)
{
    CLEANUP(netns_control_drop) struct netns_control c;
    struct err why;
    if (netns_control_open(&c, &why) < 0)
        tell(i, BOSS_DEGRADED, LAYER_TRANSPARENT, str_of(why.text), NULL, 0);
    else
        tell(i, BOSS_CONTROL, 0, STR(""), (int[]){ c.netfilter, c.route }, 2);
}

static int build_network(struct init *i, struct err *e)
{
    const struct plan *p = i->setup->plan;
    struct netns_listener listeners[NETNS_LISTENERS_MAX];
    int fds[NETNS_LISTENERS_MAX];
    char kinds[NETNS_LISTENERS_MAX];
    size_t count = 0;
    if (p->disabled_layers[LAYER_NET])
        return p->has_ports ? err_set(e, E_SANDBOX, 0, "x.network.ports needs layer net") : 0;
    if (p->has_ports && ports_make_inside(p->settings, i->boss, &i->dialer, e) < 0)
        return err_while(e, "layer net");
    if (netns_build(&p->netns, listeners, &count, e) < 0)
        return err_while(e, "layer net");
    for (size_t k = 0; k < count; k++) {
        fds[k] = listeners[k].fd;
        kinds[k] = (char)listeners[k].kind;
    }
    tell(i, BOSS_LISTENERS, 0, (struct str){ kinds, count }, fds, count);
    if (p->transparent)
        pass_control(i);
    for (size_t k = 0; k < count; k++)
        close(listeners[k].fd);
    return 0;
}

/* Where the limit is out of reach the filter must hold, or the owner have accepted that nothing does. */
static int refuse_user_namespaces(const struct init *i, struct err *e)
{
    const struct plan *p = i->setup->plan;
    if (p->settings->nested_user_namespaces || p->disabled_layers[LAYER_NAMESPACES] ||
        brake_put_on(e) == 0)
        return 0;
    const bool filtered =
        !p->disabled_layers[LAYER_SECCOMP] && seccomp_refuses_namespaces(&p->seccomp);
    if (!brake_is_out_of_reach(e) || (!filtered && !p->accepted[LAYER_NAMESPACES]))
        return -1;
    tell(i, BOSS_DEGRADED, LAYER_NAMESPACES, STR(BRAKE_WHY), NULL, 0);
    return 0;
}

static int build_files(struct init *i, struct err *e)
{
    const struct plan *p = i->setup->plan;
    struct mount_work work = { .resolv_conf = p->resolver ? "nameserver 127.0.0.1\n" : NULL,
                               .covered_fd = -1,
                               .stash = -1 };
    if (refuse_user_namespaces(i, e) < 0)
        return -1;
    mode_t mask = umask(0); /* the caller's must not thin out the modes of what we make */
    int made = mounts_apply(p, &work, e);
    umask(mask);
    if (made < 0)
        return -1;
    if (work.classic)
        tell(i, BOSS_DEGRADED, LAYER_MOUNT,
             STR("no mount_setattr (Linux 5.12): mounts are made read-only one by one"), NULL, 0);
    if (work.weaker_proc)
        tell(i, BOSS_DEGRADED, LAYER_MOUNT,
             STR("the container's /proc is bound: its processes can be seen"), NULL, 0);
    i->covered = work.covered;
    i->covered_fd = work.covered_fd;
    i->foreign_proc = work.weaker_proc && !p->disabled_layers[LAYER_NAMESPACES];
    return cover_init(&i->cover, p, work.stash, e);
}

int init_make_terminal(const struct init_setup *s, const char *multiplexer, int *slave,
                       struct err *e)
{
    AUTO_FD master = open(multiplexer, O_RDWR | O_NOCTTY | O_CLOEXEC);
    int unlock = 0;
    if (master < 0 || ioctl(master, TIOCSPTLCK, &unlock) < 0)
        return err_set(e, E_SANDBOX, errno, "make a pseudo-terminal");
    *slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (*slave < 0 || ioctl(*slave, TIOCSCTTY, 0) < 0)
        return err_set(e, E_SANDBOX, errno, "open the pseudo-terminal");
    tell_boss(s->boss, BOSS_PTY, 0, STR(""), &master, 1);
    return 0;
}

int init_wait_to_enter(const struct init_setup *s, struct err *e)
{
    struct boss_message m;
    int fds[BOSS_FDS_MAX];
    size_t fd_count;
    tell_boss(s->boss, BOSS_READY, 0, STR(""), NULL, 0);
    if (boss_receive(s->boss, &m, fds, &fd_count, e) < 0)
        return -1;
    if (m.kind != BOSS_ENTER)
        return err_set(e, E_BUG, 0, "unexpected message %u", m.kind);
    for (size_t i = 0; i < fd_count; i++) {
        if (cgroup_pass(fds[i], e) < 0)
            return err_while(e, "layer cgroup");
        close(fds[i]);
    }
    struct rlimits_instead instead = { .memory = m.number & BOSS_NO_MEMORY_GROUP,
                                       .pids = m.number & BOSS_NO_PIDS_GROUP,
                                       .cpu = m.number & BOSS_NO_CPU_GROUP };
    const struct plan *p = s->plan;
    if (p->disabled_layers[LAYER_RLIMIT])
        return 0;
    if (rlimits_apply(&p->settings->limits, &p->limits, instead, e) < 0)
        return err_while(e, "layer rlimit");
    return 0;
}

/* Nobody in the domain can mount, so with hidden files to be covered again the spawner enters it alone. */
static int confine(struct init *i, struct err *e)
{
    const struct init_setup *s = i->setup;
    if (spawner_wait_for_rules(s->plan, s->ruleset, s->orders, e) < 0)
        return -1;
    i->in_domain = !cover_is_needed(&i->cover);
    if (!i->in_domain)
        return 0;
    if (confine_warden(s->plan, s->ruleset, e) < 0)
        return -1;
    if (s->ruleset >= 0)
        close(s->ruleset);
    return 0;
}

static void *spawner_thread(void *argument)
{
    struct init *i = argument;
    const struct init_setup *s = i->setup;
    struct err e = { 0 };
    pages_take_stack();
    struct command first = s->first ? *s->first : (struct command){ 0 };
    if (i->pty_slave >= 0) {
        first.terminal = true;
        for (int k = 0; k < 3; k++)
            first.stdio[k] = i->pty_slave;
    }
    struct spawner_setup inner = { .plan = s->plan,
                                   .filter = s->filter,
                                   .first = s->first ? &first : NULL,
                                   .first_pid = &i->first,
                                   .orders = s->orders,
                                   .redirect = s->redirect,
                                   .report = s->report,
                                   .failure = s->failure,
                                   .covered = i->covered,
                                   .covered_fd = i->covered_fd,
                                   .foreign_proc = i->foreign_proc,
                                   .ruleset = i->in_domain ? -1 : s->ruleset,
                                   .report_allowed = s->report_allowed };
    /* Its umask follows the command's. */
    if (unshare(CLONE_FS) < 0)
        err_set(&e, E_SANDBOX, errno, "start the spawner");
    else if (spawner_run(&inner, &e) == 0)
        for (;;)
            pause(); /* init is about to end us all; leaving by ourselves would take longer */
    fail(i, &e);
}

/* The C library catches a signal of its own as soon as there are threads. Pid 1 is safe from all that it does not
 * catch; this one would let the command interrupt what the warden does. Only the kernel takes it back. */
static int catch_no_signal(struct err *e)
{
    enum { SIGNAL_OF_LIBRARY = 33, MASK_SIZE = 8 };
    /* SIG_DFL and nothing else, in more room than any kernel's struct sigaction takes. */
    const uint64_t usual[8] = { 0 };
    if (syscall(SYS_rt_sigaction, SIGNAL_OF_LIBRARY, usual, NULL, MASK_SIZE) < 0)
        return err_set(e, E_SANDBOX, errno, "close the sandbox's init to signals");
    return 0;
}

static int start_spawner(struct init *i, struct err *e)
{
    pthread_t thread;
    pthread_attr_t how;
    mallopt(M_ARENA_MAX, 1); /* one heap for both: they seldom allocate at the same time */
    int os = pthread_attr_init(&how);
    if (!os)
        os = pthread_attr_setstacksize(&how, SPAWNER_STACK);
    if (!os)
        os = pthread_attr_setdetachstate(&how, PTHREAD_CREATE_DETACHED);
    if (!os)
        os = pthread_create(&thread, &how, spawner_thread, i);
    return os ? err_set(e, E_SANDBOX, os, "start the spawner") : catch_no_signal(e);
}

/* What is left to init: mounts, and only when hidden files may have to be covered again. */
static int give_up_rights(struct init *i, struct err *e)
{
    return capabilities_drop(cover_is_needed(&i->cover) ? 1ull << CAP_SYS_ADMIN : 0, e);
}

static pid_t first_pid(const struct init *i)
{
    return __atomic_load_n(&i->first, __ATOMIC_RELAXED);
}

static void say_exited(const struct init *i, pid_t pid, int status, const struct rusage *usage)
{
    struct boss_message m = {
        .kind = BOSS_EXITED, .number = status, .tag = (uint32_t)pid, .usage = *usage
    };
    struct err e;
    if (boss_send(i->boss, &m, NULL, 0, &e) < 0)
        _exit(125);
}

/* We end with the first command and take the rest along, so it is left unreaped: reaping would wake the
 * warden for nothing. */
static bool first_has_ended(const struct init *i, int *status, struct rusage *usage)
{
    const pid_t first = first_pid(i);
    siginfo_t info = { 0 };
    if (!first || i->setup->plan->settings->last_process ||
        syscall(SYS_waitid, P_PID, first, &info, WEXITED | WNOHANG | WNOWAIT, usage) < 0 ||
        info.si_pid != first)
        return false;
    *status =
        info.si_code == CLD_EXITED ? W_EXITCODE(info.si_status, 0) : W_EXITCODE(0, info.si_status);
    return true;
}

/* Reaps everything that has ended. False when no child is left at all, or none that counts. */
static bool reap(struct init *i)
{
    struct rusage usage;
    int status;
    pid_t pid;
    if (first_has_ended(i, &i->status, &usage)) {
        i->first_ended = true;
        say_exited(i, 0, i->status, &usage);
        return false;
    }
    while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
        const bool is_first = pid == first_pid(i);
        if (is_first) {
            i->first_ended = true;
            i->status = status;
        }
        say_exited(i, is_first ? 0 : pid, status, &usage);
    }
    return pid == 0;
}

static void take_message(struct init *i)
{
    struct boss_message m;
    struct err e;
    int fds[BOSS_FDS_MAX];
    size_t fd_count;
    if (boss_receive(i->boss, &m, fds, &fd_count, &e) < 0)
        _exit(0); /* the supervisor has ended: the kernel kills the rest */
    for (size_t k = 0; k < fd_count; k++)
        close(fds[k]);
    if (m.kind != BOSS_SIGNAL || m.number <= 0 || m.number >= NSIG)
        return;
    pid_t target = m.tag ? (pid_t)m.tag : first_pid(i);
    if (target > 1)
        kill(-target, m.number); /* ESRCH: it has ended meanwhile */
}

static void say_covered(void *ctx, const char *path)
{
    char body[BOSS_BODY_MAX];
    snprintf(body, sizeof body, "%s", path);
    tell(ctx, BOSS_COVERED, 0, str_of(body), NULL, 0);
}

static void serve(struct init *i)
{
    enum { BOSS, SIGNALS, COVER, DIALER, N };
    struct pollfd polls[N] = { { .fd = i->boss, .events = POLLIN },
                               { .fd = i->signals, .events = POLLIN },
                               { .fd = cover_fd(&i->cover), .events = POLLIN },
                               { .fd = i->dialer, .events = POLLIN } };
    const bool last_process = i->setup->plan->settings->last_process;
    bool has_pages = true;
    for (;;) {
        int ready = poll(polls, N, pages_timeout(has_pages, -1));
        if (ready < 0) {
            CHECK(errno == EINTR);
            continue;
        }
        if (ready == 0) {
            pages_give_back();
            has_pages = false;
        }
        if (polls[SIGNALS].revents) {
            struct signalfd_siginfo info;
            if (read(i->signals, &info, sizeof info) < 0)
                CHECK(errno == EAGAIN || errno == EINTR);
            bool children = reap(i);
            if (i->first_ended && (!last_process || !children))
                return;
        }
        if (polls[BOSS].revents)
            take_message(i);
        if (polls[COVER].revents)
            cover_serve(&i->cover, say_covered, i);
        if (polls[DIALER].revents && !dialer_serve(i->dialer)) {
            fd_drop(&i->dialer);
            polls[DIALER].fd = -1;
        }
    }
}

static int open_signals(struct init *i, struct err *e)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    i->signals = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return i->signals < 0 ? err_set(e, E_SANDBOX, errno, "watch the command") : 0;
}

static int build(struct init *i, struct err *e)
{
    const struct init_setup *s = i->setup;
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
        return err_set(e, E_SANDBOX, errno, "tie the sandbox to its supervisor");
    if (!part_is_off(PART_SESSION) &&
        setsid() < 0) /* the command never gets the caller's controlling terminal */
        return err_set(e, E_SANDBOX, errno, "start a session");
    if (map_identity(s, e) < 0 || init_close_others(s, e) < 0 || build_network(i, e) < 0 ||
        build_files(i, e) < 0)
        return -1;
    if (!s->plan->disabled_layers[LAYER_KEYRING] && keyring_renew(e) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
        prctl(PR_SET_DUMPABLE, part_is_off(PART_DUMPABLE)) < 0)
        return err_set(e, E_SANDBOX, errno, "layer capabilities: no_new_privs");
    /* Once, for the warden and the command, too. */
    if (!s->plan->disabled_layers[LAYER_CAPABILITIES] && capabilities_bound(e) < 0)
        return -1;
    if (open_signals(i, e) < 0 ||
        (s->terminal && init_make_terminal(s, "/dev/pts/ptmx", &i->pty_slave, e) < 0))
        return -1;
    return init_wait_to_enter(s, e);
}

_Noreturn void init_main(const struct init_setup *setup)
{
    struct init i = { .setup = setup,
                      .boss = setup->boss,
                      .signals = -1,
                      .dialer = -1,
                      .pty_slave = -1,
                      .covered_fd = -1 };
    struct err e = { 0 };
    if (build(&i, &e) < 0 || confine(&i, &e) < 0 || start_spawner(&i, &e) < 0 ||
        give_up_rights(&i, &e) < 0)
        fail(&i, &e);
    serve(&i);
    _exit(WIFEXITED(i.status) ? WEXITSTATUS(i.status) : 128 + WTERMSIG(i.status));
}
