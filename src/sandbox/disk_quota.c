#include "sandbox/disk_quota.h"

#include "base/fd.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

enum {
    DOOMED_MAX = 1024,    /* removed, and still open somewhere; more are not given back */
    SETTLED_PER_OPEN = 2, /* so that what is closed goes faster than what is opened comes */
    SETTLED_PER_TICK = 32,
    LINKED_BITS = 19, /* a false hit costs somebody what would have been given back */
    BLOCK = 512,      /* of st_blocks, on every file system */
};

/* A file that is counted by itself: because it may grow, or because its inode will be gone. */
struct file {
    dev_t device;
    ino_t inode;
    int object;      /* owned, O_PATH; -1 = nobody can have it open for writing any more */
    int watch;       /* its end is waited for; -1 = it has its name */
    int64_t counted; /* bytes of its blocks that `added` holds */
};

struct disk_quota {
    int64_t limit, added;
    int fds, events; /* borrowed; owned: inotify */
    unsigned held_max, held, doomed;
    struct file *files;   /* owned, held_max + DOOMED_MAX */
    unsigned count, next; /* next: who is settled next */
    int64_t looked;       /* when all that is held was looked at, ns */
    uint8_t linked[1u << (LINKED_BITS - 3)];
};

int disk_quota_new(uint64_t limit, unsigned held, int fds, struct disk_quota **out, struct err *e)
{
    int events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (events < 0)
        return err_set(e, E_SANDBOX, errno, "x.limits.diskQuota: watch what is removed");
    struct disk_quota *q = mem_get(sizeof *q);
    q->limit = limit > INT64_MAX ? INT64_MAX : (int64_t)limit;
    q->fds = fds;
    q->events = events;
    q->held_max = held;
    q->files = mem_array(held + DOOMED_MAX, sizeof *q->files);
    *out = q;
    return 0;
}

void disk_quota_free(struct disk_quota *q)
{
    if (!q)
        return;
    for (unsigned i = 0; i < q->count; i++)
        fd_drop(&q->files[i].object);
    fd_drop(&q->events);
    free(q->files);
    free(q);
}

int disk_quota_fd(const struct disk_quota *q)
{
    return q->events;
}

int64_t disk_quota_added(const struct disk_quota *q)
{
    return q->added;
}

bool disk_quota_is_passed(const struct disk_quota *q)
{
    return q->added > q->limit;
}

/* What was ever linked, by the hash of its inode. */

static uint32_t hash_of(dev_t device, ino_t inode)
{
    uint64_t mixed = ((uint64_t)inode + ((uint64_t)device << 40)) * 0x9e3779b97f4a7c15u;
    return (uint32_t)(mixed >> (64 - LINKED_BITS));
}

static void remember_linked(struct disk_quota *q, dev_t device, ino_t inode)
{
    uint32_t bit = hash_of(device, inode);
    q->linked[bit / 8] |= (uint8_t)(1u << bit % 8);
}

static bool was_linked(const struct disk_quota *q, dev_t device, ino_t inode)
{
    uint32_t bit = hash_of(device, inode);
    return q->linked[bit / 8] >> bit % 8 & 1;
}

/* The files */

static struct file *find(struct disk_quota *q, dev_t device, ino_t inode)
{
    for (unsigned i = 0; i < q->count; i++)
        if (q->files[i].inode == inode && q->files[i].device == device)
            return &q->files[i];
    return NULL;
}

/* There is room: held_max and DOOMED_MAX are asked for before. */
static struct file *add(struct disk_quota *q, const struct stat *st)
{
    struct file *f = &q->files[q->count++];
    *f = (struct file){ .device = st->st_dev, .inode = st->st_ino, .object = -1, .watch = -1 };
    return f;
}

static void forget_unless_needed(struct disk_quota *q, struct file *f)
{
    if (f->object < 0 && f->watch < 0)
        *f = q->files[--q->count];
}

static void look_at(struct disk_quota *q, struct file *f)
{
    struct stat st;
    if (f->object < 0 || fstat(f->object, &st) < 0)
        return;
    const int64_t now = (int64_t)st.st_blocks * BLOCK;
    q->added += now - f->counted;
    f->counted = now;
}

/* A lease to read is granted when nobody has the file open, or mapped, for writing. What cannot be asked
 * (no right to read it, a file system without leases) may be. */
static bool may_be_written(const struct disk_quota *q, const struct file *f)
{
    char number[16];
    snprintf(number, sizeof number, "%d", f->object);
    AUTO_FD fd = openat(q->fds, number, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    return fd < 0 || fcntl(fd, F_SETLEASE, F_RDLCK) < 0;
}

/* Lets go of files that nobody can write any more: our descriptor keeps a removed one on the disk. */
static void settle(struct disk_quota *q, unsigned how_many)
{
    if (how_many > q->count)
        how_many = q->count;
    while (how_many-- && q->count) {
        q->next = q->next < q->count ? q->next : 0;
        struct file *f = &q->files[q->next];
        if (f->object < 0 || may_be_written(q, f)) {
            q->next++;
            continue;
        }
        look_at(q, f);
        fd_drop(&f->object);
        q->held--;
        forget_unless_needed(q, f); /* another one may stand there now: it is next */
    }
}

int disk_quota_room(struct disk_quota *q)
{
    if (disk_quota_is_passed(q))
        return EDQUOT;
    settle(q, q->held < q->held_max ? SETTLED_PER_OPEN : q->count);
    return q->held < q->held_max ? 0 : ENFILE;
}

int disk_quota_open(struct disk_quota *q, int object, blkcnt_t blocks)
{
    struct stat st;
    char number[16];
    if (fstat(object, &st) < 0)
        return errno;
    struct file *f = find(q, st.st_dev, st.st_ino);
    if (f && f->object >= 0)
        return 0;
    if (q->held >= q->held_max)
        return ENFILE;
    snprintf(number, sizeof number, "%d", object);
    AUTO_FD held = openat(q->fds, number, O_PATH | O_CLOEXEC);
    if (held < 0)
        return errno;
    if (!f) {
        f = add(q, &st);
        f->counted = (int64_t)blocks * BLOCK;
    }
    f->object = fd_take(&held);
    q->held++;
    look_at(q, f);
    return 0;
}

void disk_quota_made(struct disk_quota *q, int parent, const char *name)
{
    struct stat st;
    q->added += DISK_QUOTA_NAME;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && !S_ISREG(st.st_mode))
        q->added += (int64_t)st.st_blocks * BLOCK;
}

