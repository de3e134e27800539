#include "sandbox/audit-int.h"

#include "base/buf.h"
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>

enum {
    CHUNK = 4096,          /* PIPE_BUF: never blocks once poll says that a pipe can be written */
    READER_WAIT_MS = 2000, /* a reader of --audit-fd that takes nothing for so long is given up */
    LOCK_TRIES = 100,
    LOCK_PAUSE_NS = 1000000,
};

void audit_sink_init(struct audit_sink *s)
{
    *s = (struct audit_sink){ .fd = -1 };
}

void audit_sink_release(struct audit_sink *s)
{
    fd_drop(&s->fd);
}

bool audit_is_record(struct str line)
{
    if (line.n < sizeof AUDIT_HEAD - 1 + AUDIT_PREV_SIZE || !str_starts(line, STR(AUDIT_HEAD)))
        return false;
    struct str end = str_skip(line, line.n - AUDIT_PREV_SIZE);
    if (!str_starts(end, STR(AUDIT_PREV)) || !str_ends(end, STR(AUDIT_TAIL)))
        return false;
    for (size_t i = 0; i < 2 * AUDIT_HASH; i++) {
        char c = end.p[sizeof AUDIT_PREV - 1 + i];
        if (!(c >= '0' && c <= '9') && !(c >= 'a' && c <= 'f'))
            return false;
    }
    return true;
}

/* Reads the end of the file: hash of the last line, and whether that line is torn. */
static int read_tail(struct audit_sink *s, off_t size, struct err *e)
{
    AUTO_BUF tail = { 0 };
    size_t want = size < 2 * AUDIT_RECORD_MAX ? (size_t)size : 2 * AUDIT_RECORD_MAX;
    char *at = buf_room(&tail, want);
    for (size_t have = 0; have < want;) {
        ssize_t got = pread(s->fd, at + have, want - have, size - (off_t)(want - have));
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return err_set(e, E_IO, got < 0 ? errno : 0, "read its end");
        have += (size_t)got;
    }
    struct str line = { at, want };
    s->torn = want > 0 && at[want - 1] != '\n';
    if (!s->torn && want > 0)
        line.n--;
    ptrdiff_t newline = str_last_index(line, '\n');
    if (newline < 0 && (off_t)want < size)
        return err_set(e, E_INPUT, 0, "is no audit log: its last line is too long");
    line = str_skip(line, (size_t)(newline + 1));
    struct str head = { line.p, line.n < sizeof AUDIT_HEAD - 1 ? line.n : sizeof AUDIT_HEAD - 1 };
    bool ours = s->torn ? str_starts(STR(AUDIT_HEAD), head) : audit_is_record(line);
    if (want > 0 && !ours)
        return err_set(e, E_INPUT, 0, "exists and is no audit log: name another file");
    if (want > 0)
        crypto_hash_sha256(s->prev, (const unsigned char *)line.p, line.n);
    else
        memset(s->prev, 0, sizeof s->prev);
    s->size = size;
    return 0;
}

/* Who may see what the commands did: the owner alone. */
static int check_file(int fd, struct stat *st, struct err *e)
{
    if (fstat(fd, st) < 0)
        return err_set(e, E_IO, errno, "look at it");
    if (!S_ISREG(st->st_mode))
        return err_set(e, E_INPUT, 0, "is no regular file; --audit-fd takes pipes and sockets");
    if (st->st_uid != geteuid() || (st->st_mode & 077))
        return err_set(e, E_DENIED, 0, "must belong to you and have mode 0600");
    return 0;
}

int audit_sink_open(struct audit_sink *s, const char *path, struct err *e)
{
    int flags = O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
    struct stat st;
    AUTO_FD fd = open(path, flags, 0600);
    if (fd < 0)
        return err_set(e, E_IO, errno, "open it");
    if (check_file(fd, &st, e) < 0)
        return -1;
    s->fd = fd;
    s->is_file = true;
    if (read_tail(s, st.st_size, e) < 0) {
        s->fd = -1;
        return -1;
    }
    fd_take(&fd);
    return 0;
}

