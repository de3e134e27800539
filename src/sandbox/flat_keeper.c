/* The processes of a run without namespaces; see flat.h. */
#include "sandbox/flat.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "sandbox/boss.h"
#include "sandbox/capabilities.h"
#include "sandbox/family.h"
#include "sandbox/init.h"
#include "sandbox/keyring.h"
#include "sandbox/spawner.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* Sends SIGKILL to every descendant that there is now. */
static void kill_descendants(void)
{
    AUTO_FREE pid_t *all = NULL;
    size_t n = family_list("/proc", getpid(), SIZE_MAX, &all);
    for (size_t i = 0; i < n; i++)
        kill(all[i], SIGKILL);
}

/* Orphans come to us, so the end is reached when we have no child. */
static void sweep(void)
{
    for (;;) {
        kill_descendants();
        pid_t pid;
        while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
            continue;
        if (pid < 0 && errno == ECHILD)
            return;
        nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
    }
}

/* Signals of our children's end, and of the end of whom we hang on. */
static int open_signals(struct err *e)
{
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGCHLD);
    sigaddset(&mask, SIGTERM);
    sigprocmask(SIG_BLOCK, &mask, NULL);
    int fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return fd < 0 ? err_set(e, E_SANDBOX, errno, "watch the command") : fd;
}

static int stay_in_charge(struct err *e)
{
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
        return err_set(e, E_SANDBOX, errno, "tie the sandbox to its supervisor");
    return 0;
}

/* True when SIGTERM is among the signals that have come. */
static bool is_told_to_end(int signals)
{
    struct signalfd_siginfo info;
    bool end = false;
    while (read(signals, &info, sizeof info) == (ssize_t)sizeof info)
        end |= info.ssi_signo == SIGTERM;
    return end;
}

/* The warden's side: what a usual run's init does beside it. */
struct charge {
    const struct init_setup *setup;
    int signals, events;
    bool first_ended;
};

static void say_exited(const struct charge *c, pid_t tag, int status, const struct rusage *usage)
{
    struct boss_message m = {
        .kind = BOSS_EXITED, .number = status, .tag = (uint32_t)tag, .usage = *usage
    };
    struct err e;
    if (boss_send(c->setup->boss, &m, NULL, 0, &e) == 0)
        return;
    sweep();
    _exit(125);
}

/* Reaps what has ended, and ends everything when it was the first command. */
static void reap(struct charge *c, pid_t first, int flags)
{
    struct rusage usage;
    int status;
    pid_t pid;
    while ((pid = wait4(-1, &status, flags, &usage)) > 0) {
        c->first_ended |= pid == first;
        say_exited(c, pid == first ? 0 : pid, status, &usage);
        if (c->first_ended && !c->setup->plan->settings->last_process)
            break;
    }
    if (!c->first_ended || (c->setup->plan->settings->last_process && pid >= 0))
        return;
    sweep();
    _exit(0);
}

static void take_message(struct charge *c, pid_t first)
{
    struct boss_message m;
    struct err e;
    int fds[BOSS_FDS_MAX];
    size_t fd_count;
    if (boss_receive(c->setup->boss, &m, fds, &fd_count, &e) < 0) {
        sweep();
        _exit(0); /* the supervisor has ended */
    }
    for (size_t k = 0; k < fd_count; k++)
        close(fds[k]);
    if (m.kind != BOSS_SIGNAL || m.number <= 0 || m.number >= NSIG)
        return;
    pid_t target = m.tag ? (pid_t)m.tag : first;
    if (target > 1)
        kill(-target, m.number); /* ESRCH: it has ended meanwhile */
}

static void on_event(void *ctx, pid_t first)
{
    struct charge *c = ctx;
    struct pollfd boss = { .fd = c->setup->boss, .events = POLLIN };
    if (is_told_to_end(c->signals)) {
        sweep();
        _exit(125);
    }
    reap(c, first, WNOHANG);
    if (poll(&boss, 1, 0) > 0)
        take_message(c, first);
}

/* No process is left behind the filter: all there is to do is to say how they ended. */
static void on_last(void *ctx, pid_t first)
{
    struct charge *c = ctx;
    while (first && !c->first_ended)
        reap(c, first, 0);
    sweep();
    _exit(0);
}

