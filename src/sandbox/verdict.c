#include "sandbox/verdict.h"

#include "base/fd.h"
#include "sandbox/disk_quota.h"
#include "sandbox/tracee.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int pathname_of(struct warden *w, int fd, struct pathname *out)
{
    char number[16];
    snprintf(number, sizeof number, "%d", fd);
    ssize_t n = readlinkat(w->fds, number, out->text, PATH_MAX);
    if (n < 0)
        return errno;
    if (n == PATH_MAX)
        return ENAMETOOLONG;
    out->n = (size_t)n;
    return 0;
}

bool pathname_former(struct str path, struct str *former)
{
    static const struct str gone = { " (deleted)", 10 };
    if (!str_ends(path, gone))
        return false;
    *former = (struct str){ path.p, path.n - gone.n };
    return true;
}

int pathname_of_place(struct warden *w, const struct place *p, struct pathname *out)
{
    int os = pathname_of(w, p->parent, out);
    if (os)
        return os;
    struct str name = place_name(p);
    if (out->n == 0 || out->text[0] != '/')
        return ENOTDIR;
    if (out->n > 1)
        out->text[out->n++] = '/';
    memcpy(out->text + out->n, name.p, name.n);
    out->n += name.n;
    return 0;
}

static bool exists(int dir, const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool is_repository(int dir)
{
    return exists(dir, "HEAD") && exists(dir, "objects") && exists(dir, "refs");
}

/* The parent is X/hooks or beneath it, and X is a repository. */
static bool is_in_repository_hooks(struct warden *w, struct str path)
{
    struct str rest = path, part;
    while (str_cut(&rest, '/', &part)) {
        if (!rest.p || !str_eq_nocase(part, STR("hooks")) || part.p - path.p < 2)
            continue;
        char text[PATH_MAX];
        snprintf(text, sizeof text, "%.*s", (int)(part.p - path.p - 1), path.p);
        AUTO_FD dir = open_without_links(w->root, text, O_DIRECTORY);
        /* What cannot be looked at is taken for one. */
        if (dir < 0 ? errno != ENOENT : is_repository(dir))
            return true;
    }
    return false;
}

static bool matters_in_repository(struct str name)
{
    static const char *const names[] = {
        "config", "config.lock", "hooks", "config.worktree", "config.worktree.lock",
        "HEAD",   "objects",     "refs"
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (str_eq_nocase(name, str_of(names[i])))
            return true;
    return false;
}

/* The parent by its real path, for an object that was found without walking. */
static int open_parent(struct warden *w, struct str path)
{
    char text[PATH_MAX];
    ptrdiff_t slash = str_last_index(path, '/');
    if (slash < 0 || (size_t)slash >= sizeof text)
        return -1;
    snprintf(text, sizeof text, "%.*s/", (int)slash, path.p);
    return openat(w->root, text, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* The questions about bare repositories cost system calls, so they are asked for the few names only
 * that have a meaning there. */
static void look_around(struct request *q, struct deed *d)
{
    struct str path = pathname_str(&d->path);
    struct str name = str_skip(path, (size_t)(str_last_index(path, '/') + 1));
    const struct file_rules *rules = q->w->options.rules;
    if (rules->disabled)
        return;
    d->facts.in_repository_hooks = is_in_repository_hooks(q->w, path);
    if (!matters_in_repository(name))
        return;
    AUTO_FD opened = d->place->parent < 0 ? open_parent(q->w, path) : -1;
    int dir = opened >= 0 ? opened : d->place->parent;
    bool head = exists(dir, "HEAD"), objects = exists(dir, "objects"), refs = exists(dir, "refs");
    d->facts.parent_is_repository = head && objects && refs;
    bool beside = exists(dir, "hooks") || (!rules->allow_git_config && exists(dir, "config"));
    bool completes = (!head && objects && refs && str_eq_nocase(name, STR("HEAD"))) ||
                     (head && !objects && refs && str_eq_nocase(name, STR("objects"))) ||
                     (head && objects && !refs && str_eq_nocase(name, STR("refs")));
    d->facts.parent_nearly_repository = beside && completes;
}

/* What the kernel would have said before it came to rights. */
static int natural_errno(const struct deed *d)
{
    struct stat st;
    if (d->place->parent < 0)
        return 0;
    bool there = fstatat(d->place->parent, d->place->name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    switch (d->operation) {
    case FILE_CREATE:
    case FILE_MKDIR:
    case FILE_LINK_TO:
        return there ? EEXIST : 0;
    case FILE_REMOVE:
        if (there && S_ISDIR(st.st_mode) != d->facts.is_directory)
            return d->facts.is_directory ? ENOTDIR : EISDIR;
        return there ? 0 : errno;
    case FILE_RENAME_FROM:
    case FILE_LINK_FROM:
        return there ? 0 : errno;
    case FILE_WRITE:
    case FILE_RENAME_TO:
        return 0;
    }
    return 0;
}

int deed_ask(struct request *q, struct deed *d)
{
    int os = d->path.n ? 0 : pathname_of_place(q->w, d->place, &d->path);
    if (os)
        return os;
    /* A rename asks for both names after both have been read. */
    if (!q->was_there && !tracee_is_there(q))
        return EINTR;
    q->was_there = true;
    look_around(q, d);
    const struct file_rules *rules = q->w->options.rules;
    struct str path = pathname_str(&d->path), former;
    d->verdict = file_rules_judge(rules, path, d->operation, &d->facts);
    /* What the host has just replaced is as closed as what stands there now (T36). */
    if (d->verdict.kind != FILE_DENIED && pathname_former(path, &former))
        d->verdict = file_rules_judge(rules, former, d->operation, &d->facts);
    return d->verdict.kind == FILE_DENIED ? EACCES : 0;
}

int deed_refuse(struct request *q, const struct deed *d, const char *rule)
{
    warden_report(q, pathname_str(&d->path), rule, EACCES, false);
    return EACCES;
}

int deed_settle(struct request *q, const struct deed *d, int os)
{
    if (!os || d->verdict.kind != FILE_DENIED)
        return os;
    int natural = natural_errno(d);
    return natural ? natural : deed_refuse(q, d, d->verdict.rule);
}

int deed_judge(struct request *q, struct deed *d)
{
    return deed_settle(q, d, deed_ask(q, d));
}

bool deed_still_stands(struct request *q, struct deed *d)
{
    struct pathname now;
    if (pathname_of_place(q->w, d->place, &now) != 0)
        return false;
    if (str_eq(pathname_str(&now), pathname_str(&d->path)))
        return true;
    enum file_verdict_kind was = d->verdict.kind;
    d->path = now;
    look_around(q, d);
    d->verdict = file_rules_judge(q->w->options.rules, pathname_str(&now), d->operation, &d->facts);
    return d->verdict.kind == was;
}

void deed_done(struct request *q, const struct deed *d)
{
    bool warn = d->verdict.warn_only;
    bool made =
        d->operation == FILE_CREATE || d->operation == FILE_MKDIR || d->operation == FILE_LINK_TO;
    if (made && warden_counts(q->w, pathname_str(&d->path)))
        disk_quota_made(q->w->quota, d->place->parent, d->place->name);
    if (warn || q->w->options.report_allowed)
        warden_report(q, pathname_str(&d->path), d->verdict.rule ? d->verdict.rule : "", 0, warn);
}