void disk_quota_linked(struct disk_quota *q, int object)
{
    struct stat st;
    if (fstat(object, &st) == 0)
        remember_linked(q, st.st_dev, st.st_ino);
}

/* Removals */

static void drop_watch(struct disk_quota *q, struct file *f)
{
    inotify_rm_watch(q->events, f->watch);
    f->watch = -1;
    q->doomed--;
    forget_unless_needed(q, f);
}

static struct file *find_watch(struct disk_quota *q, int watch)
{
    for (unsigned i = 0; i < q->count; i++)
        if (q->files[i].watch == watch)
            return &q->files[i];
    return NULL;
}

static void give_back(struct disk_quota *q, int watch)
{
    struct file *f = find_watch(q, watch);
    if (!f)
        return;
    if (f->object < 0) /* while we hold it, it is there */
        q->added -= f->counted + DISK_QUOTA_NAME;
    f->watch = -1; /* the kernel has dropped it */
    q->doomed--;
    forget_unless_needed(q, f);
}

/* What was lost in a flood of events is never given back. */
static void forget_doomed(struct disk_quota *q)
{
    for (unsigned i = q->count; i-- > 0;)
        if (q->files[i].watch >= 0)
            drop_watch(q, &q->files[i]);
}

static void take_events(struct disk_quota *q)
{
    union {
        struct inotify_event event;
        char bytes[4096];
    } room;
    ssize_t n;
    while ((n = read(q->events, room.bytes, sizeof room.bytes)) > 0)
        for (ssize_t at = 0; at < n;) {
            const struct inotify_event *event = (const void *)(room.bytes + at);
            if (event->mask & IN_Q_OVERFLOW)
                forget_doomed(q);
            else if (event->mask & IN_DELETE_SELF)
                give_back(q, event->wd);
            at += (ssize_t)(sizeof *event + event->len);
        }
}

/* Most removals of a run make no watch, and the look would cost each a call. */
static void take_awaited_events(struct disk_quota *q)
{
    if (q->doomed)
        take_events(q);
}

void disk_quota_ready(struct disk_quota *q)
{
    take_events(q); /* also of watches that are gone: unread they would make us ready for ever */
}

static int watch_end(struct disk_quota *q, int object)
{
    char path[32];
    snprintf(path, sizeof path, "/proc/self/fd/%d", object);
    return q->doomed < DOOMED_MAX
               ? inotify_add_watch(q->events, path, IN_DELETE_SELF | IN_MASK_CREATE)
               : -1;
}

void disk_quota_leaves(struct disk_quota *q, int parent, const char *name,
                       struct disk_quota_leaver *l)
{
    struct stat st;
    *l = (struct disk_quota_leaver){ .kind = LEAVES_NOTHING, .watch = -1 };
    /* What is counted must be what is watched, also when another sandbox changes the name meanwhile. */
    AUTO_FD object = openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (object < 0 || fstat(object, &st) < 0)
        return;
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1) {
        remember_linked(q, st.st_dev, st.st_ino);
        l->kind = LEAVES_NAME;
        return;
    }
    if (was_linked(q, st.st_dev, st.st_ino) || (l->watch = watch_end(q, object)) < 0)
        return;
    l->kind = LEAVES_FILE;
    struct file *f = find(q, st.st_dev, st.st_ino);
    if (!f) {
        f = add(q, &st);
        f->counted = (int64_t)st.st_blocks * BLOCK;
    }
    f->watch = l->watch;
    q->doomed++;
}

void disk_quota_left(struct disk_quota *q, const struct disk_quota_leaver *l, bool gone)
{
    struct file *f = l->kind == LEAVES_FILE ? find_watch(q, l->watch) : NULL;
    if (l->kind == LEAVES_NAME && gone)
        q->added -= DISK_QUOTA_NAME;
    if (f && !gone)
        drop_watch(q, f);
    take_awaited_events(q);
}

int disk_quota_run(struct disk_quota *q, int64_t now)
{
    static const int64_t tick = DISK_QUOTA_TICK_MS * 1000000ll;
    take_awaited_events(q);
    if (!q->held)
        return -1;
    if (now - q->looked >= tick) {
        settle(q, SETTLED_PER_TICK);
        for (unsigned i = 0; i < q->count; i++)
            look_at(q, &q->files[i]);
        q->looked = now;
    }
    return (int)((q->looked + tick - now) / 1000000) + 1;
}
