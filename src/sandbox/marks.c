#include "sandbox/marks.h"

#include "base/buf.h"
#include "base/log.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>

enum mark_bits {
    MARK_WRITE = 1 << 0,
    MARK_DENY_WRITE = 1 << 1,
    MARK_HIDE = 1 << 2,
    MARK_REOPEN = 1 << 3,
    MARK_PRIVATE = 1 << 4,
    MARK_NO_EXEC = 1 << 6,
    MARK_NO_LANDLOCK = 1 << 5, /* hidden for tidiness, not for secrecy: not worth sibling rules */
};

struct mark {
    struct place place;
    unsigned bits;
    uint64_t size;
};

struct marks {
    struct mark *items;
    size_t count, room;
};

static void marks_drop(struct marks *m)
{
    free(m->items);
}

static struct mark *marks_add(struct marks *m, const struct place *place, unsigned bits)
{
    if (m->count == m->room) {
        m->room = m->room ? m->room * 2 : 64;
        m->items = mem_grow(m->items, m->room * sizeof *m->items);
    }
    m->items[m->count] = (struct mark){ .place = *place, .bits = bits };
    return &m->items[m->count++];
}

/* Byte order in which '/' comes first, so that everything beneath a directory follows it at once. */
static int path_order(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    unsigned left = *a == '/' ? 1 : (unsigned char)*a * 2u;
    unsigned right = *b == '/' ? 1 : (unsigned char)*b * 2u;
    return left < right ? -1 : left > right;
}

static int mark_order(const void *a, const void *b)
{
    const struct mark *left = a, *right = b;
    int order = path_order(left->place.path, right->place.path);
    return order ? order : (left->bits > right->bits) - (left->bits < right->bits);
}

static bool mandatory_is_off(const struct settings *s, const char *name)
{
    for (size_t i = 0; i < s->mandatory_off.count; i++)
        if (strcmp(s->mandatory_off.items[i], name) == 0)
            return true;
    return false;
}

/* Existing dangerous names directly beneath a write root or the working directory get a read-only
 * mount as well; the warden denies them by name at any depth, so nothing is searched (T34). */
static const char *const mandatory_names[] = {
    ".gitconfig",
    ".gitmodules",
    ".bashrc",
    ".bash_profile",
    ".zshrc",
    ".zprofile",
    ".profile",
    ".ripgreprc",
    ".mcp.json",
    ".vscode",
    ".idea",
    ".claude/commands",
    ".claude/agents",
    ".git/hooks",
    ".git/config",
    ".git/commondir",
    ".git/config.worktree",
};

/* Is there nothing in which `name` could stand? Remembers the last answer: names are sorted by it. */
struct holder {
    const char *directory;
    struct str name;
    bool missing;
};

static bool holder_is_missing(struct holder *h, struct plan *p, const char *name)
{
    ptrdiff_t slash = str_index(str_of(name), '/');
    struct str wanted = { name, slash > 0 ? (size_t)slash : 0 };
    if (!wanted.n)
        return false;
    if (!str_eq(h->name, wanted)) {
        AUTO_BUF path = { 0 };
        struct stat st;
        buf_addf(&path, "%s/%.*s", h->directory, STR_ARGS(wanted));
        h->name = wanted;
        h->missing = stalled_lstat(&p->stalled, buf_text(&path), &st) < 0 && errno == ENOENT;
    }
    return h->missing;
}

static void mark_mandatory(struct marks *m, struct plan *p, const char *directory)
{
    AUTO_BUF path = { 0 };
    struct holder holder = { .directory = directory };
    for (size_t i = 0; i < sizeof mandatory_names / sizeof *mandatory_names; i++) {
        const char *name = mandatory_names[i];
        struct stat st;
        if (p->settings->allow_git_config && strcmp(name, ".git/config") == 0)
            continue;
        if (holder_is_missing(&holder, p, name))
            continue;
        buf_empty(&path);
        buf_addf(&path, "%s/%s", directory, name);
        if (stalled_lstat(&p->stalled, buf_text(&path), &st) < 0)
            continue;
        if (S_ISLNK(st.st_mode)) { /* the link and what it leads to (T38) */
            const struct entry_context c = plan_entries(p, NULL);
            struct err e;
            if (places_add(&p->deny_write, &c, buf_text(&path), "mandatory", ENTRY_DENY_WRITE, &e) <
                0)
                log_debug("mandatory '%s': %s", buf_text(&path), e.text); /* denied by name */
            continue;
        }
        struct place at = { .path = arena_dup(&p->arena, buf_str(&path)),
                            .rule = "mandatory",
                            .device = st.st_dev,
                            .inode = st.st_ino,
                            .exists = true,
                            .is_directory = S_ISDIR(st.st_mode) };
        if (at.path)
            marks_add(m, &at, MARK_DENY_WRITE);
    }
}

