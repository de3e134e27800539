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

static void say(const struct plan_request *r, const char *rule, const char *path, const char *what)
{
    if (!r->warn)
        return;
    AUTO_BUF text = { 0 };
    buf_addf(&text, "%s: '%s' %s", rule, path, what);
    r->warn(r->warn_ctx, buf_text(&text));
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

static void mark_mandatory(struct marks *m, struct plan *p, const char *directory)
{
    AUTO_BUF path = { 0 };
    for (size_t i = 0; i < sizeof mandatory_names / sizeof *mandatory_names; i++) {
        const char *name = mandatory_names[i];
        struct stat st;
        if (p->settings->allow_git_config && strcmp(name, ".git/config") == 0)
            continue;
        buf_empty(&path);
        buf_addf(&path, "%s/%s", directory, name);
        if (stalled_lstat(&p->stalled, buf_text(&path), &st) < 0)
            continue;
        if (S_ISLNK(st.st_mode)) { /* the link and what it leads to (T38) */
            struct entry_context c = { .arena = &p->arena, .cwd = p->cwd, .stalled = &p->stalled };
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
static const struct place *denied_at_or_above(const struct plan *p, const char *path)
{
    for (size_t i = 0; i < p->deny_write.count; i++)
        if (path_is_beneath(str_of(path), str_of(p->deny_write.items[i].path)))
            return &p->deny_write.items[i];
    return NULL;
}

static void mark_lists(struct marks *m, struct plan *p, const struct plan_request *r)
{
    for (size_t i = 0; i < p->allow_write.count; i++) {
        const struct place *at = &p->allow_write.items[i];
        const struct place *deny = denied_at_or_above(p, at->path);
        if (!at->exists)
            say(r, at->rule, at->path, "does not exist; nothing was opened there");
        else if (deny)
            say(r, at->rule, at->path, "is denied too, at or above it, and stays read-only");
        marks_add(m, at, deny ? MARK_REOPEN : MARK_WRITE);
        if (at->exists && at->is_directory && !deny)
            mark_mandatory(m, p, at->path);
    }
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
    struct entry_context c = { .arena = &p->arena,
                               .cwd = p->cwd,
                               .homes = p->homes,
                               .home_count = p->home_count,
                               .stalled = &p->stalled,
                               .warn = r->warn,
                               .warn_ctx = r->warn_ctx };
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
    struct entry_context c = { .arena = &p->arena,
                               .cwd = p->cwd,
                               .homes = p->homes,
                               .home_count = p->home_count,
                               .stalled = &p->stalled,
                               .warn = r->warn,
                               .warn_ctx = r->warn_ctx };
    if (p->settings->exec_only.count == 0)
        return 0;
    struct places found = { 0 };
    int result = entries_resolve(&c, &p->settings->exec_only, ENTRY_ALLOW_READ, &found, NULL, e);
    p->exec_only = arena_get(&p->arena, (found.count + 1) * sizeof *p->exec_only);
    if (!p->exec_only)
        result = err_set(e, E_BUSY, 0, "too many paths");
    for (size_t i = 0; result == 0 && i < found.count; i++)
        p->exec_only[i] = found.items[i].path;
    places_release(&found);
    return result;
}

/* Our own program is opened again where a hidden directory holds it: ssh's ProxyCommand needs it. */
static int mark_helper(struct marks *m, struct plan *p, const struct plan_request *r, struct err *e)
{
    struct entry_context c = { .arena = &p->arena, .cwd = p->cwd, .stalled = &p->stalled };
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
    struct entry_context c = { .arena = &p->arena, .cwd = p->cwd, .stalled = &p->stalled };
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

static struct file_rule_path *rule_paths(struct plan *p, size_t n)
{
    return arena_get(&p->arena, (n + 1) * sizeof(struct file_rule_path));
}

/* Where the command may write without mandatory names: everything there is gone at exit. */
static int compile_private_roots(struct plan *p, struct err *e)
{
    struct file_rule_path *roots = rule_paths(p, p->mount_count + 3);
    if (!roots)
        return err_set(e, E_BUSY, 0, "too many paths");
    size_t n = 0;
    roots[n++] = (struct file_rule_path){ "/dev", "built-in" };
    if (p->settings->nested_user_namespaces)
        roots[n++] = (struct file_rule_path){ "/proc", "built-in" };
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct plan_mount *m = &p->mounts[i];
        if (m->kind == MOUNT_PRIVATE || (m->kind == MOUNT_HIDE_DIRECTORY && m->writable))
            roots[n++] = (struct file_rule_path){ m->path, m->rule };
    }
    p->rules.private_roots = roots;
    p->rules.private_root_count = n;
    return 0;
}

static int compile_denies(struct plan *p, const struct plan_request *r, struct err *e)
{
    struct file_rule_path *writes = rule_paths(p, p->deny_write.count + 1);
    struct file_rule_path *reads = rule_paths(p, p->deny_read.count);
    struct file_rule_inode *inodes =
        arena_get(&p->arena, (p->deny_write.count + p->deny_read.count + 1) * sizeof *inodes);
    if (!writes || !reads || !inodes)
        return err_set(e, E_BUSY, 0, "too many paths");
    size_t nw = 0, nr = 0, ni = 0;
    for (size_t i = 0; i < p->deny_write.count; i++) {
        const struct place *at = &p->deny_write.items[i];
        writes[nw++] = (struct file_rule_path){ at->path, at->rule };
        if (at->many_links && str_starts(str_of(at->rule), STR("filesystem.")))
            say(r, at->rule, at->path, "has more than one hard link; every name of it is denied");
        if (at->exists && !at->is_directory)
            inodes[ni++] = (struct file_rule_inode){ at->device, at->inode, at->rule };
    }
    for (size_t i = 0; i < p->deny_read.count; i++) {
        const struct place *at = &p->deny_read.items[i];
        bool reopened = false;
        for (size_t k = 0; k < p->allow_read.count; k++)
            reopened |= strcmp(p->allow_read.items[k].path, at->path) == 0;
        if (reopened || strcmp(at->path, "/") == 0)
            continue;
        reads[nr++] = (struct file_rule_path){ at->path, at->rule };
        if (at->many_links)
            say(r, at->rule, at->path,
                p->settings->strict_hide
                    ? "has more than one hard link; every name of it is hidden"
                    : "has more than one hard link; its other names can be read unless "
                      "they are hidden too (or x.filesystem.strictHide is set)");
        if (at->exists && !at->is_directory)
            inodes[ni++] = (struct file_rule_inode){ at->device, at->inode, at->rule };
    }
    if (p->settings->nested_user_namespaces)
        writes[nw++] = (struct file_rule_path){ "/proc/sys", "built-in" };
    p->rules.write_denies = writes;
    p->rules.write_deny_count = nw;
    p->rules.read_denies = reads;
    p->rules.read_deny_count = nr;
    p->rules.denied_inodes = inodes;
    p->rules.denied_inode_count = ni;
    return 0;
}

static int compile_patterns(struct plan *p, struct err *e)
{
    size_t n = p->later_write.count + p->later_read.count;
    const struct path_pattern **patterns = arena_get(&p->arena, (n + 1) * sizeof *patterns);
    const char **names = arena_get(&p->arena, (n + 1) * sizeof *names);
    if (!patterns || !names)
        return err_set(e, E_BUSY, 0, "too many patterns");
    size_t k = 0;
    for (size_t i = 0; i < p->later_write.count; i++, k++) {
        patterns[k] = p->later_write.items[i].pattern;
        names[k] = p->later_write.items[i].rule;
    }
    /* A file that would be hidden at the next start is not made during this run either. */
    for (size_t i = 0; i < p->later_read.count; i++, k++) {
        patterns[k] = p->later_read.items[i].pattern;
        names[k] = p->later_read.items[i].rule;
    }
    p->rules.read_deny_patterns = patterns + p->later_write.count;
    p->rules.read_deny_pattern_rules = names + p->later_write.count;
    p->rules.read_deny_pattern_count = p->later_read.count;
    p->rules.write_deny_patterns = patterns;
    p->rules.write_deny_pattern_rules = names;
    p->rules.write_deny_pattern_count = k;
    return 0;
}

/* What file_rules_judge_read needs: the state that the mounts show, as paths. */
static int compile_reads(struct plan *p, struct err *e)
{
    struct file_rule_path *hides = rule_paths(p, p->mount_count);
    struct file_rule_path *opens = rule_paths(p, p->mount_count + p->allow_read.count);
    struct file_rule_inode *inodes =
        arena_get(&p->arena, (p->deny_read.count + 1) * sizeof *inodes);
    if (!hides || !opens || !inodes)
        return err_set(e, E_BUSY, 0, "too many paths");
    size_t nh = 0, no = 0, ni = 0;
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct plan_mount *m = &p->mounts[i];
        if (m->kind == MOUNT_HIDE_DIRECTORY || m->kind == MOUNT_HIDE_FILE)
            hides[nh++] = (struct file_rule_path){ m->path, m->rule };
        else if (m->kind == MOUNT_REOPEN || m->kind == MOUNT_BIND)
            opens[no++] = (struct file_rule_path){ m->path, m->rule };
    }
    for (size_t i = 0; i < p->allow_read.count; i++)
        if (p->allow_read.items[i].exists)
            opens[no++] =
                (struct file_rule_path){ p->allow_read.items[i].path, p->allow_read.items[i].rule };
    p->rules.read_hides = hides;
    p->rules.read_hide_count = nh;
    p->rules.read_opens = opens;
    p->rules.read_open_count = no;
    for (size_t i = 0; i < p->deny_read.count; i++) {
        const struct place *at = &p->deny_read.items[i];
        const struct file_facts none = { 0 };
        /* What is opened again is no secret under its other names either. */
        if (at->exists &&
            file_rules_judge_read(&p->rules, str_of(at->path), &none).kind == FILE_DENIED)
            inodes[ni++] = (struct file_rule_inode){ at->device, at->inode, at->rule };
    }
    p->rules.hidden_inodes = inodes;
    p->rules.hidden_inode_count = ni;
    return 0;
}

static int compile_write_roots(struct plan *p, struct err *e)
{
    struct file_rule_path *roots = rule_paths(p, p->allow_write.count);
    if (!roots)
        return err_set(e, E_BUSY, 0, "too many paths");
    size_t n = 0;
    for (size_t i = 0; i < p->allow_write.count; i++) {
        const struct place *at = &p->allow_write.items[i];
        if (at->exists && !denied_at_or_above(p, at->path))
            roots[n++] = (struct file_rule_path){ at->path, at->rule };
    }
    p->rules.write_roots = roots;
    p->rules.write_root_count = n;
    return 0;
}

static int compile_sockets(struct plan *p, const struct plan_request *r,
                           const struct settings_list *list, struct file_rule_path **out,
                           size_t *count, struct err *e)
{
    static const char *const telling[] = {
        "docker.sock", "containerd.sock", "podman.sock", "bus",         "X11-unix",
        "wayland-",    "systemd/private", "ssh-agent",   "S.gpg-agent", "agent."
    };
    struct entry_context c = { .arena = &p->arena,
                               .cwd = p->cwd,
                               .homes = p->homes,
                               .home_count = p->home_count,
                               .stalled = &p->stalled,
                               .warn = r->warn,
                               .warn_ctx = r->warn_ctx };
    struct places found = { 0 };
    /* Resolved like a deny of reads: through links, and absent names as they are spelled. */
    if (entries_resolve(&c, list, ENTRY_DENY_READ, &found, NULL, e) < 0) {
        places_release(&found);
        return -1;
    }
    *out = rule_paths(p, found.count);
    for (size_t i = 0; *out && i < found.count; i++) {
        (*out)[(*count)++] = (struct file_rule_path){ found.items[i].path, found.items[i].rule };
        for (size_t k = 0; k < sizeof telling / sizeof *telling; k++)
            if (strstr(found.items[i].path, telling[k])) {
                say(r, found.items[i].rule, found.items[i].path,
                    "gives the command what listens there: usually enough to leave the sandbox");
                break;
            }
    }
    places_release(&found);
    return *out ? 0 : err_set(e, E_BUSY, 0, "too many paths");
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
    p->rules.allow_git_config = s->allow_git_config;
    p->rules.disabled = s->filesystem_disabled;
    p->rules.mandatory_off = s->mandatory_off.items;
    p->rules.mandatory_off_count = s->mandatory_off.count;
    if (compile_write_roots(p, e) < 0 || compile_denies(p, r, e) < 0 ||
        compile_patterns(p, e) < 0 || compile_private_roots(p, e) < 0 || compile_reads(p, e) < 0)
        return -1;
    if (compile_sockets(p, r, &s->unix_sockets, &p->unix_connect, &p->unix_connect_count, e) < 0)
        return -1;
    return compile_sockets(p, r, &s->unix_binds, &p->unix_bind, &p->unix_bind_count, e);
}