static int watch(struct charge *c, int fd)
{
    struct epoll_event event = { .events = EPOLLIN };
    return epoll_ctl(c->events, EPOLL_CTL_ADD, fd, &event);
}

static _Noreturn void warden_main(const struct init_setup *s, int terminal)
{
    struct charge c = { .setup = s };
    struct err e = { 0 };
    pid_t first_pid = 0;
    if (stay_in_charge(&e) < 0 || (c.signals = open_signals(&e)) < 0)
        _exit(125);
    c.events = epoll_create1(EPOLL_CLOEXEC);
    if (c.events < 0 || watch(&c, c.signals) < 0 || watch(&c, s->boss) < 0)
        _exit(125);
    struct command first = s->first ? *s->first : (struct command){ 0 };
    if (terminal >= 0) {
        first.terminal = true;
        for (int k = 0; k < 3; k++)
            first.stdio[k] = terminal;
    }
    const struct spawner_life life = { c.events, on_event, on_last, &c };
    struct spawner_setup inner = { .plan = s->plan,
                                   .filter = s->filter,
                                   .first = s->first ? &first : NULL,
                                   .orders = s->orders,
                                   .report = s->report,
                                   .failure = s->failure,
                                   .covered_fd = -1,
                                   .redirect = -1,
                                   .ruleset = s->ruleset,
                                   .first_pid = &first_pid,
                                   .report_allowed = s->report_allowed,
                                   .life = &life };
    if (spawner_wait_for_rules(s->plan, s->ruleset, s->orders, &e) < 0 ||
        spawner_run(&inner, &e) < 0)
        init_fail(s, &e);
    _exit(0);
}

/* Until there is something to sweep, the signal that ends us does so by itself. */
static void end_when_told(void)
{
    struct sigaction normal = { .sa_handler = SIG_DFL };
    sigset_t mask;
    sigemptyset(&mask);
    sigaddset(&mask, SIGTERM);
    sigaction(SIGTERM, &normal, NULL);
    sigprocmask(SIG_UNBLOCK, &mask, NULL);
}

static int build(const struct init_setup *s, int *terminal, struct err *e)
{
    end_when_told();
    if (setsid() < 0)
        return err_set(e, E_SANDBOX, errno, "start a session");
    if (init_close_others(s, e) < 0 || stay_in_charge(e) < 0)
        return -1;
    if (!s->plan->disabled_layers[LAYER_KEYRING] && keyring_renew(e) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0) < 0)
        return err_set(e, E_SANDBOX, errno, "layer capabilities: no_new_privs");
    if (chdir(s->plan->cwd) < 0)
        return err_set(e, E_SANDBOX, errno, "enter the working directory '%s'", s->plan->cwd);
    return s->terminal && init_make_terminal(s, "/dev/ptmx", terminal, e) < 0
               ? -1
               : init_wait_to_enter(s, e);
}

/* Until the warden has ended, or until we are told to end. */
static int keep(pid_t warden, int signals)
{
    int status = 0;
    for (;;) {
        struct pollfd polled = { .fd = signals, .events = POLLIN };
        if (poll(&polled, 1, -1) < 0)
            CHECK(errno == EINTR);
        bool end = is_told_to_end(signals);
        for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;)
            if (pid == warden)
                return status;
        if (end)
            return 0;
    }
}

_Noreturn void flat_main(const struct init_setup *s)
{
    struct err e = { 0 };
    int terminal = -1, signals = -1;
    if (build(s, &terminal, &e) < 0 || (signals = open_signals(&e)) < 0)
        init_fail(s, &e);
    pid_t warden = fork();
    if (warden == 0)
        warden_main(s, terminal);
    close(s->orders);
    close(s->report);
    close(s->failure);
    if (s->ruleset >= 0)
        close(s->ruleset);
    fd_drop(&terminal);
    if (warden < 0) {
        err_set(&e, E_SANDBOX, errno, "start the warden");
        init_fail(s, &e);
    }
    if (stdio_drop(&e) < 0 || capabilities_drop(0, &e) < 0) {
        sweep();
        init_fail(s, &e);
    }
    int status = keep(warden, signals);
    sweep();
    if (!WIFSIGNALED(status))
        _exit(WEXITSTATUS(status)); /* it has said why itself */
    err_set(&e, E_SANDBOX, 0, "the warden has ended; the command is ended with it");
    init_fail(s, &e);
}
