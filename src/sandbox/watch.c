#include "sandbox/watch.h"

#include "base/buf.h"
#include "base/fd.h"
#include "egress/clean.h"
#include "sandbox/family.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    TABLE_MAX = 4 << 20, /* bytes of /proc/net/tcp that are read */
    FDS_MAX = 8192,      /* descriptors of one process that are looked at */
    TREE_MAX = 8,        /* ancestors that are named */
    PATH_ROOM = 128,     /* "/proc/4194304/task/4194304/..." and the like */
};

void watch_init(struct watch *w, pid_t init)
{
    *w = (struct watch){ .init = init, .proc = "/proc" };
}

/* At most `max` bytes of a file of /proc; what cannot be read is empty. */
static void read_whole(const char *path, size_t max, struct buf *out)
{
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    while (fd >= 0 && out->n < max) {
        size_t room = max - out->n < 65536 ? max - out->n : 65536;
        ssize_t got = read(fd, buf_room(out, room), room);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return;
        buf_grew(out, (size_t)got);
    }
}

__attribute__((format(printf, 4, 5))) static void
path_in(const struct watch *w, pid_t pid, char path[PATH_ROOM], const char *fmt, ...)
{
    char tail[64];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(tail, sizeof tail, fmt, ap);
    va_end(ap);
    snprintf(path, PATH_ROOM, "%s/%d/%s", w->proc, (int)pid, tail);
}

/* The n-th field (from 0) of a line whose fields stand between runs of blanks. */
static struct str field_of(struct str line, size_t n)
{
    struct str field = { NULL, 0 };
    for (size_t i = 0; i <= n;) {
        if (!str_cut(&line, ' ', &field))
            return (struct str){ NULL, 0 };
        i += field.n ? 1 : 0;
    }
    return field;
}

/* The inode of the socket with this local port that is no listener, or 0. Lines of the table:
 * "sl local_address rem_address st tx:rx tr:when retrnsmt uid timeout inode ...". */
static uint64_t socket_inode(struct str table, uint16_t port)
{
    struct str line;
    char want[8];
    snprintf(want, sizeof want, ":%04X", port);
    for (bool head = true; str_cut(&table, '\n', &line); head = false) {
        uint64_t inode = 0;
        if (!head && str_ends(field_of(line, 1), str_of(want)) &&
            !str_eq(field_of(line, 3), STR("0A")) && str_to_u64(field_of(line, 9), &inode) && inode)
            return inode;
    }
    return 0;
}

static bool link_is(int dir, const char *name, struct str wanted)
{
    char target[128];
    ssize_t n = readlinkat(dir, name, target, sizeof target);
    return n > 0 && str_eq((struct str){ target, (size_t)n }, wanted);
}

static void dir_drop(DIR **dir)
{
    if (*dir)
        closedir(*dir);
}

/* True when a descriptor of the process is the socket. */
static bool holds_socket(const struct watch *w, pid_t pid, struct str socket)
{
    char path[PATH_ROOM];
    path_in(w, pid, path, "fd");
    CLEANUP(dir_drop) DIR *dir = opendir(path);
    struct dirent *entry;
    for (size_t i = 0; dir && i < FDS_MAX && (entry = readdir(dir)) != NULL; i++)
        if (link_is(dirfd(dir), entry->d_name, socket))
            return true;
    return false;
}

/* A process of the sandbox that holds the socket, or 0. */
static pid_t find_holder(const struct watch *w, struct str socket)
{
    AUTO_FREE pid_t *inside = NULL;
    size_t n = family_list(w->proc, w->init, WATCH_PROCESSES_MAX, &inside);
    for (size_t i = 0; i < n; i++)
        if (holds_socket(w, inside[i], socket))
            return inside[i];
    return 0;
}

/* The last number behind "NAME:" in a status file: of NSpid, the pid in the innermost namespace. */
static pid_t status_number(struct str status, struct str name)
{
    struct str line, head;
    while (str_cut(&status, '\n', &line)) {
        if (!str_cut(&line, ':', &head) || !str_eq(head, name))
            continue;
        size_t start = line.n;
        while (start > 0 && line.p[start - 1] >= '0' && line.p[start - 1] <= '9')
            start--;
        uint64_t value = 0;
        return str_to_u64(str_skip(line, start), &value) && value <= INT_MAX ? (pid_t)value : 0;
    }
    return 0;
}

/* Copies what fits, never a part of a character. `text` is clean. */
static void put(char *out, size_t room, struct str text)
{
    size_t n = text.n < room ? text.n : room - 1;
    while (n < text.n && n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80)
        n--;
    if (n)
        memcpy(out, text.p, n);
    out[n] = '\0';
}

static void put_clean(char *out, size_t room, struct str text)
{
    AUTO_BUF clean = { 0 };
    clean_shown(&clean, text, room);
    put(out, room, buf_str(&clean));
}

