/* wish.h - the warden asks the supervisor for a file that its own domain forbids (contract 8).
 *
 * One fixed-size message each way, on the socket that also carries the warden's reports. A wish names a
 * path that the warden has resolved; with it comes a pidfd of the process that asks. The answer brings an
 * open descriptor or an errno. Both ends run our code; the supervisor judges the wish all the same.
 */
#pragma once

#include <limits.h>
#include <stdint.h>
#include <sys/types.h>

enum wish_kind { WISH_OPEN = 1, WISH_CANCEL };

struct wish {
    uint32_t kind;
    uint32_t id;          /* the warden's own number for it, not 0 */
    uint32_t pid;         /* inside */
    int32_t flags;        /* of the open */
    uint32_t mode, umask; /* of what may be made */
    char call[16];
    char argv0[64];
    char path[PATH_MAX]; /* absolute, resolved */
};

struct wish_answer {
    uint32_t id;
    int32_t os; /* 0: a descriptor rides along */
};

/* True when the open may change something. */
_Bool wish_writes(const struct wish *w);

/* Sends without waiting; `fd` -1 = none rides along. 0 or errno (EAGAIN: no room). */
int wish_send(int socket, const void *message, size_t size, int fd);

/* Receives without waiting at most `room` bytes. Number of bytes, 0 at the end, -1 and errno. *fd is the
 * caller's, close-on-exec, -1 when none came. */
ssize_t wish_receive(int socket, void *message, size_t room, int *fd);
