#include "sandbox/host_sockets.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SOCKETS_MAX = 128, TABLE_MAX = 4 << 20, PATH_COLUMN = 7 };

/* The kernel's table of this network namespace. An error reads as an empty one: /proc may be masked. */
static void read_table(struct buf *out)
{
    char part[16384];
    ssize_t n;
    AUTO_FD fd = open("/proc/net/unix", O_RDONLY | O_CLOEXEC);
    while (fd >= 0 && out->n < TABLE_MAX && (n = read(fd, part, sizeof part)) > 0)
        buf_add(out, (struct str){ part, (size_t)n });
}

/* "ADDRESS: REFERENCES PROTOCOL FLAGS TYPE STATE INODE PATH". The path of a line whose socket can be
 * reached by it: one that listens or takes datagrams; else an empty one. */
static struct str path_of(struct str line)
{
    const struct str listens = STR("00010000"), datagram = STR("0002");
    struct str word, flags = { 0 }, type = { 0 };
    for (int column = 0; column < PATH_COLUMN; column++) {
        do
            if (!str_cut(&line, ' ', &word))
                return (struct str){ 0 };
        while (word.n == 0);
        if (column == 3)
            flags = word;
        if (column == 4)
            type = word;
    }
    bool found = line.n > 0 && line.p[0] == '/' && line.n < PATH_MAX;
    return found && (str_eq(flags, listens) || str_eq(type, datagram)) ? line : (struct str){ 0 };
}

static bool is_listed(const struct file_rule_path *list, size_t count, const char *path)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].path, path) == 0)
            return true;
    return false;
}

static bool is_covered(const struct plan *p, const char *path)
{
    for (size_t i = 0; i < p->socket_count; i++)
        if (strcmp(p->sockets[i], path) == 0)
            return true;
    return false;
}

static bool must_be_covered(const struct plan *p, const char *path)
{
    struct stat st;
    return !is_listed(p->unix_connect, p->unix_connect_count, path) &&
           !is_listed(p->unix_bind, p->unix_bind_count, path) && !is_covered(p, path) &&
           file_rules_place(&p->rules, str_of(path)) == FILE_OUTSIDE && lstat(path, &st) == 0 &&
           S_ISSOCK(st.st_mode);
}

int host_sockets_find(struct plan *p, struct err *e)
{
    const struct landlock_wants rights = { .files = LL_RESOLVE_UNIX };
    if (p->settings->filesystem_disabled || p->settings->all_unix_sockets ||
        landlock_granted(landlock_abi(), rights).files)
        return 0;
    AUTO_BUF table = { 0 };
    read_table(&table);
    struct str rest = buf_str(&table), line;
    while (str_cut(&rest, '\n', &line)) {
        char real[PATH_MAX];
        struct stat st;
        struct str bound = path_of(line);
        if (bound.n == 0)
            continue;
        AUTO_FREE char *path = str_dup(bound);
        if (p->stalled.count && stalled_stat(&p->stalled, path, &st) < 0)
            continue;
        if (access(path, W_OK) < 0 || !realpath(path, real) || !must_be_covered(p, real))
            continue;
        if (p->socket_count == SOCKETS_MAX) {
            log_debug("more than %d sockets of the host; the warden alone judges the rest",
                      SOCKETS_MAX);
            break;
        }
        if (!p->sockets)
            p->sockets = arena_get(&p->arena, SOCKETS_MAX * sizeof *p->sockets);
        const char *kept = p->sockets ? arena_dup(&p->arena, str_of(real)) : NULL;
        if (!kept)
            return err_set(e, E_BUSY, 0, "too many paths");
        p->sockets[p->socket_count++] = kept;
    }
    return 0;
}