/* The arguments with blanks between them, empty ones as ''; *first is the length of the first one. */
static void read_arguments(const struct watch *w, pid_t pid, struct buf *out, size_t *first)
{
    char path[PATH_ROOM];
    path_in(w, pid, path, "cmdline");
    AUTO_BUF raw = { 0 };
    read_whole(path, WATCH_TEXT_MAX, &raw);
    if (raw.n && raw.p[raw.n - 1] == '\0')
        raw.n--;
    struct str rest = buf_str(&raw), one;
    *first = raw.n ? strnlen(raw.p, raw.n) : 0;
    while (raw.n && str_cut(&rest, '\0', &one)) {
        if (out->n)
            buf_add_byte(out, ' ');
        buf_add(out, one.n ? one : STR("''"));
    }
}

/* "sh (17) / " in front of what *tree holds. A name ends at its last "/", so none can forge a step. */
static void tree_prepend(struct buf *tree, struct str name, pid_t inside)
{
    AUTO_BUF longer = { 0 };
    char shown[64];
    ptrdiff_t slash = str_last_index(name, '/');
    put_clean(shown, sizeof shown, str_skip(name, (size_t)(slash + 1)));
    buf_addf(&longer, "%s (%d)%s", shown, (int)inside, tree->n ? " / " : "");
    buf_add(&longer, buf_str(tree));
    buf_empty(tree);
    buf_add(tree, buf_str(&longer));
}

static void describe(const struct watch *w, pid_t pid, struct watch_process *out)
{
    AUTO_BUF tree = { 0 };
    char path[PATH_ROOM], exe[PATH_MAX];
    pid_t at = pid;
    for (int depth = 0; depth < TREE_MAX && at > 0; depth++) {
        AUTO_BUF status = { 0 };
        AUTO_BUF arguments = { 0 };
        size_t first = 0;
        path_in(w, at, path, "status");
        read_whole(path, 16384, &status);
        read_arguments(w, at, &arguments, &first);
        pid_t inside = status_number(buf_str(&status), STR("NSpid"));
        if (at == pid) {
            out->pid = inside;
            out->pid_outside = pid;
            put_clean(out->argv0, sizeof out->argv0, (struct str){ arguments.p, first });
            put_clean(out->text, sizeof out->text, buf_str(&arguments));
        }
        tree_prepend(&tree, (struct str){ arguments.p, first }, inside);
        pid_t parent = status_number(buf_str(&status), STR("PPid"));
        at = at == w->init || parent == w->init ? 0 : parent; /* what stands above init is ours */
    }
    put(out->tree, sizeof out->tree, buf_str(&tree));
    path_in(w, pid, path, "exe");
    ssize_t n = readlink(path, exe, sizeof exe);
    put_clean(out->exe, sizeof out->exe, (struct str){ exe, n > 0 ? (size_t)n : 0 });
}

/* Counts one look; false when this second has had its share. */
static bool may_look(struct watch *w, int64_t now_ms)
{
    if (now_ms - w->window_ms >= 1000 || now_ms < w->window_ms) {
        w->window_ms = now_ms;
        w->looks = 0;
    }
    return w->looks++ < WATCH_LOOKS_PER_SECOND;
}

bool watch_port_owner(struct watch *w, uint16_t port, int64_t now_ms, struct watch_process *out)
{
    *out = (struct watch_process){ 0 };
    if (!may_look(w, now_ms))
        return false;
    uint64_t inode = 0;
    for (int i = 0; i < 2 && !inode; i++) {
        AUTO_BUF table = { 0 };
        char path[PATH_ROOM];
        path_in(w, w->init, path, "net/%s", i == 0 ? "tcp" : "tcp6");
        read_whole(path, TABLE_MAX, &table);
        inode = socket_inode(buf_str(&table), port);
    }
    if (!inode)
        return false;
    char socket[48];
    snprintf(socket, sizeof socket, "socket:[%llu]", (unsigned long long)inode);
    pid_t pid = find_holder(w, str_of(socket));
    if (pid <= 0)
        return false;
    describe(w, pid, out);
    return out->pid != 0;
}

bool watch_describe(struct watch *w, pid_t pid_outside, int64_t now_ms, struct watch_process *out)
{
    *out = (struct watch_process){ 0 };
    if (pid_outside <= 0 || !may_look(w, now_ms))
        return false;
    describe(w, pid_outside, out);
    return out->pid != 0;
}

bool watch_is_first(const struct watch *w, pid_t pid_outside)
{
    AUTO_BUF status = { 0 };
    char path[PATH_ROOM];
    if (pid_outside <= 0)
        return false;
    path_in(w, pid_outside, path, "status");
    read_whole(path, 16384, &status);
    return status_number(buf_str(&status), STR("PPid")) == w->init;
}
