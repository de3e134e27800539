#include "sandbox/gitpointer.h"

#include "base/fd.h"
#include "base/mem.h"
#include "sandbox/disk_quota.h"
#include "sandbox/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CONTENT_MAX = PATH_MAX + 16, UNFINISHED_MAX = 64 };

static const char common_content[] = "../..\n";

struct gitpointer {
    struct source source; /* first; the reading end of the pipe, owned */
    struct gitpointer *next;
    struct request q; /* for the report */
    struct place at;  /* owned */
    struct pathname path;
    enum file_verdict_kind kind;
    mode_t mode, mask;
    size_t n;
    char content[CONTENT_MAX];
};

/* An absolute path as git writes it: no empty, "." or ".." component, no line break. */
static bool is_tidy(struct str path)
{
    struct str rest = str_skip(path, 1), part;
    if (path.n < 2 || path.p[0] != '/' || memchr(path.p, '\n', path.n) ||
        memchr(path.p, '\0', path.n))
        return false;
    while (str_cut(&rest, '/', &part))
        if (part.n == 0 || str_eq(part, STR(".")) || str_eq(part, STR("..")))
            return false;
    return true;
}

static struct str without_newline(struct str s)
{
    return str_ends(s, STR("\n")) ? (struct str){ s.p, s.n - 1 } : s;
}

static bool gitdir_is_legal(const struct file_rules *r, struct str content)
{
    struct str path = without_newline(content);
    return is_tidy(path) && str_ends(path, STR("/.git")) &&
           file_rules_place(r, path) != FILE_OUTSIDE;
}

/* REPOSITORY/.git/worktrees/NAME */
static bool is_administrative(struct str path)
{
    ptrdiff_t slash = str_last_index(path, '/');
    struct str parent = { path.p, slash < 0 ? 0 : (size_t)slash };
    return is_tidy(path) && str_ends(parent, STR("/.git/worktrees"));
}

static ssize_t read_small(int dir, const char *name, char content[CONTENT_MAX])
{
    struct stat st;
    AUTO_FD fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size >= CONTENT_MAX)
        return -1;
    return read(fd, content, CONTENT_MAX);
}

/* A worktree's .git names a directory in a repository of the host's, whose config the command cannot
 * write, and which names the worktree in turn. */
static bool gitfile_is_legal(struct warden *w, struct str content, struct str file)
{
    char text[PATH_MAX], back[CONTENT_MAX];
    if (!str_starts(content, STR("gitdir: ")))
        return false;
    struct str path = without_newline(str_skip(content, 8));
    if (!is_administrative(path) || path.n >= sizeof text ||
        file_rules_place(w->options.rules, path) != FILE_IN_WRITE_ROOT)
        return false;
    snprintf(text, sizeof text, "%.*s", STR_ARGS(path));
    AUTO_FD dir = open_without_links(w->root, text, O_DIRECTORY);
    ssize_t n = dir < 0 ? -1 : read_small(dir, "gitdir", back);
    return n > 0 && str_eq(without_newline((struct str){ back, (size_t)n }), file);
}

static bool is_legal(struct warden *w, enum file_verdict_kind kind, struct str content,
                     struct str file)
{
    switch (kind) {
    case FILE_ONLY_COMMONDIR:
        return str_eq(without_newline(content), without_newline(str_of(common_content)));
    case FILE_ONLY_GITDIR:
        return gitdir_is_legal(w->options.rules, content);
    case FILE_ONLY_GITFILE:
        return gitfile_is_legal(w, content, file);
    case FILE_ALLOWED:
    case FILE_DENIED:
        return false;
    }
    return false;
}

/* The file is made, and small; a full table of the quota is no reason to take it back. */
static int count(struct warden *w, const struct place *at, struct str path, int fd)
{
    if (!warden_counts(w, path))
        return 0;
    disk_quota_made(w->quota, at->parent, at->name);
    int os = disk_quota_open(w->quota, fd, 0);
    return os == ENFILE ? 0 : os;
}

/* Writes the file in one go and takes it back when it has come to stand elsewhere. 0 or errno. */
static int make(struct warden *w, const struct place *at, struct str path, mode_t mode, mode_t mask,
                struct str content)
{
    struct pathname now;
    warden_set_umask(w, mask);
    AUTO_FD fd = openat(at->parent, at->name,
                        O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY, mode);
    if (fd < 0)
        return errno;
    if (write(fd, content.p, content.n) == (ssize_t)content.n &&
        pathname_of_place(w, at, &now) == 0 && str_eq(pathname_str(&now), path))
        return count(w, at, path, fd);
    unlinkat(at->parent, at->name, 0);
    return EIO;
}

