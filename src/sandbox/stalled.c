#include "sandbox/stalled.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "core/filerules.h"
#include "sandbox/mount_list.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

/* File systems whose answers come from another process or another machine. */
static const char *const slow_types[] = { "fuse",   "fuseblk",  "nfs",  "nfs4", "cifs",   "smb3",
                                          "autofs", "9p",       "afs",  "ceph", "lustre", "ncpfs",
                                          "coda",   "orangefs", "gfs2", "ocfs2" };

enum { READ_AT_ONCE = 16 << 10 };

enum look_kind { LOOK_STAT, LOOK_LSTAT, LOOK_REAL, LOOK_LIST };

struct look_request {
    int kind;
    char path[PATH_MAX];
};

struct look_answer {
    int os;
    struct stat st;
    char real[PATH_MAX];
};

static bool is_slow(struct str type)
{
    if (str_starts(type, STR("fuse.")))
        return true;
    for (size_t i = 0; i < sizeof slow_types / sizeof *slow_types; i++)
        if (str_eq(type, str_of(slow_types[i])))
            return true;
    return false;
}

/* "36 35 98:0 / /mnt rw,noatime shared:1 - ext3 /dev/root rw": device, place, and the type behind "-". */
static void take_line(struct stalled *s, struct str line)
{
    struct str field, device = { NULL, 0 }, place = { NULL, 0 };
    bool behind = false;
    for (size_t i = 0; str_cut(&line, ' ', &field); i++) {
        if (i == 2)
            device = field;
        if (i == 4)
            place = field;
        if (behind)
            break;
        behind = i > 5 && str_eq(field, STR("-"));
    }
    unsigned major, minor;
    char number[32];
    snprintf(number, sizeof number, "%.*s", STR_ARGS(device));
    if (!behind || !is_slow(field) || !place.n || sscanf(number, "%u:%u", &major, &minor) != 2)
        return;
    s->mounts = mem_grow(s->mounts, (s->count + 1) * sizeof *s->mounts);
    s->mounts[s->count++] =
        (struct stalled_mount){ mount_list_unescape(place), makedev(major, minor), false };
}

void stalled_init_from(struct stalled *s, struct str mountinfo)
{
    struct str line;
    *s = (struct stalled){ .socket = -1 };
    while (str_cut(&mountinfo, '\n', &line))
        if (line.n)
            take_line(s, line);
}

void stalled_init(struct stalled *s)
{
    AUTO_BUF text = { 0 };
    AUTO_FD fd = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
    for (ssize_t n = 1; fd >= 0 && n > 0;) {
        n = read(fd, buf_room(&text, READ_AT_ONCE), READ_AT_ONCE);
        if (n > 0)
            buf_grew(&text, (size_t)n);
    }
    stalled_init_from(s, buf_str(&text));
}

void stalled_rest(struct stalled *s)
{
    if (s->looker > 0) {
        kill(s->looker, SIGKILL);
        /* One that hangs ends when its file system lets it; init of the host reaps it after us. */
        waitpid(s->looker, NULL, WNOHANG);
    }
    fd_drop(&s->socket);
    s->looker = 0;
}

void stalled_release(struct stalled *s)
{
    stalled_rest(s);
    for (size_t i = 0; i < s->count; i++)
        free(s->mounts[i].path);
    free(s->mounts);
    *s = (struct stalled){ .socket = -1 };
}

static int list(const char *path)
{
    DIR *d = opendir(path);
    if (!d)
        return -1;
    errno = 0;
    bool good = readdir(d) || errno == 0;
    int os = errno;
    closedir(d);
    errno = os;
    return good ? 0 : -1;
}

static int look(int kind, const char *path, struct stat *st, char real[PATH_MAX])
{
    switch (kind) {
    case LOOK_STAT:
        return stat(path, st);
    case LOOK_LSTAT:
        return lstat(path, st);
    case LOOK_REAL:
        return realpath(path, real) ? 0 : -1;
    default:
        return list(path);
    }
}