int audit_sink_take(struct audit_sink *s, int fd, struct err *e)
{
    int flags = fcntl(fd, F_GETFL);
    struct stat st;
    if (flags < 0 || fstat(fd, &st) < 0)
        return err_set(e, E_INPUT, errno, "descriptor %d", fd);
    if ((flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH))
        return err_set(e, E_INPUT, 0, "descriptor %d cannot be written", fd);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_set(e, E_IO, errno, "descriptor %d", fd);
    s->is_socket = S_ISSOCK(st.st_mode);
    s->fd = fd;
    return 0;
}

/* A courtesy between runs that share a file. Whoever can read the file can hold such a lock too, so
 * the wait is bounded and the log is written without it then. */
static bool lock(struct audit_sink *s)
{
    struct flock whole = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
    for (int i = 0; i < LOCK_TRIES; i++) {
        if (fcntl(s->fd, F_OFD_SETLK, &whole) == 0)
            return true;
        if (s->unlocked)
            return false;
        struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };
        nanosleep(&pause, NULL);
    }
    s->unlocked = true;
    return false;
}

static void unlock(const struct audit_sink *s)
{
    struct flock whole = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
    fcntl(s->fd, F_OFD_SETLK, &whole);
}

/* All bytes, or -1. Never waits longer than a reader may take for one chunk. */
static int write_whole(const struct audit_sink *s, struct str bytes, struct err *e)
{
    while (bytes.n) {
        struct pollfd ready = { .fd = s->fd, .events = POLLOUT };
        int n = s->is_file ? 1 : poll(&ready, 1, READER_WAIT_MS);
        if (n == 0)
            return err_set(e, E_BUSY, 0, "nobody takes the records");
        size_t part = bytes.n < CHUNK || s->is_file ? bytes.n : CHUNK;
        ssize_t sent = n < 0          ? -1
                       : s->is_socket ? send(s->fd, bytes.p, part, MSG_NOSIGNAL | MSG_DONTWAIT)
                                      : write(s->fd, bytes.p, part);
        if (sent < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (sent <= 0)
            return err_set(e, E_IO, sent < 0 ? errno : ENOSPC, "write");
        bytes = str_skip(bytes, (size_t)sent);
    }
    return 0;
}

static void finish_line(const struct audit_sink *s, struct str body, struct buf *line)
{
    char hex[2 * AUDIT_HASH + 1];
    sodium_bin2hex(hex, sizeof hex, s->prev, AUDIT_HASH);
    buf_add(line, body);
    if (s->torn)
        buf_add(line, STR(AUDIT_TORN));
    buf_addf(line, AUDIT_PREV "%s" AUDIT_TAIL "\n", hex);
}

/* Another run may have written since: then the chain goes on from its last line. */
static int catch_up(struct audit_sink *s, struct err *e)
{
    struct stat st;
    if (fstat(s->fd, &st) < 0)
        return err_set(e, E_IO, errno, "look at it");
    return st.st_size == s->size ? 0 : read_tail(s, st.st_size, e);
}

static int put_in_file(struct audit_sink *s, struct str body, bool locked, struct err *e)
{
    if (catch_up(s, e) < 0)
        return -1;
    AUTO_BUF line = { 0 };
    if (s->torn)
        buf_add_byte(&line, '\n');
    size_t skip = line.n;
    finish_line(s, body, &line);
    if (write_whole(s, buf_str(&line), e) < 0) {
        /* A full disk must not leave half a record. Without the lock the end may be another run's. */
        if (!locked || ftruncate(s->fd, s->size) < 0)
            err_while(e, "part of a record may stay");
        return -1;
    }
    s->torn = false;
    s->size += (off_t)line.n;
    crypto_hash_sha256(s->prev, (const unsigned char *)line.p + skip, line.n - skip - 1);
    return 0;
}

int audit_sink_put(struct audit_sink *s, struct str body, struct err *e)
{
    if (s->fd < 0 || s->broken)
        return 0;
    int result;
    if (s->is_file) {
        bool locked = lock(s);
        result = put_in_file(s, body, locked, e);
        if (locked)
            unlock(s);
    } else {
        AUTO_BUF line = { 0 };
        finish_line(s, body, &line);
        result = write_whole(s, buf_str(&line), e);
        crypto_hash_sha256(s->prev, (const unsigned char *)line.p, line.n - 1);
    }
    s->broken = result < 0;
    return result;
}