/* `denyRead: ["/"]` hides each top-level directory except these (contract 3.4.3, 6). */
static void mark_top_level(struct marks *m, struct plan *p, const char *rule)
{
    DIR *d = opendir("/");
    if (!d)
        return;
    for (struct dirent *entry; (entry = readdir(d));) {
        AUTO_BUF path = { 0 };
        struct stat st;
        buf_addf(&path, "/%s", entry->d_name);
        struct str name = str_of(entry->d_name);
        if (name.p[0] == '.' || str_eq(name, STR("proc")) || str_eq(name, STR("dev")) ||
            str_eq(name, STR("sys")) || stalled_lstat(&p->stalled, buf_text(&path), &st) < 0 ||
            !S_ISDIR(st.st_mode))
            continue;
        struct place at = { .path = arena_dup(&p->arena, buf_str(&path)),
                            .rule = rule,
                            .device = st.st_dev,
                            .inode = st.st_ino,
                            .exists = true,
                            .is_directory = true };
        if (at.path)
            marks_add(m, &at, MARK_HIDE);
    }
    closedir(d);
}

static bool allows_root(const struct plan *p)
{
    for (size_t i = 0; i < p->allow_read.count; i++)
        if (strcmp(p->allow_read.items[i].path, "/") == 0)
            return true;
    return false;
}

/* The deny at or above `path` that takes an allowed write path back, or NULL. */
static void mark_lists(struct marks *m, struct plan *p, const struct plan_request *r)
{
    bool cwd_is_done = false;
    for (size_t i = 0; i < p->allow_write.count; i++) {
        const struct place *at = &p->allow_write.items[i];
        const struct place *deny = places_above(&p->deny_write, at->path);
        if (!at->exists)
            plan_warn(r, at->rule, at->path, "does not exist; nothing was opened there");
        else if (deny)
            plan_warn(r, at->rule, at->path, "is denied too, at or above it, and stays read-only");
        marks_add(m, at, deny ? MARK_REOPEN : MARK_WRITE);
        if (!at->exists || !at->is_directory || deny)
            continue;
        mark_mandatory(m, p, at->path);
        cwd_is_done |= strcmp(at->path, p->cwd) == 0;
    }
    if (!cwd_is_done)
        mark_mandatory(m, p, p->cwd);
    for (size_t i = 0; i < p->deny_write.count; i++)
        marks_add(m, &p->deny_write.items[i], MARK_DENY_WRITE);
    for (size_t i = 0; i < p->deny_read.count; i++) {
        if (strcmp(p->deny_read.items[i].path, "/") != 0)
            marks_add(m, &p->deny_read.items[i], MARK_HIDE);
        else if (!allows_root(p)) /* contract 3.4.3, 6: with allowRead "/" it denies nothing */
            mark_top_level(m, p, p->deny_read.items[i].rule);
    }
    for (size_t i = 0; i < p->allow_read.count; i++)
        marks_add(m, &p->allow_read.items[i], MARK_REOPEN);
}

static int mark_no_exec(struct marks *m, struct plan *p, const struct plan_request *r,
                        struct err *e)
{
    const struct entry_context c = plan_entries(p, r);
    struct places found = { 0 };
    int result = entries_resolve(&c, &p->settings->no_exec, ENTRY_DENY_READ, &found, NULL, e);
    for (size_t i = 0; result == 0 && i < found.count; i++)
        marks_add(m, &found.items[i], MARK_NO_EXEC);
    places_release(&found);
    return result;
}

