/* boss.h - what the supervisor says to the processes inside, and what they answer.
 *
 * Two SEQPACKET sockets carry it, one fixed-size message at a time: one to init, one ("orders") to the
 * spawner. Both ends run our code only; still kinds and ranges are checked. Descriptors ride along.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

enum boss_kind {
    /* supervisor -> init */
    /* Enter the control groups whose doors ride along, start the spawner; number = which limits no
     * group holds (BOSS_NO_...). */
    BOSS_ENTER = 1,
    /* number = signal for a command's process group; tag = its pid inside, 0 = the first command */
    BOSS_SIGNAL,
    /* init -> supervisor */
    BOSS_LISTENERS, /* body = kinds, one byte for each descriptor that rides along */
    /* Listeners of x.network.ports (ports.h): body = one struct settings_port_forward for each
     * descriptor; number = 1: the one descriptor is the dialer instead. */
    BOSS_PORTS,
    BOSS_CONTROL,  /* the two sockets of a netns_control ride along: make the redirect */
    BOSS_PTY,      /* the pty master rides along */
    BOSS_READY,    /* everything inside stands */
    BOSS_DEGRADED, /* number = enum layer; body = why */
    BOSS_EXITED, /* number = wait status; tag = pid inside, 0 = the first command; usage is filled */
    BOSS_COVERED, /* body = path of a hidden file that the host replaced or made, covered now */
    BOSS_FAILED,  /* number = errno, body = what could not be built */
    /* supervisor -> spawner */
    BOSS_RULES,   /* the supervisor's rules of the outer Landlock domain are complete */
    BOSS_GO,      /* everything stands: execute the first command */
    BOSS_COMMAND, /* a command image (command.h) and three descriptors ride along; tag is echoed */
    /* spawner -> supervisor */
    BOSS_STARTED, /* number = pid inside; tag as in BOSS_COMMAND */
    BOSS_REFUSED, /* number = errno, tag, body = what could not be done */
    /* command, before BOSS_GO -> supervisor, with plan.audited; number = its parent inside */
    BOSS_BORN,
};

enum { BOSS_NO_MEMORY_GROUP = 1, BOSS_NO_PIDS_GROUP = 2, BOSS_NO_CPU_GROUP = 4 };

enum { BOSS_BODY_MAX = 480, BOSS_FDS_MAX = 12 };

struct boss_message {
    uint32_t kind;
    int32_t number;
    uint32_t tag;
    uint32_t length;
    struct rusage usage;
    char body[BOSS_BODY_MAX];
};

/* Sends one message; `fds` may be NULL. */
int boss_send(int socket, const struct boss_message *m, const int *fds, size_t fd_count,
              struct err *e);

/* The same without descriptors and without waiting: fails when there is no room. */
int boss_offer(int socket, const struct boss_message *m, struct err *e);

/* Sends BOSS_BORN with the sender's pid, which the kernel vouches for and translates. */
int boss_introduce(int socket, struct err *e);

/* False while BOSS_BORN is not there. Else *sender is its pid as ours are counted, *parent as it said. */
bool boss_meet(int socket, pid_t *sender, pid_t *parent);

/* Waits for one message of this kind. -1 when another one comes, or the end. */
int boss_wait(int socket, enum boss_kind kind);

/* Receives one message. 1 = got one, 0 = nothing now (non-blocking socket), -1 = error or end
 * (E_MISSING at the end). Descriptors that came along are the caller's; close-on-exec. */
int boss_receive(int socket, struct boss_message *m, int fds[BOSS_FDS_MAX], size_t *fd_count,
                 struct err *e);
