/* watch.h - which process inside owns a client port, for prompts and violations (contract 8, 10.1).
 *
 * Looks from outside, through init's entries in /proc, so nothing inside is asked. What a process
 * says of itself (argv) is a hint that it can change; `exe` is the kernel's word. Looking costs a walk
 * over /proc, so the number of looks is bounded: a flood of connections gets "unknown".
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct watch {
    pid_t init;        /* the sandbox's init, as a pid of the host */
    const char *proc;  /* "/proc"; tests give another */
    int64_t window_ms; /* start of the second that is counted */
    unsigned looks;    /* in that second */
};

enum {
    WATCH_LOOKS_PER_SECOND = 20,
    WATCH_PROCESSES_MAX = 32768, /* entries of /proc that one look goes over */
    WATCH_TEXT_MAX = 1024,
};

/* All texts are cleaned (no control, zero-width or bidi characters) and cut. */
struct watch_process {
    pid_t pid; /* inside */
    pid_t pid_outside;
    char argv0[256];           /* the first argument as the process shows it */
    char exe[512];             /* the program file, "" when it cannot be read */
    char text[WATCH_TEXT_MAX]; /* the arguments, joined by blanks */
    char tree[768];            /* "npm (4) / sh (17) / curl (31)": from init's child down to it */
};

void watch_init(struct watch *w, pid_t init);

/* The process that holds the TCP socket with local port `port` in init's network namespace. False
 * when it is gone, cannot be found, or too much has been looked up in this second; then *out says
 * "unknown" (pid 0, empty texts). */
bool watch_port_owner(struct watch *w, uint16_t port, int64_t now_ms, struct watch_process *out);

/* The same texts for a process inside whose pid on the host is known. */
bool watch_describe(struct watch *w, pid_t pid_outside, int64_t now_ms, struct watch_process *out);

/* True when init itself has started the process with that pid on the host. */
bool watch_is_first(const struct watch *w, pid_t pid_outside);