/* Only these may be executed (Landlock); absent ones are said by entries_resolve. */
static int resolve_exec_only(struct plan *p, const struct plan_request *r, struct err *e)
{
    const struct entry_context c = plan_entries(p, r);
    if (p->settings->exec_only.count == 0)
        return 0;
    struct places found = { 0 };
    int result = entries_resolve(&c, &p->settings->exec_only, ENTRY_ALLOW_READ, &found, NULL, e);
    p->exec_only = arena_get(&p->arena, (found.count + 1) * sizeof *p->exec_only);
    if (!p->exec_only)
        result = err_set(e, E_BUSY, 0, "too many paths");
    for (size_t i = 0; p->exec_only && i < found.count; i++)
        p->exec_only[i] = found.items[i].path;
    places_release(&found);
    return result;
}

/* Our own program is opened again where a hidden directory holds it: ssh's ProxyCommand needs it. */
static int mark_helper(struct marks *m, struct plan *p, const struct plan_request *r, struct err *e)
{
    const struct entry_context c = plan_entries(p, NULL);
    struct places found = { 0 };
    if (!r->helper)
        return 0;
    if (places_add(&found, &c, r->helper, "built-in: postern itself", ENTRY_DENY_READ, e) < 0)
        return -1;
    for (size_t i = 0; i < found.count; i++)
        marks_add(m, &found.items[i], MARK_REOPEN);
    places_release(&found);
    return 0;
}

static int mark_builtin(struct marks *m, struct plan *p, struct err *e)
{
    const struct entry_context c = plan_entries(p, NULL);
    if (p->deny_read.count) {
        struct places found = { 0 };
        /* ssh refuses files with foreign owners, which is what they look like inside. */
        if (places_add(&found, &c, "/etc/ssh/ssh_config.d", "built-in", ENTRY_DENY_READ, e) < 0)
            return -1;
        if (found.items[0].exists)
            marks_add(m, &found.items[0], MARK_HIDE | MARK_NO_LANDLOCK);
        places_release(&found);
    }
    if (p->tmpdir && p->tmpdir[0] && !p->settings->tmpdir_persist) {
        struct stat st = { 0 };
        bool exists = stalled_lstat(&p->stalled, p->tmpdir, &st) == 0;
        struct place at = { .path = p->tmpdir,
                            .rule = "built-in TMPDIR",
                            .exists = true, /* made inside when the host has none */
                            .is_directory = true,
                            .device = exists ? st.st_dev : 0,
                            .inode = exists ? st.st_ino : 0 };
        bool kept = false; /* the caller's own, under an allowed write path */
        for (size_t i = 0; i < p->allow_write.count; i++)
            kept |= path_is_beneath(str_of(p->tmpdir), str_of(p->allow_write.items[i].path));
        if (!kept)
            marks_add(m, &at, MARK_PRIVATE)->size = p->settings->limits.tmp_size;
    }
    return 0;
}

/* What holds at a place of the tree while the marks are walked. */
struct state {
    const char *path;
    bool hidden, writable, no_exec;
};

static void emit(struct plan *p, enum mount_kind kind, const struct mark *mark, bool writable,
                 bool no_exec)
{
    if (p->mount_count == p->mount_room) {
        p->mount_room = p->mount_room ? p->mount_room * 2 : 32;
        p->mounts = mem_grow(p->mounts, p->mount_room * sizeof *p->mounts);
    }
    p->mounts[p->mount_count++] = (struct plan_mount){
        .kind = kind,
        .path = mark->place.path,
        .rule = mark->place.rule,
        .device = mark->place.device,
        .inode = mark->place.inode,
        .is_directory = mark->place.is_directory,
        .writable = writable,
        .no_exec = no_exec,
        .size = mark->size,
    };
}

/* Folds equal paths into one mark; the first rule that decides is kept. */
static void marks_fold(struct marks *m)
{
    if (m->count)
        qsort(m->items, m->count, sizeof *m->items, mark_order);
    size_t kept = 0;
    for (size_t i = 0; i < m->count; i++) {
        if (kept && strcmp(m->items[kept - 1].place.path, m->items[i].place.path) == 0) {
            struct mark *same = &m->items[kept - 1];
            same->bits |= m->items[i].bits;
            same->place.exists |= m->items[i].place.exists;
            if (m->items[i].size)
                same->size = m->items[i].size;
        } else {
            m->items[kept++] = m->items[i];
        }
    }
    m->count = kept;
}

