#include "sandbox/backend_seatbelt.h"

/* A quoted string of the profile language: only '"' and '\' are special. */
static void add_quoted(struct buf *b, struct str text)
{
    buf_add_byte(b, '"');
    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '"' || text.p[i] == '\\')
            buf_add_byte(b, '\\');
        buf_add_byte(b, text.p[i]);
    }
    buf_add_byte(b, '"');
}

/* A regular expression that matches exactly these bytes. */
static void add_literal_regex(struct buf *b, const char *text)
{
    for (; *text; text++) {
        if (strchr(".^$*+?()[]{}|\\", *text))
            buf_add_byte(b, '\\');
        buf_add_byte(b, *text);
    }
}

static void add_rule(struct buf *b, const char *action, const char *operation, const char *kind,
                     const char *path)
{
    buf_addf(b, "(%s %s (%s ", action, operation, kind);
    add_quoted(b, str_of(path));
    buf_add(b, STR("))\n"));
}

/* What is denied beneath a write root at any depth; files first, then whole directories. */
static const char *const files[] = { ".gitconfig",    ".gitmodules",    ".bashrc",
                                     ".bash_profile", ".zshrc",         ".zprofile",
                                     ".profile",      ".ripgreprc",     ".mcp.json",
                                     ".git/config",   ".git/commondir", ".git/config.worktree" };
static const char *const directories[] = { ".vscode",        ".idea",      ".claude/commands",
                                           ".claude/agents", ".git/hooks", ".git/modules" };

static void add_mandatory(struct buf *b, const struct plan *p, const char *root)
{
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        if (p->settings->allow_git_config && strcmp(files[i], ".git/config") == 0)
            continue;
        buf_add(b, STR("(deny file-write* (regex #\"^"));
        add_literal_regex(b, root);
        buf_add(b, STR("/(.*/)?"));
        add_literal_regex(b, files[i]);
        buf_add(b, STR("$\"))\n"));
    }
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++) {
        buf_add(b, STR("(deny file-write* (regex #\"^"));
        add_literal_regex(b, root);
        buf_add(b, STR("/(.*/)?"));
        add_literal_regex(b, directories[i]);
        buf_add(b, STR("(/.*)?$\"))\n"));
    }
}

static const char *subject(const struct plan_mount *m)
{
    return m->is_directory ? "subpath" : "literal";
}

static void add_reads(struct buf *b, const struct plan *p)
{
    buf_add(b, STR("(allow file-read*)\n"));
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct plan_mount *m = &p->mounts[i];
        if (m->kind == MOUNT_HIDE_DIRECTORY || m->kind == MOUNT_HIDE_FILE)
            add_rule(b, "deny", "file-read*", subject(m), m->path);
        else if (m->kind == MOUNT_REOPEN || m->kind == MOUNT_WRITE)
            add_rule(b, "allow", "file-read*", subject(m), m->path);
    }
}

static void add_writes(struct buf *b, const struct plan *p)
{
    static const char *const devices[] = { "/dev/null", "/dev/tty", "/dev/stdout", "/dev/stderr" };
    for (size_t i = 0; i < sizeof devices / sizeof *devices; i++)
        add_rule(b, "allow", "file-write*", "literal", devices[i]);
    if (p->tmpdir)
        add_rule(b, "allow", "file-write*", "subpath", p->tmpdir);
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct plan_mount *m = &p->mounts[i];
        if (m->kind == MOUNT_WRITE)
            add_rule(b, "allow", "file-write*", subject(m), m->path);
        else if (m->kind == MOUNT_READ_ONLY || m->kind == MOUNT_HIDE_FILE)
            add_rule(b, "deny", "file-write*", subject(m), m->path);
    }
    for (size_t i = 0; i < p->rules.write_root_count; i++)
        add_mandatory(b, p, p->rules.write_roots[i].path);
    for (size_t i = 0; i < p->rules.write_deny_count; i++)
        add_rule(b, "deny", "file-write*", "subpath", p->rules.write_denies[i].path);
}

void seatbelt_profile(const struct plan *p, uint16_t http_port, struct buf *out)
{
    buf_add(out, STR("(version 1)\n(deny default)\n"
                     "(allow process-exec process-fork)\n(allow signal (target same-sandbox))\n"
                     "(allow process-info* (target same-sandbox))\n(allow sysctl-read)\n"
                     "(allow mach-lookup (global-name \"com.apple.system.logger\"))\n"
                     "(allow file-ioctl (literal \"/dev/tty\"))\n"));
    if (p->settings->filesystem_disabled) {
        buf_add(out, STR("(allow file-read* file-write*)\n"));
    } else {
        add_reads(out, p);
        add_writes(out, p);
    }
    buf_add(out, STR("(allow network* (local ip \"localhost:*\"))\n"));
    if (p->network)
        buf_addf(out, "(allow network-outbound (remote ip \"localhost:%u\"))\n", http_port);
    for (size_t i = 0; i < p->unix_connect_count; i++)
        add_rule(out, "allow", "network-outbound", "literal", p->unix_connect[i].path);
}
