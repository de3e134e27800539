#include "sandbox/walk.h"

#include "base/fd.h"
#include "sandbox/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

enum { LINKS_MAX = 40, PROC_ROOT_INODE = 1 };

/* What is left of a walk. */
struct walk {
    struct request *q;
    int at;   /* owned */
    int root; /* owned; opened when the first absolute link or ".." needs it */
    bool follow;
    unsigned links;
    char rest[2 * PATH_MAX];
};

void place_release(struct place *p)
{
    fd_drop(&p->parent);
    fd_drop(&p->object);
}

struct str place_name(const struct place *p)
{
    struct str name = str_of(p->name);
    if (name.n > 1 && name.p[name.n - 1] == '/')
        name.n--;
    return name;
}

int open_without_links(int dir, const char *path, int flags)
{
    struct open_how how = { .flags = (uint64_t)(O_PATH | O_CLOEXEC | flags),
                            .resolve = RESOLVE_NO_SYMLINKS };
    return (int)syscall(SYS_openat2, dir, path, &how, sizeof how);
}

static bool is_dots(const char *name)
{
    return name[0] == '.' && (name[1] == '\0' || (name[1] == '.' && name[2] == '\0'));
}

/* Cuts the last component off `path`, which becomes the parent ("" when there is none). */
static int cut_name(char *path, struct place *out)
{
    size_t n = strlen(path), end = n;
    while (end > 0 && path[end - 1] == '/')
        end--;
    size_t start = end;
    while (start > 0 && path[start - 1] != '/')
        start--;
    out->ends_in_slash = end < n;
    if (end - start > NAME_MAX)
        return ENAMETOOLONG;
    if (end == start) { /* nothing but slashes */
        memcpy(out->name, "/", 2);
        path[0] = '\0';
        return 0;
    }
    memcpy(out->name, path + start, end - start);
    out->name[end - start] = '\0';
    out->is_plain = !is_dots(out->name);
    path[start] = '\0';
    return 0;
}

static void mark_slash(struct place *p)
{
    size_t n = strlen(p->name);
    if (p->ends_in_slash && p->is_plain) {
        p->name[n] = '/';
        p->name[n + 1] = '\0';
    }
}

static int need_root(struct walk *k)
{
    return k->root >= 0 ? 0 : tracee_open_root(k->q, &k->root);
}

