/* warden-int.h - what the parts of the warden share: its state, and one call that is being served.
 *
 * A handler gets a struct request and returns what the caller is to be told: 0, an errno, or
 * REQUEST_ANSWERED when it has answered itself (a descriptor was given) or will do so later.
 */
#pragma once

#include "sandbox/notify.h"
#include "sandbox/warden.h"

#include <limits.h>
#include <stdint.h>
#include <sys/stat.h>

enum { REQUEST_ANSWERED = -1 };

/* Something that the warden's epoll watches. The owner removes it before the memory goes. */
struct source {
    int fd;
    void (*ready)(struct warden *w, struct source *s, uint32_t events);
};

struct pending;
struct disk_quota;
struct gitpointer;
struct ipc_objects;

/* A socket that the command has bound to a path, by inode. */
struct own_socket {
    dev_t device;
    ino_t inode;
};
enum { OWN_SOCKETS = 64 };

struct warden {
    struct warden_options options;
    struct notify notify;
    int epoll, proc, fds, root; /* /proc, /proc/self/fd and / as they are for us */
    pid_t own[2];               /* how that /proc shows our process and thread */
    int start;                  /* our working directory, in which commands begin */
    size_t listeners;
    struct pending *pending; /* calls that wait for something; see pending.h */
    size_t pending_count;
    struct gitpointer *gitpointers; /* files of git that are being written; see gitpointer.h */
    size_t gitpointer_count;
    struct own_socket own_sockets[OWN_SOCKETS];
    size_t own_socket_next;
    uint8_t own_ports[65536 / 8]; /* that somebody inside has listened on or bound */
    bool judges_sends;            /* see sendops.h */
    uint8_t *senders; /* owned; one bit per thread whose send was let through; NULL = none yet */
    struct ipc_objects *ipc; /* see ipcops.h */
    dev_t plain_device;      /* the last one that was found not to be a proc file system */
    struct {
        pid_t tid;
        mode_t mask;
        int64_t until, not_before; /* monotonic ns */
    } umask_seen;
    mode_t umask_now, umask_start; /* our own: for the last file, and with which commands begin */
    uint32_t last_wish;            /* its number; see wishes.h */
    struct source answers;         /* to wishes */
    uint32_t lost;                 /* reports that found the queue full */
    struct disk_quota *quota;      /* NULL = none */
    struct source removed;         /* of the quota */
    bool excess_told;
};

struct request {
    struct warden *w;
    struct notify_call call;
    const char *name;                /* of the system call */
    pid_t tgid, tgid_number, number; /* see tracee.h; 0 until somebody has asked */
    bool was_there; /* tracee_is_there has said so once; what was read before counts */
};

/* A path as the rules judge it. */
struct pathname {
    size_t n;
    char text[2 * PATH_MAX];
};

static inline struct str pathname_str(const struct pathname *p)
{
    return (struct str){ p->text, p->n };
}

/* Adds the source to the epoll set for `events`. 0 or errno. */
int warden_watch(struct warden *w, struct source *s, uint32_t events);
void warden_unwatch(struct warden *w, struct source *s);

/* Tells the supervisor what became of a call. `object` is bytes. */
void warden_report(struct request *q, struct str object, const char *rule, int os, bool warn_only);

/* Does what becomes of this name count against the disk quota? False where there is none. */
bool warden_counts(const struct warden *w, struct str path);

/* The name of the caller's program, as it says itself. */
void warden_read_comm(struct request *q, char *out, size_t room);

/* Sets our umask for the next creation. */
void warden_set_umask(struct warden *w, mode_t mask);

/* Monotonic nanoseconds. */
int64_t warden_now(void);
