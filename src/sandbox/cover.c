#include "sandbox/cover.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "sandbox/mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* Names that appear in a watched directory, by any way. */
enum {
    WATCHED = IN_CREATE | IN_MOVED_TO | IN_ATTRIB,
    APPEARING = IN_CREATE | IN_MOVED_TO | IN_ONLYDIR | IN_DONT_FOLLOW | IN_MASK_ADD,
};

enum { DEPTH_MAX = 64 };

static struct str directory_of(const char *path)
{
    struct str s = str_of(path);
    ptrdiff_t slash = str_last_index(s, '/');
    s.n = slash > 0 ? (size_t)slash : 1;
    return s;
}

/* Our cover is a mount of its own; what the host has put there is on the directory's. The device would not
 * tell: files of an overlay, or a subvolume, have another one than the directory. A link holds nothing itself. */
static bool is_open(const char *path)
{
    const unsigned wanted = STATX_TYPE | STATX_MNT_ID;
    struct statx now, around;
    AUTO_FREE char *directory = str_dup(directory_of(path));
    return statx(AT_FDCWD, path, AT_SYMLINK_NOFOLLOW, wanted, &now) == 0 &&
           !S_ISLNK(now.stx_mode) && statx(AT_FDCWD, directory, 0, wanted, &around) == 0 &&
           now.stx_mnt_id == around.stx_mnt_id;
}

static void cover_path(const struct cover *c, const char *path)
{
    struct err e;
    if (!is_open(path))
        return;
    if (mounts_cover(c->stash, path, &e) < 0) {
        log_error("%s", e.text);
        _exit(125);
    }
    if (c->covered)
        c->covered(c->ctx, path);
}

/* A name that did not exist when the plan was made, and that the plan would have hidden. */
static bool is_meant(const struct plan *p, const char *path)
{
    const struct file_facts none = { 0 };
    bool named = false;
    for (size_t i = 0; i < p->later_hidden_count && !named; i++)
        named = strcmp(p->later_hidden[i], path) == 0;
    for (size_t i = 0; i < p->later_read.count && !named; i++)
        named = path_pattern_matches(p->later_read.items[i].pattern, str_of(path));
    /* An allowRead of just this name opens it, whether or not it existed at the start. */
    for (size_t i = 0; i < p->allow_read.count; i++)
        named = named && strcmp(p->allow_read.items[i].path, path) != 0;
    return named && file_rules_judge_read(&p->rules, str_of(path), &none).kind == FILE_DENIED;
}

/* May a name that is meant appear in the directory or further down? */
static bool leads_on(const struct plan *p, struct str directory)
{
    size_t depth = 0;
    for (size_t i = 0; i + 1 < directory.n; i++)
        depth += directory.p[i] == '/';
    for (size_t i = 0; i < p->later_hidden_count; i++)
        if (path_is_beneath(str_of(p->later_hidden[i]), directory))
            return true;
    for (size_t i = 0; i < p->later_read.count; i++) {
        const struct later_pattern *at = &p->later_read.items[i];
        if (path_is_beneath(str_of(at->base), directory) ||
            (path_is_beneath(directory, str_of(at->base)) && depth < at->depth))
            return true;
    }
    return false;
}

static bool is_watched(const struct cover *c, const char *path)
{
    for (size_t i = 0; i < c->directory_count; i++)
        if (strcmp(c->directories[i].path, path) == 0)
            return true;
    return false;
}

static void remember(struct cover *c, int watch, const char *path)
{
    size_t i = 0;
    while (i < c->directory_count && c->directories[i].watch != watch)
        i++;
    if (i == c->directory_count) {
        c->directories = mem_grow(c->directories, (i + 1) * sizeof *c->directories);
        c->directories[c->directory_count++] = (struct cover_directory){ watch, NULL };
    }
    free(c->directories[i].path); /* it may have been moved */
    c->directories[i].path = str_dup(str_of(path));
}

static void forget(struct cover *c, int watch)
{
    size_t i = 0;
    while (i < c->directory_count && c->directories[i].watch != watch)
        i++;
    if (i == c->directory_count)
        return;
    free(c->directories[i].path);
    c->directories[i] = c->directories[--c->directory_count];
}

static void watch_tree(struct cover *c, const char *path, int depth);

static void look_at(struct cover *c, const char *directory, const char *name, bool may_be_directory,
                    int depth)
{
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/%s", strcmp(directory, "/") == 0 ? "" : directory, name);
    if (is_meant(c->plan, buf_text(&path)))
        cover_path(c, buf_text(&path));
    else if (may_be_directory && leads_on(c->plan, str_of(buf_text(&path))))
        watch_tree(c, buf_text(&path), depth + 1);
}

/* Watches first and looks then, so that nothing is missed between the two. */
static void watch_tree(struct cover *c, const char *path, int depth)
{
    if (stalled_is_dead(&c->plan->stalled, str_of(path)))
        return;
    bool full = c->directory_count >= COVER_DIRECTORIES_MAX && !is_watched(c, path);
    if (depth >= DEPTH_MAX || full) {
        c->incomplete = true;
        return;
    }
    int watch = inotify_add_watch(c->notify, path, APPEARING);
    if (watch < 0) {
        c->incomplete |= errno != ENOENT && errno != ENOTDIR && errno != ELOOP;
        return;
    }
    remember(c, watch, path);
    DIR *d = opendir(path);
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            look_at(c, path, entry->d_name, entry->d_type == DT_DIR || entry->d_type == DT_UNKNOWN,
                    depth);
    closedir(d);
}

