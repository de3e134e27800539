#include "role/signalling.h"

#include "base/check.h"
#include "base/log.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <time.h>

enum { SECOND_SIGNAL_MS = 2000 };

/* Signals that go on to the command (contract 1.3). */
static const int forwarded[] = { SIGINT,  SIGTERM,  SIGHUP,  SIGQUIT, SIGUSR1,
                                 SIGUSR2, SIGWINCH, SIGTSTP, SIGCONT };
enum { FORWARDED = sizeof forwarded / sizeof *forwarded };

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static sigset_t forwarded_set(void)
{
    sigset_t set;
    sigemptyset(&set);
    for (int i = 0; i < FORWARDED; i++)
        sigaddset(&set, forwarded[i]);
    return set;
}

void signalling_block(void)
{
    sigset_t mask = forwarded_set();
    sigaddset(&mask, SIGPIPE); /* a reader of our stderr or audit log that goes away is an errno */
    sigprocmask(SIG_BLOCK, &mask, NULL);
}

void signalling_send(struct signalling *s, int number)
{
    struct err e;
    if (launch_signal(s->launch, 0, number, &e) < 0)
        log_debug("signal %d: %s", number,
                  e.text); /* the sandbox has just ended, or does not listen */
}

/* Stops with the command, as a shell's job control expects, and goes on with it. SIGTSTP is still
 * pending: let through it stops us, and a SIGCONT that has come meanwhile has taken it back, so that
 * no order of the two leaves us stopped. In an orphaned process group, where no shell would wake us,
 * the kernel drops it. */
static void stop_with_command(struct signalling *s)
{
    sigset_t stop;
    sigemptyset(&stop);
    sigaddset(&stop, SIGTSTP);
    signalling_send(s, SIGTSTP);
    asking_suspend(s->asking);
    if (s->pty)
        pty_suspend(s->pty);
    sigprocmask(SIG_UNBLOCK, &stop, NULL);
    sigprocmask(SIG_BLOCK, &stop, NULL);
    if (s->pty)
        pty_resume(s->pty);
    asking_resume(s->asking, now_ms());
}

/* Contract 1.3: the second wish to end within two seconds is no wish any more. True when it was that. */
static bool end_at_the_second(struct signalling *s, int number, int64_t now)
{
    const bool second = s->first_ms && now - s->first_ms < SECOND_SIGNAL_MS;
    s->first_ms = now;
    if (!second)
        return false;
    s->killed = true;
    s->last = number;
    launch_kill(s->launch);
    return true;
}

static void take_signal(struct signalling *s, int number, int64_t now)
{
    if (number == SIGWINCH && s->pty) {
        pty_resize(s->pty);
        return;
    }
    if (number == SIGINT || number == SIGTERM) {
        if (end_at_the_second(s, number, now))
            return;
        s->last = number;
    }
    signalling_send(s, number);
}

/* In raw mode Ctrl-C comes as a byte, and the inner terminal makes the signal. A shell's jobs are the
 * shell's: only while the first command's own group has the terminal it is meant for the whole. */
void signalling_typed(struct signalling *s, int64_t now)
{
    pid_t group;
    unsigned typed = pty_interrupts(s->pty, &group);
    if (!typed || !watch_is_first(s->watch, group))
        return;
    while (typed-- && !end_at_the_second(s, SIGINT, now))
        continue;
}

int signalling_open(struct signalling *s, struct err *e)
{
    sigset_t mask = forwarded_set();
    s->fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
    return s->fd < 0 ? err_set(e, E_SANDBOX, errno, "watch signals") : 0;
}

bool signalling_wants_end(const struct signalling *s)
{
    return s->last == SIGINT || s->last == SIGTERM;
}

void signalling_take(struct signalling *s, int64_t now)
{
    static const struct timespec at_once = { 0 };
    sigset_t taken = forwarded_set(), pending;
    sigdelset(&taken, SIGTSTP);
    for (int number; (number = sigtimedwait(&taken, NULL, &at_once)) > 0;)
        take_signal(s, number, now);
    CHECK(sigpending(&pending) == 0);
    if (sigismember(&pending, SIGTSTP))
        stop_with_command(s);
}