static _Noreturn void be_looker(int socket, pid_t parent)
{
    struct look_request q;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(0);
    while (recv(socket, &q, sizeof q, 0) == (ssize_t)sizeof q) {
        struct look_answer a = { 0 };
        a.os = look(q.kind, q.path, &a.st, a.real) < 0 ? errno : 0;
        if (send(socket, &a, sizeof a, MSG_NOSIGNAL) != (ssize_t)sizeof a)
            break;
    }
    _exit(0);
}

static int start_looker(struct stalled *s)
{
    int pair[2];
    pid_t parent = getpid();
    if (s->looker > 0)
        return 0;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -1;
    s->looker = fork();
    if (s->looker == 0) {
        close(pair[0]);
        be_looker(pair[1], parent);
    }
    close(pair[1]);
    s->socket = pair[0];
    if (s->looker < 0)
        fd_drop(&s->socket);
    return s->looker < 0 ? -1 : 0;
}

/* The innermost of them around the path, NULL for none. */
static struct stalled_mount *mount_around(const struct stalled *s, struct str path)
{
    struct stalled_mount *found = NULL;
    for (size_t i = 0; i < s->count; i++)
        if (path_is_beneath(path, str_of(s->mounts[i].path)) &&
            (!found || strlen(s->mounts[i].path) >= strlen(found->path)))
            found = &s->mounts[i];
    return found;
}

static int ask(struct stalled *s, int kind, const char *path, struct stat *st, char real[PATH_MAX])
{
    struct look_request q = { .kind = kind };
    struct look_answer a;
    struct stalled_mount *around = mount_around(s, str_of(path));
    if (strlen(path) >= sizeof q.path)
        return errno = ENAMETOOLONG, -1;
    if (around && around->dead)
        return errno = ETIMEDOUT, -1;
    snprintf(q.path, sizeof q.path, "%s", path);
    if (start_looker(s) < 0 || send(s->socket, &q, sizeof q, MSG_NOSIGNAL) != (ssize_t)sizeof q)
        return errno = EIO, -1;
    struct pollfd answer = { .fd = s->socket, .events = POLLIN };
    int ready;
    do
        ready = poll(&answer, 1, STALLED_PATIENCE_MS);
    while (ready < 0 && errno == EINTR);
    if (ready == 1 && recv(s->socket, &a, sizeof a, 0) == (ssize_t)sizeof a) {
        if (st)
            *st = a.st;
        if (real)
            memcpy(real, a.real, PATH_MAX);
        return a.os ? (errno = a.os, -1) : 0;
    }
    stalled_rest(s);
    if (around)
        around->dead = true;
    return errno = ETIMEDOUT, -1;
}

int stalled_stat(struct stalled *s, const char *path, struct stat *st)
{
    return s && s->count ? ask(s, LOOK_STAT, path, st, NULL) : stat(path, st);
}

int stalled_lstat(struct stalled *s, const char *path, struct stat *st)
{
    return s && s->count ? ask(s, LOOK_LSTAT, path, st, NULL) : lstat(path, st);
}

char *stalled_realpath(struct stalled *s, const char *path, char real[PATH_MAX])
{
    if (!s || !s->count)
        return realpath(path, real);
    return ask(s, LOOK_REAL, path, NULL, real) < 0 ? NULL : real;
}

int stalled_list(struct stalled *s, const char *path, dev_t device)
{
    for (size_t i = 0; s && i < s->count; i++)
        if (s->mounts[i].device == device)
            return ask(s, LOOK_LIST, path, NULL, NULL);
    return 0;
}

bool stalled_is_dead(const struct stalled *s, struct str path)
{
    for (size_t i = 0; i < s->count; i++)
        if (s->mounts[i].dead && str_eq(path, str_of(s->mounts[i].path)))
            return true;
    return false;
}