static bool is_in_write_root(const struct plan *p, const char *path)
{
    for (size_t i = 0; i < p->rules.write_root_count; i++)
        if (path_is_beneath(str_of(path), str_of(p->rules.write_roots[i].path)))
            return true;
    return false;
}

/* Watches from `path` on, or from the nearest directory above it that exists in a write root. */
static int watch_from(struct cover *c, struct str path, struct err *e)
{
    AUTO_FREE char *at = str_dup(path);
    struct stat st;
    while (is_in_write_root(c->plan, at) && (lstat(at, &st) < 0 || !S_ISDIR(st.st_mode))) {
        char *above = str_dup(directory_of(at));
        free(at);
        at = above;
    }
    if (!is_in_write_root(c->plan, at))
        return 0;
    if (is_watched(c, at))
        return 0;
    if (c->notify < 0)
        c->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (c->notify < 0)
        return err_set(e, E_SANDBOX, errno, "layer mount: watch '%s'", at);
    watch_tree(c, at, 0);
    return 0;
}

static int watch_later(struct cover *c, struct err *e)
{
    const struct plan *p = c->plan;
    for (size_t i = 0; i < p->later_hidden_count; i++)
        if (watch_from(c, directory_of(p->later_hidden[i]), e) < 0)
            return -1;
    for (size_t i = 0; i < p->later_read.count; i++) {
        struct str base = str_of(p->later_read.items[i].base);
        if (watch_from(c, base, e) < 0)
            return -1;
        for (size_t k = 0; k < p->rules.write_root_count; k++) {
            struct str root = str_of(p->rules.write_roots[k].path);
            if (path_is_beneath(root, base) && leads_on(p, root) && watch_from(c, root, e) < 0)
                return -1;
        }
    }
    if (c->incomplete && !p->settings->strict_hide)
        log_warn(
            "filesystem.denyRead: not all directories can be watched (at most %d are): what the "
            "host makes there later is hidden only with x.filesystem.strictHide",
            COVER_DIRECTORIES_MAX);
    return 0;
}

static int watch_places(struct cover *c, struct err *e)
{
    const struct plan *p = c->plan;
    for (size_t i = 0; i < p->hidden_count; i++) {
        const struct plan_hidden *h = &p->hidden[i];
        if (!h->parent_writable)
            continue;
        if (c->notify < 0)
            c->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        AUTO_FREE char *directory = str_dup(directory_of(h->path));
        int watch = c->notify < 0 ? -1 : inotify_add_watch(c->notify, directory, WATCHED);
        if (watch < 0)
            return err_set(e, E_SANDBOX, errno, "layer mount: watch '%s'", directory);
        c->places = mem_grow(c->places, (c->count + 1) * sizeof *c->places);
        c->places[c->count++] = (struct cover_place){ watch, h->path };
    }
    return 0;
}

int cover_init(struct cover *c, const struct plan *p, int stash, struct err *e)
{
    *c = (struct cover){ .plan = p, .notify = -1, .stash = stash };
    if (watch_places(c, e) < 0 || watch_later(c, e) < 0)
        return -1;
    if (c->notify < 0)
        fd_drop(&c->stash);
    return 0;
}

void cover_release(struct cover *c)
{
    fd_drop(&c->notify);
    fd_drop(&c->stash);
    free(c->places);
    c->places = NULL;
    c->count = 0;
    for (size_t i = 0; i < c->directory_count; i++)
        free(c->directories[i].path);
    free(c->directories);
    c->directories = NULL;
    c->directory_count = 0;
}

bool cover_is_needed(const struct cover *c)
{
    return c->notify >= 0;
}

int cover_fd(const struct cover *c)
{
    return c->notify;
}

/* Events were lost: everything is looked at. */
static void look_everywhere(struct cover *c)
{
    for (size_t i = 0; i < c->count; i++)
        cover_path(c, c->places[i].path);
    for (size_t i = 0; i < c->directory_count; i++) {
        AUTO_FREE char *path = str_dup(str_of(c->directories[i].path));
        watch_tree(c, path, 0);
    }
}

static void handle(struct cover *c, const struct inotify_event *event, const char *name)
{
    if (event->mask & IN_Q_OVERFLOW)
        look_everywhere(c);
    if (event->mask & IN_IGNORED) {
        forget(c, event->wd);
        return; /* it names nothing */
    }
    for (size_t i = 0; i < c->count; i++) {
        struct str whole = str_of(c->places[i].path);
        struct str last = str_skip(whole, (size_t)str_last_index(whole, '/') + 1);
        if (event->wd == c->places[i].watch && str_eq(last, str_of(name)))
            cover_path(c, c->places[i].path);
    }
    for (size_t i = 0; i < c->directory_count && name[0]; i++) {
        if (c->directories[i].watch != event->wd)
            continue;
        AUTO_FREE char *directory = str_dup(str_of(c->directories[i].path));
        look_at(c, directory, name, event->mask & IN_ISDIR, 0);
        break;
    }
}

void cover_serve(struct cover *c, void (*covered)(void *ctx, const char *path), void *ctx)
{
    c->covered = covered;
    c->ctx = ctx;
    for (ssize_t n; (n = read(c->notify, c->waiting, sizeof c->waiting)) > 0;)
        for (size_t at = 0; at < (size_t)n;) {
            struct inotify_event event;
            memcpy(&event, c->waiting + at, sizeof event);
            const char *name = event.len ? c->waiting + at + sizeof event : "";
            at += sizeof event + event.len;
            handle(c, &event, name);
        }
}
