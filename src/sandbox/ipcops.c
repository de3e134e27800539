#include "sandbox/ipcops.h"

#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <mqueue.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { NUMBERS_MAX = 4096, QUEUES_MAX = 256, NAME_ROOM = NAME_MAX + 2 };

/* Numbers of one kind, in no order. */
struct numbers {
    int *items;
    size_t count, room;
};

enum kind { SHM, SEM, MSG, KINDS };

struct ipc_objects {
    struct numbers made[KINDS];
    char (*queues)[NAME_ROOM]; /* names of POSIX queues, as the kernel takes them */
    size_t queue_count;
};

static struct ipc_objects *objects(struct warden *w)
{
    if (!w->ipc)
        w->ipc = mem_get(sizeof *w->ipc);
    return w->ipc;
}

void ipcops_free(struct warden *w)
{
    for (int i = 0; w->ipc && i < KINDS; i++)
        free(w->ipc->made[i].items);
    if (w->ipc)
        free(w->ipc->queues);
    free(w->ipc);
    w->ipc = NULL;
}

/* Where the number stands, or NULL. */
static int *numbers_find(struct numbers *n, int number)
{
    for (size_t i = 0; i < n->count; i++)
        if (n->items[i] == number)
            return &n->items[i];
    return NULL;
}

static void numbers_add(struct numbers *n, int number)
{
    if (n->count == n->room) {
        n->room = n->room ? n->room * 2 : 16;
        n->items = mem_grow(n->items, n->room * sizeof *n->items);
    }
    n->items[n->count++] = number;
}

static int refuse(struct request *q, const char *what)
{
    warden_report(q, str_of(what), "built-in: objects of the host", EACCES, false);
    return EACCES;
}

/* Makes the object or finds it by its key, and tells its number to the caller. Found counts only what
 * was made inside: making comes first, so that it is known which of the two it was. */
static int get(struct request *q, enum kind kind, key_t key, uint64_t size, int flags)
{
    struct numbers *made = &objects(q->w)->made[kind];
    const bool makes = key == IPC_PRIVATE || (flags & IPC_CREAT);
    int number = -1;
    if (makes && made->count == NUMBERS_MAX)
        return ENOSPC;
    if (!tracee_is_there(q))
        return EINTR;
    /* msgget has no size: its flags come second. */
    if (makes)
        number = (int)(kind == MSG ? syscall(q->call.number, key, flags | IPC_EXCL)
                                   : syscall(q->call.number, key, size, flags | IPC_EXCL));
    if (number >= 0) {
        numbers_add(made, number);
    } else {
        if (makes && (errno != EEXIST || (flags & IPC_EXCL)))
            return errno;
        const int found = flags & ~(IPC_CREAT | IPC_EXCL);
        number = (int)(kind == MSG ? syscall(q->call.number, key, found)
                                   : syscall(q->call.number, key, size, found));
        if (number < 0)
            return errno;
        if (!numbers_find(made, number))
            return refuse(q, "System V object");
    }
    notify_answer(&q->w->notify, &q->call, number, 0);
    return REQUEST_ANSWERED;
}

/* Calls on an object: the kernel goes on when the number is one of ours. */
static int use(struct request *q, enum kind kind, int number)
{
    if (!numbers_find(&objects(q->w)->made[kind], number))
        return number < 0 ? EINVAL : refuse(q, "System V object");
    notify_continue(&q->w->notify, &q->call);
    return REQUEST_ANSWERED;
}

/* IPC_INFO and what is beyond (SHM_INFO, SHM_STAT ...) look at the table of all objects. */
static int control(struct request *q, enum kind kind, int number, int command)
{
    const bool about_one = command == IPC_RMID || command == IPC_SET || command == IPC_STAT ||
                           (kind == SHM && (command == SHM_LOCK || command == SHM_UNLOCK)) ||
                           (kind == SEM && command >= GETPID && command <= SETALL);
    if (!about_one)
        return refuse(q, "table of System V objects");
    struct numbers *made = &objects(q->w)->made[kind];
    int *at = numbers_find(made, number);
    if (at && command == IPC_RMID) /* the number may come to mean another object */
        *at = made->items[--made->count];
    else
        return use(q, kind, number);
    notify_continue(&q->w->notify, &q->call);
    return REQUEST_ANSWERED;
}

