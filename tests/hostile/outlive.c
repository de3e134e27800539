/* hostile-outlive HEARTBEAT-FILE - lives on when the run ends (T22).
 *
 * Starts daemons in every way there is: new sessions, ignored signals, no death signal, several
 * generations. Each appends a byte to HEARTBEAT-FILE every 10 ms, for at most 20 s. The caller watches
 * the file after the end of the run. Prints "blocked: ready" once they run, then ends, or stays with
 * "stay" as the second argument.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int heartbeat, ready;

static void ignore_signals(void)
{
    struct sigaction ignored = { .sa_handler = SIG_IGN };
    for (int number = 1; number < 65; number++)
        sigaction(number, &ignored, NULL);
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
}

__attribute__((noreturn)) static void beat(void)
{
    ignore_signals();
    prctl(PR_SET_PDEATHSIG, 0);
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (write(ready, "r", 1) != 1)
        _exit(2);
    close(0);
    close(1);
    close(2);
    for (long end = attack_now() + 20000; attack_now() < end; usleep(10000))
        if (write(heartbeat, ".", 1) != 1)
            break;
    _exit(0);
}

static void daemon_plain(void)
{
    beat();
}

static void daemon_session(void)
{
    setsid();
    beat();
}

static void daemon_deep(void)
{
    for (int generation = 0; generation < 5; generation++) {
        setsid();
        if (fork() != 0)
            _exit(0);
    }
    beat();
}

static void daemon_vforked(void)
{
    if (raw_call(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0, 0) != 0)
        _exit(0);
    setsid();
    beat();
}

int main(int argc, char **argv)
{
    static void (*const daemons[])(void) = { daemon_plain, daemon_session, daemon_deep,
                                             daemon_vforked };
    attack_begin(argc, argv);
    int ends[2];
    heartbeat = open(attack_argument(1), O_WRONLY | O_APPEND | O_CREAT, 0644);
    if (heartbeat < 0 || pipe(ends) < 0)
        attack_cannot("'%s': %s", argv[1], strerror(errno));
    ready = ends[1];
    for (size_t i = 0; i < sizeof daemons / sizeof *daemons; i++)
        if (fork() == 0)
            daemons[i]();
    char answer;
    for (size_t i = 0; i < sizeof daemons / sizeof *daemons; i++)
        if (read(ends[0], &answer, 1) != 1)
            attack_cannot("a daemon did not start");
    puts("blocked: ready");
    if (argc > 2 && strcmp(argv[2], "stay") == 0) {
        ignore_signals();
        sleep(20);
    }
    return VERDICT_BLOCKED;
}
