/* pending.h - calls that cannot be answered at once.
 *
 * Opening a fifo, or connecting, may have to wait for somebody else. The warden must not, so such a
 * call is put here and tried again (or waits for its descriptor) while other calls are served. The
 * caller is blocked in its call, so there are never more of these than the command has threads.
 */
#pragma once

#include "sandbox/warden-int.h"

enum { PENDING_AGAIN = -2 };

struct pending {
    struct source source; /* first; fd is owned by the pending call, -1 = none */
    struct request q;
    struct pending *next;
    int object;   /* owned: what is to be opened or connected to; -1 = none */
    int flags;    /* of the open, or of the socket */
    dev_t device; /* of a fifo */
    ino_t inode;
    uint32_t wish; /* see wishes.h; 0 = none */
    /* The caller ended before it was answered; NULL = nobody cares. */
    void (*gone)(struct pending *p);
    int64_t next_try, wait, deadline; /* monotonic ns; next_try 0 = waits for source.fd only */
    /* Tries; what the caller is to be told, REQUEST_ANSWERED, or PENDING_AGAIN. */
    int (*attempt)(struct pending *p);
    int late;  /* errno at the deadline */
    void *job; /* owned when there is a `drop`: what the attempt works on */
    void (*drop)(void *job);
    unsigned char address[128]; /* of a socket */
    uint32_t address_length;
};

/* Puts the call aside: `attempt` is called again after a while (retry), or when `fd` shows `events`
 * (events not 0). Takes over `fd`, `object` and `job`. The caller of this function returns what it returns:
 * REQUEST_ANSWERED, or an errno when there are too many. */
int pending_add(struct pending *model, uint32_t events);

/* Somebody has come to the other end of a fifo: tries those that wait for it, to read (O_RDONLY) or to
 * write (O_WRONLY). Returns how many of them wait no longer. */
size_t pending_wake(struct warden *w, dev_t device, ino_t inode, int access_mode);

/* The call that waits for the answer to this wish, or NULL. */
struct pending *pending_of_wish(struct warden *w, uint32_t wish);

/* Ends the waiting: `result` as from `attempt`. `p` is gone afterwards. */
void pending_settle(struct pending *p, int result);

/* Tries what is due. Returns the milliseconds until the next try, -1 for none. */
int pending_run(struct warden *w);

/* Forgets all calls. */
void pending_free(struct warden *w);