static bool is_same(int a, int b)
{
    struct stat x, y;
    return fstat(a, &x) == 0 && fstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

static int go_up(struct walk *k)
{
    int os = need_root(k);
    if (os || is_same(k->at, k->root))
        return os;
    int up = openat(k->at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (up < 0)
        return errno;
    fd_drop(&k->at);
    k->at = up;
    return 0;
}

static bool is_proc(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && fs.f_type == PROC_SUPER_MAGIC;
}

static bool is_proc_root(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 && st.st_ino == PROC_ROOT_INODE && is_proc(fd);
}

/* Puts `text` in front of what is left of the walk. */
static int prepend(struct walk *k, const char *text, size_t n)
{
    size_t left = strlen(k->rest);
    if (n + 1 + left + 1 > sizeof k->rest)
        return ENAMETOOLONG;
    memmove(k->rest + n + 1, k->rest, left + 1);
    memcpy(k->rest, text, n);
    k->rest[n] = '/';
    if (left == 0)
        k->rest[n] = '\0';
    if (text[0] == '/') {
        int os = need_root(k);
        if (os)
            return os;
        fd_drop(&k->at);
        k->at = fcntl(k->root, F_DUPFD_CLOEXEC, 0);
        return k->at < 0 ? errno : 0;
    }
    return 0;
}

/* /proc/PID/fd/N, cwd, root, exe ...: the kernel goes straight to the object. Ours to follow only
 * where the caller looks at itself. */
static int follow_magic(struct walk *k, const char *name, struct place *out)
{
    char number[16], text[PATH_MAX];
    snprintf(number, sizeof number, "%d", k->at);
    ssize_t n = readlinkat(k->q->w->fds, number, text, sizeof text);
    if (n < 0)
        return errno;
    struct str path = { text, (size_t)n };
    if (!tracee_may_use_proc(k->q, path))
        return EACCES;
    int object = openat(k->at, name, O_PATH | O_CLOEXEC);
    if (object < 0)
        return errno;
    uint64_t descriptor;
    out->through_self = true;
    out->own_descriptor =
        str_ends(path, STR("/fd")) && str_to_u64(str_of(name), &descriptor) ? (int)descriptor : -1;
    fd_drop(&k->at);
    k->at = object;
    return 0;
}

/* A link in the middle, or at the end where it is to be followed. */
static int follow_link(struct walk *k, int link, const char *name, bool is_last, struct place *out)
{
    char text[PATH_MAX];
    if (++k->links > LINKS_MAX)
        return ELOOP;
    if (is_proc(link) && !is_proc_root(k->at)) {
        int os = follow_magic(k, name, out);
        if (os || !is_last)
            return os;
        struct stat st;
        out->object = fd_take(&k->at);
        out->is_magic = true;
        return out->ends_in_slash && (fstat(out->object, &st) < 0 || !S_ISDIR(st.st_mode)) ? ENOTDIR
                                                                                           : 0;
    }
    ssize_t n = readlinkat(link, "", text, sizeof text);
    if (n <= 0)
        return n < 0 ? errno : ENOENT;
    return n == sizeof text ? ENAMETOOLONG : prepend(k, text, (size_t)n);
}

/* "self" in a proc file system is whoever asks; the caller asks through us. */
static void substitute_self(struct walk *k, char name[NAME_MAX + 2], struct place *out)
{
    bool self = strcmp(name, "self") == 0, thread = strcmp(name, "thread-self") == 0;
    if ((self || thread) && is_proc_root(k->at)) {
        out->through_self = true;
        if (self)
            snprintf(name, NAME_MAX + 2, "%d", tracee_tgid_number(k->q));
        else
            snprintf(name, NAME_MAX + 2, "%d/task/%d", tracee_tgid_number(k->q),
                     tracee_number(k->q));
    }
}

/* The walk is over: the place is `name` in the directory where we stand. */
static int arrive(struct walk *k, int object, struct place *out)
{
    out->parent = fd_take(&k->at);
    out->object = object;
    return 0;
}

/* Cuts the next component off k->rest into `name`. False when nothing is left. */
static bool next_component(struct walk *k, char name[NAME_MAX + 2], bool *is_last, bool *slash,
                           int *os)
{
    char *start = k->rest;
    while (*start == '/')
        start++;
    size_t n = strcspn(start, "/");
    char *behind = start + n;
    *slash = *behind == '/';
    while (*behind == '/')
        behind++;
    *is_last = *behind == '\0';
    *os = n > NAME_MAX ? ENAMETOOLONG : 0;
    if (n == 0 || *os)
        return false;
    memcpy(name, start, n);
    name[n] = '\0';
    memmove(k->rest, behind, strlen(behind) + 1);
    return true;
}

/* One component. Sets *done when the place is found. */
static int step(struct walk *k, struct place *out, bool *done)
{
    int os;
    bool is_last, slash;
    *done = true;
    if (!next_component(k, out->name, &is_last, &slash, &os)) {
        memcpy(out->name, ".", 2);
        return os ? os : arrive(k, -1, out);
    }
    out->ends_in_slash |= is_last && slash;
    out->is_plain = is_last && !is_dots(out->name);
    if (is_dots(out->name)) {
        os = out->name[1] == '.' ? go_up(k) : 0;
        memcpy(out->name, ".", 2);
        *done = is_last;
        return os || !is_last ? os : arrive(k, -1, out);
    }
    char name[NAME_MAX + 2];
    memcpy(name, out->name, sizeof name);
    substitute_self(k, name, out);
    AUTO_FD child = openat(k->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;
    if (child < 0)
        return errno == ENOENT && is_last ? arrive(k, -1, out) : errno;
    if (fstat(child, &st) < 0)
        return errno;
    if (S_ISLNK(st.st_mode) && (!is_last || k->follow || out->ends_in_slash)) {
        os = follow_link(k, child, out->name, is_last, out);
        *done = os || out->object >= 0;
        return os;
    }
    if (!S_ISDIR(st.st_mode) && (!is_last || out->ends_in_slash))
        return ENOTDIR;
    if (is_last)
        return arrive(k, fd_take(&child), out);
    fd_drop(&k->at);
    k->at = fd_take(&child);
    *done = false;
    return 0;
}

/* Component by component, from `start` (owned). */
static int walk_slowly(struct request *q, int start, const char *path, bool follow,
                       struct place *out)
{
    struct walk k = { .q = q, .at = start, .root = -1, .follow = follow };
    snprintf(k.rest, sizeof k.rest, "%s", path);
    *out = PLACE_NONE;
    int os = 0;
    for (bool done = false; !done && !os;)
        os = step(&k, out, &done);
    fd_drop(&k.at);
    fd_drop(&k.root);
    return os;
}

/* Above the caller's root there is nothing for it; for us there may be. */
static bool needs_care(const struct request *q, const char *path)
{
    return q->w->options.nested_user_namespaces && strstr(path, "..");
}

static const char *without_slashes(const char *path)
{
    while (*path == '/')
        path++;
    return path;
}

/* The parent, link by link: walked as an object of its own, so that the last name stays as it is. */
static int find_parent_slowly(struct request *q, int start, const char *parent, struct place *out)
{
    AUTO_PLACE way = PLACE_NONE;
    struct stat st;
    int os = walk_slowly(q, start, parent, true, &way);
    if (os)
        return os;
    out->through_self = way.through_self;
    if (way.object < 0 && way.is_plain)
        return ENOENT;
    out->parent = fd_take(way.object >= 0 ? &way.object : &way.parent);
    if (fstat(out->parent, &st) < 0)
        return errno;
    return S_ISDIR(st.st_mode) ? 0 : ENOTDIR;
}

int place_find_parent(struct request *q, int dirfd, const char *path, struct place *out)
{
    char text[PATH_MAX];
    *out = PLACE_NONE;
    if (!*path)
        return ENOENT;
    AUTO_FD start = -1;
    int os = tracee_open_start(q, dirfd, path[0] == '/', &start);
    if (os)
        return os;
    snprintf(text, sizeof text, "%s", path);
    os = cut_name(text, out);
    if (os)
        return os;
    const char *parent = without_slashes(text);
    errno = ELOOP;
    if (!*parent)
        out->parent = fd_take(&start);
    else if (!needs_care(q, parent))
        out->parent = open_without_links(start, parent, O_DIRECTORY);
    if (out->parent < 0)
        os = errno == ELOOP ? find_parent_slowly(q, fd_take(&start), parent, out) : errno;
    mark_slash(out);
    return os;
}

/* There is no link on the way, and something is missing: the last name, which the caller may want to
 * make, or more than that. */
static int find_absent(int *start, const char *path, struct place *out)
{
    char text[PATH_MAX];
    snprintf(text, sizeof text, "%s", path);
    int os = cut_name(text, out);
    if (os)
        return os;
    out->parent = *text ? open_without_links(*start, text, O_DIRECTORY) : fd_take(start);
    return out->parent < 0 ? errno : 0;
}

int place_find_object(struct request *q, int dirfd, const char *path, bool follow,
                      struct place *out)
{
    *out = PLACE_NONE;
    if (!*path)
        return ENOENT;
    AUTO_FD start = -1;
    int os = tracee_open_start(q, dirfd, path[0] == '/', &start);
    if (os)
        return os;
    const char *relative = without_slashes(path);
    if (!*relative)
        relative = ".";
    int object = -1;
    errno = ELOOP;
    if (!needs_care(q, relative))
        object = open_without_links(start, relative, follow ? 0 : O_NOFOLLOW);
    out->is_direct = object >= 0 || errno != ELOOP;
    if (object >= 0) {
        out->object = object;
        out->is_plain = true;
        out->ends_in_slash = path[strlen(path) - 1] == '/';
        return 0;
    }
    if (errno == ENOENT)
        return find_absent(&start, relative, out);
    if (errno != ELOOP)
        return errno;
    os = walk_slowly(q, fd_take(&start), relative, follow, out);
    if (os || out->object >= 0 || out->is_plain)
        return os;
    out->object = fd_take(&out->parent); /* ".": the directory itself */
    return 0;
}