static struct state step(const struct mark *mark, struct state was)
{
    struct state now = { mark->place.path, was.hidden, was.writable, was.no_exec };
    if (mark->bits & MARK_NO_EXEC)
        now.no_exec = true;
    if (mark->bits & MARK_HIDE)
        now.hidden = true;
    if (mark->bits & (MARK_REOPEN | MARK_WRITE))
        now.hidden = false;
    if (mark->bits & MARK_WRITE)
        now.writable = true;
    else if (was.hidden && !now.hidden)
        now.writable = false;
    if (mark->bits & MARK_DENY_WRITE)
        now.writable = false;
    return now;
}

static void plan_mount_for(struct plan *p, const struct mark *mark, struct state was,
                           struct state *now)
{
    if (mark->bits & MARK_PRIVATE) {
        emit(p, MOUNT_PRIVATE, mark, true, now->no_exec);
        now->hidden = false;
        now->writable = true;
        return;
    }
    if (!mark->place.exists && now->hidden && !was.hidden && was.writable) {
        p->later_hidden =
            mem_grow(p->later_hidden, (p->later_hidden_count + 1) * sizeof *p->later_hidden);
        p->later_hidden[p->later_hidden_count++] = mark->place.path;
    }
    if (!mark->place.exists || mark->place.is_link)
        return;
    if (now->hidden && !was.hidden) {
        bool file = !mark->place.is_directory;
        emit(p, file ? MOUNT_HIDE_FILE : MOUNT_HIDE_DIRECTORY, mark, was.writable && !file,
             now->no_exec);
        if (!(mark->bits & MARK_NO_LANDLOCK)) {
            p->hidden = mem_grow(p->hidden, (p->hidden_count + 1) * sizeof *p->hidden);
            p->hidden[p->hidden_count++] =
                (struct plan_hidden){ mark->place.path, was.writable, !file };
        }
    } else if (!now->hidden && was.hidden) {
        emit(p, now->writable ? MOUNT_WRITE : MOUNT_REOPEN, mark, now->writable, now->no_exec);
    } else if (!now->hidden && (now->writable != was.writable || now->no_exec != was.no_exec)) {
        emit(p, now->writable ? MOUNT_WRITE : MOUNT_READ_ONLY, mark, now->writable, now->no_exec);
    }
}

static void walk(struct plan *p, const struct marks *m)
{
    struct state stack[256] = { { "/", false, false, false } };
    size_t depth = 1;
    for (size_t i = 0; i < m->count; i++) {
        const struct mark *mark = &m->items[i];
        while (depth > 1 &&
               !path_is_beneath(str_of(mark->place.path), str_of(stack[depth - 1].path)))
            depth--;
        struct state now = step(mark, stack[depth - 1]);
        plan_mount_for(p, mark, stack[depth - 1], &now);
        if (depth < sizeof stack / sizeof *stack)
            stack[depth++] = now;
    }
}

static void plan_binds(struct plan *p)
{
    for (size_t i = 0; i < p->settings->read_only_bind_count; i++) {
        struct stat st;
        const struct settings_set *bind = &p->settings->read_only_binds[i];
        struct mark mark = { .place = { .path = bind->value,
                                        .rule = "x.filesystem.readOnlyBind",
                                        .is_directory =
                                            stalled_stat(&p->stalled, bind->name, &st) == 0 &&
                                            S_ISDIR(st.st_mode) } };
        emit(p, MOUNT_BIND, &mark, false, false);
        p->mounts[p->mount_count - 1].source = bind->name;
    }
}

int marks_compile(struct plan *p, const struct plan_request *r, struct err *e)
{
    CLEANUP(marks_drop) struct marks m = { 0 };
    const struct settings *s = p->settings;
    if (mandatory_is_off(s, "PATH")) {
        size_t kept = 0;
        for (size_t i = 0; i < p->deny_write.count; i++)
            if (strcmp(p->deny_write.items[i].rule, "mandatory PATH") != 0)
                p->deny_write.items[kept++] = p->deny_write.items[i];
        p->deny_write.count = kept;
    }
    if (!s->filesystem_disabled) {
        mark_lists(&m, p, r);
        if (mark_builtin(&m, p, e) < 0 || mark_helper(&m, p, r, e) < 0 ||
            mark_no_exec(&m, p, r, e) < 0 || resolve_exec_only(p, r, e) < 0)
            return -1;
        marks_fold(&m);
        walk(p, &m);
        plan_binds(p);
    }
    return 0;
}