int ipcop_shmget(struct request *q, const uint64_t a[6])
{
    return get(q, SHM, (key_t)a[0], a[1], (int)a[2]);
}

int ipcop_semget(struct request *q, const uint64_t a[6])
{
    return get(q, SEM, (key_t)a[0], (uint64_t)(int)a[1], (int)a[2]);
}

int ipcop_msgget(struct request *q, const uint64_t a[6])
{
    return get(q, MSG, (key_t)a[0], 0, (int)a[1]);
}

int ipcop_shm(struct request *q, const uint64_t a[6])
{
    return use(q, SHM, (int)a[0]);
}

int ipcop_sem(struct request *q, const uint64_t a[6])
{
    return use(q, SEM, (int)a[0]);
}

int ipcop_msg(struct request *q, const uint64_t a[6])
{
    return use(q, MSG, (int)a[0]);
}

int ipcop_shmctl(struct request *q, const uint64_t a[6])
{
    return control(q, SHM, (int)a[0], (int)a[1]);
}

int ipcop_semctl(struct request *q, const uint64_t a[6])
{
    return control(q, SEM, (int)a[0], (int)a[2]);
}

int ipcop_msgctl(struct request *q, const uint64_t a[6])
{
    return control(q, MSG, (int)a[0], (int)a[1]);
}

static char *queue_find(struct ipc_objects *o, const char *name)
{
    for (size_t i = 0; i < o->queue_count; i++)
        if (strcmp(o->queues[i], name) == 0)
            return o->queues[i];
    return NULL;
}

static void queue_add(struct ipc_objects *o, const char *name)
{
    if (!o->queues)
        o->queues = mem_array(QUEUES_MAX, NAME_ROOM);
    memcpy(o->queues[o->queue_count++], name, strlen(name) + 1);
}

static int read_name(struct request *q, uint64_t address, char name[PATH_MAX])
{
    int os = tracee_read_path(q, address, name);
    return os ? os : strlen(name) < NAME_ROOM ? 0 : ENAMETOOLONG;
}

/* -1 and errno. Queues come into being with O_EXCL, so that it is known whose they are. */
static int queue_open(struct request *q, const char *name, int flags, mode_t mode,
                      struct mq_attr *attr)
{
    struct ipc_objects *o = objects(q->w);
    const bool known = queue_find(o, name);
    if (!known && (flags & O_CREAT)) {
        if (o->queue_count == QUEUES_MAX)
            return errno = ENOSPC, -1;
        warden_set_umask(q->w, tracee_umask(q));
        int fd = (int)syscall(SYS_mq_open, name, flags | O_EXCL, mode, attr);
        if (fd >= 0)
            queue_add(o, name);
        else if (errno == EEXIST && !(flags & O_EXCL))
            errno = EACCES;
        return fd;
    }
    if (!known)
        return errno = ENOENT, -1; /* as in a namespace of our own */
    return (int)syscall(SYS_mq_open, name, flags, mode, attr);
}

int ipcop_mq_open(struct request *q, const uint64_t a[6])
{
    char name[PATH_MAX];
    struct mq_attr attr;
    const int flags = (int)a[1];
    const bool sized = (flags & O_CREAT) && a[3];
    int os = read_name(q, a[0], name);
    if (!os && sized)
        os = tracee_read(q, a[3], &attr, sizeof attr);
    if (os || !tracee_is_there(q))
        return os ? os : EINTR;
    AUTO_FD queue = queue_open(q, name, flags, (mode_t)a[2], sized ? &attr : NULL);
    if (queue < 0)
        return errno == EACCES ? refuse(q, name) : errno;
    os = notify_give(&q->w->notify, &q->call, queue, true);
    return os ? os : REQUEST_ANSWERED;
}

int ipcop_mq_unlink(struct request *q, const uint64_t a[6])
{
    char name[PATH_MAX];
    struct ipc_objects *o = objects(q->w);
    int os = read_name(q, a[0], name);
    if (os || !tracee_is_there(q))
        return os ? os : EINTR;
    char *at = queue_find(o, name);
    if (!at)
        return ENOENT;
    if (syscall(SYS_mq_unlink, name) < 0)
        return errno;
    memmove(at, o->queues[--o->queue_count], NAME_ROOM);
    return 0;
}