static void drop(struct warden *w, struct gitpointer *g)
{
    struct gitpointer **at = &w->gitpointers;
    while (*at != g)
        at = &(*at)->next;
    *at = g->next;
    w->gitpointer_count--;
    warden_unwatch(w, &g->source);
    fd_drop(&g->source.fd);
    place_release(&g->at);
    free(g);
}

static void finish(struct warden *w, struct gitpointer *g)
{
    struct str content = { g->content, g->n }, file = pathname_str(&g->path);
    if (!is_legal(w, g->kind, content, file) ||
        make(w, &g->at, file, g->mode, g->mask, content) != 0)
        warden_report(&g->q, file, "mandatory: git would not write this here", EACCES, false);
    drop(w, g);
}

/* Reads what there is. True when the file was finished, or was too long for any path. */
static bool advance(struct warden *w, struct gitpointer *g)
{
    for (;;) {
        ssize_t n = read(g->source.fd, g->content + g->n, CONTENT_MAX - g->n);
        if (n < 0)
            return false;
        if (n == 0 || g->n + (size_t)n == CONTENT_MAX)
            return finish(w, g), true;
        g->n += (size_t)n;
    }
}

static void on_ready(struct warden *w, struct source *s, uint32_t events)
{
    advance(w, (struct gitpointer *)s);
}

void gitpointer_settle(struct warden *w)
{
    /* Oldest last in the list; a worktree's gitdir must be there when its .git is judged. */
    for (bool again = true; again;) {
        struct gitpointer *oldest = NULL;
        again = false;
        for (struct gitpointer *g = w->gitpointers; g; g = g->next)
            oldest = g;
        if (oldest)
            again = advance(w, oldest);
    }
}

void gitpointer_free(struct warden *w)
{
    while (w->gitpointers)
        drop(w, w->gitpointers);
}

/* There is one legal content, so the file is made at once; what the caller writes goes nowhere. */
static int open_commondir(struct request *q, struct place *at, const struct deed *d, int flags,
                          mode_t mode)
{
    AUTO_FD nowhere = memfd_create("commondir", MFD_CLOEXEC);
    if (nowhere < 0)
        return errno;
    int os = make(q->w, at, pathname_str(&d->path), mode, tracee_umask(q), str_of(common_content));
    if (!os)
        os = notify_give(&q->w->notify, &q->call, nowhere, flags & O_CLOEXEC);
    return os ? os : REQUEST_ANSWERED;
}

int gitpointer_open(struct request *q, struct place *at, const struct deed *d, int flags,
                    mode_t mode)
{
    struct warden *w = q->w;
    int ends[2];
    if ((flags & O_ACCMODE) != O_WRONLY || w->gitpointer_count >= UNFINISHED_MAX)
        return deed_refuse(q, d, d->verdict.rule);
    if (d->verdict.kind == FILE_ONLY_COMMONDIR)
        return open_commondir(q, at, d, flags, mode);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return errno;
    AUTO_FD reading = ends[0], writing = ends[1];
    if (fcntl(reading, F_SETFL, O_NONBLOCK) < 0)
        return errno;
    mode_t mask = tracee_umask(q);
    int os = notify_give(&w->notify, &q->call, writing, flags & O_CLOEXEC);
    if (os)
        return os;
    struct gitpointer *g = mem_get(sizeof *g);
    *g = (struct gitpointer){ .source = { fd_take(&reading), on_ready },
                              .next = w->gitpointers,
                              .q = *q,
                              .at = *at,
                              .path = d->path,
                              .kind = d->verdict.kind,
                              .mode = mode,
                              .mask = mask };
    *at = PLACE_NONE;
    w->gitpointers = g;
    w->gitpointer_count++;
    if (warden_watch(w, &g->source, EPOLLIN | EPOLLHUP) != 0)
        drop(w, g);
    return REQUEST_ANSWERED;
}

bool gitpointer_may_remove(struct request *q, const struct deed *d)
{
    char content[CONTENT_MAX];
    ssize_t n = read_small(d->place->parent, d->place->name, content);
    return n >= 0 && is_legal(q->w, d->verdict.kind, (struct str){ content, (size_t)n },
                              pathname_str(&d->path));
}
