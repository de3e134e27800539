#include "sandbox/warden_rules.h"

#include "base/buf.h"

#include <stdlib.h>

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
            plan_warn(r, at->rule, at->path,
                      "has more than one hard link; every name of it is denied");
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
            plan_warn(r, at->rule, at->path,
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
        if (at->exists && !places_above(&p->deny_write, at->path))
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
    const struct entry_context c = plan_entries(p, r);
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
                plan_warn(
                    r, found.items[i].rule, found.items[i].path,
                    "gives the command what listens there: usually enough to leave the sandbox");
                break;
            }
    }
    places_release(&found);
    return *out ? 0 : err_set(e, E_BUSY, 0, "too many paths");
}

int warden_rules_compile(struct plan *p, const struct plan_request *r, struct err *e)
{
    const struct settings *s = p->settings;
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
