/* `x`, our own settings (contract 4). Unknown keys anywhere inside are errors. */
#include "sandbox/settings_rows.h"

#define AT(field) offsetof(struct settings, field)
#define COUNT(array) (sizeof(array) / sizeof *(array))

/* {"path": ..., "<flag>": ...}: reads the path and hands the other member over. */
static bool read_path_and(struct settings_check *c, const struct json *v, const char *flag,
                          struct settings_entry *out, const struct json **value)
{
    const struct json *path = json_get(v, "path");
    size_t problems = c->problem_count;
    *value = json_get(v, flag);
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
        size_t was = check_enter_key(c, m.key);
        if (!str_eq(m.key, STR("path")) && !str_eq(m.key, str_of(flag)))
            check_unknown(c, true, "");
        check_leave(c, was);
    }
    if (!path) {
        check_problem(c, "path is required");
        return false;
    }
    size_t was = check_enter_key(c, STR("path"));
    struct str text;
    bool good = check_string(c, path, &text) && entry_read(c, path, out);
    check_leave(c, was);
    out->literal = true;
    return good && c->problem_count == problems;
}

/* One item of x.filesystem.create: "dir", or {"path": "dir", "create": "dir"}. */
static bool create_item(struct settings_check *c, const struct json *v, struct settings_entry *out)
{
    const struct json *what = NULL;
    struct str word;
    if (json_kind_of(v) == JSON_IS_OBJECT) {
        if (!read_path_and(c, v, "create", out, &what))
            return false;
        if (what && !(json_to_str(what, &word) && str_eq(word, STR("dir")))) {
            check_problem(c, "create must be \"dir\"");
            return false;
        }
    } else if (!entry_read(c, v, out)) {
        return false;
    }
    out->literal = out->create_dir = true;
    return true;
}

static void create_read(struct settings_check *c, const struct json *v,
                        const struct settings_row *row)
{
    if (!check_array(c, v))
        return;
    struct settings_entry *items = check_get(c, json_count(v) * sizeof *items);
    size_t n = 0;
    for (size_t i = 0; items && i < json_count(v); i++) {
        size_t was = check_enter_index(c, i);
        n += create_item(c, json_at(v, i), &items[n]);
        check_leave(c, was);
    }
    list_append(c, &c->s->allow_write, items, n);
}

/* One item of x.unixSockets: "path", or {"path": ..., "bind": true}. */
static bool socket_item(struct settings_check *c, const struct json *v, struct settings_entry *out,
                        bool *bind)
{
    const struct json *flag = NULL;
    *bind = false;
    if (json_kind_of(v) != JSON_IS_OBJECT) {
        if (!entry_read(c, v, out))
            return false;
        entry_is_path(c, out);
        return true;
    }
    if (!read_path_and(c, v, "bind", out, &flag))
        return false;
    if (flag && !json_to_bool(flag, bind)) {
        check_problem(c, "bind must be a boolean");
        return false;
    }
    return true;
}

static void sockets_read(struct settings_check *c, const struct json *v,
                         const struct settings_row *row)
{
    if (!check_array(c, v))
        return;
    size_t count = json_count(v), n = 0, binds = 0;
    struct settings_entry *items = check_get(c, count * sizeof *items);
    struct settings_entry *bound = check_get(c, count * sizeof *bound);
    for (size_t i = 0; items && bound && i < count; i++) {
        bool bind;
        size_t was = check_enter_index(c, i);
        if (socket_item(c, json_at(v, i), &items[n], &bind)) {
            if (bind)
                bound[binds++] = items[n];
            n++;
        }
        check_leave(c, was);
    }
    list_append(c, &c->s->unix_sockets, items, n);
    list_append(c, &c->s->unix_binds, bound, binds);
}

/* An absolute path that is spelled as the kernel would spell it: it is mounted as it stands. */
static const char *refuse_odd_path(struct str text)
{
    if (text.p[0] != '/')
        return "must be an absolute path";
    if (str_has(text, STR("//")) || str_has(text, STR("/./")) || str_has(text, STR("/../")) ||
        str_ends(text, STR("/")) || str_ends(text, STR("/.")) || str_ends(text, STR("/..")))
        return "must be a plain path: no '.', '..', '//' or '/' at the end";
    return NULL;
}

static const char *read_bind_side(struct settings_check *c, const struct json *v, const char *side)
{
    struct str path;
    const struct json *value = json_get(v, side);
    const char *kept = NULL;
    size_t was = check_enter_key(c, str_of(side));
    if (!value) {
        check_problem(c, "required");
    } else if (check_string(c, value, &path)) {
        const char *wrong = refuse_odd_path(path);
        if (wrong)
            check_problem(c, "%s", wrong);
        kept = check_dup(c, path);
    }
    check_leave(c, was);
    return kept;
}

static void binds_read(struct settings_check *c, const struct json *v,
                       const struct settings_row *row)
{
    if (!check_array(c, v))
        return;
    struct settings_set *all = check_get(c, json_count(v) * sizeof *all);
    for (size_t i = 0; all && i < json_count(v); i++) {
        const struct json *item = json_at(v, i);
        size_t was = check_enter_index(c, i);
        if (check_kind(c, item, JSON_IS_OBJECT)) {
            all[i].name = read_bind_side(c, item, "host");
            all[i].value = read_bind_side(c, item, "inside");
            if (json_count(item) > 2)
                check_problem(c, "holds unknown keys; host and inside are known");
        }
        check_leave(c, was);
    }
    c->s->read_only_binds = all;
    c->s->read_only_bind_count = all ? json_count(v) : 0;
}

static bool sets_same(const struct settings_set *a, size_t a_count, const struct settings_set *b,
                      size_t b_count)
{
    bool same = a_count == b_count;
    for (size_t i = 0; same && i < a_count; i++)
        same = text_same(a[i].name, b[i].name) && text_same(a[i].value, b[i].value);
    return same;
}

static bool binds_same(const void *a, const void *b)
{
    const struct settings *left = a, *right = b;
    return sets_same(left->read_only_binds, left->read_only_bind_count, right->read_only_binds,
                     right->read_only_bind_count);
}

static const struct settings_kind KIND_CREATE = { create_read,
                                                  NULL }; /* in filesystem.allowWrite */
static const struct settings_kind KIND_SOCKETS = { sockets_read, list_same };
static const struct settings_kind KIND_BINDS = { binds_read, binds_same };

static const char *const hide_words[] = { "eacces", "empty", NULL };

static const struct settings_row filesystem_rows[] = {
    { "create", &KIND_CREATE, AT(allow_write) },
    { "hide", &KIND_EITHER, AT(hide_empty), .words = hide_words },
    { "strictHide", &KIND_BOOL, AT(strict_hide) },
    { "hideHome", &KIND_BOOL, AT(hide_home) },
    { "noSetid", &KIND_BOOL, AT(no_setid) },
    { "execOnly", &KIND_ENTRIES, AT(exec_only) },
    { "noExec", &KIND_ENTRIES, AT(no_exec) },
    { "readOnlyBind", &KIND_BINDS, 0 }, /* fills two fields, and compares whole settings */
    { "overlay", &KIND_LATER_TRUE, SETTINGS_NOWHERE },
};
static const struct settings_table filesystem_table = { filesystem_rows, COUNT(filesystem_rows),
                                                        true };

static const char *refuse_variable(struct str text)
{
    return str_index(text, '=') >= 0 ? "is no name of a variable" : NULL;
}

static const char *refuse_variable_pattern(struct str text)
{
    if (str_index(text, '*') >= 0 || str_index(text, '?') >= 0)
        return "is a pattern; only x.env.pass takes patterns";
    return refuse_variable(text);
}

static void set_read(struct settings_check *c, const struct json *v, const struct settings_row *row)
{
    if (!check_kind(c, v, JSON_IS_OBJECT))
        return;
    struct settings_set *all = check_get(c, json_count(v) * sizeof *all);
    size_t n = 0;
    for (struct json_member m = json_first(v); all && m.value; m = json_next(v, m)) {
        struct str text;
        size_t was = check_enter_key(c, m.key);
        const char *wrong = m.key.n ? refuse_variable_pattern(m.key) : "is no name of a variable";
        if (wrong)
            check_problem(c, "%s", wrong);
        if (check_kind(c, m.value, JSON_IS_STRING) && json_to_str(m.value, &text))
            all[n++] = (struct settings_set){ check_dup(c, m.key), check_dup(c, text) };
        check_leave(c, was);
    }
    c->s->env_set = all;
    c->s->env_set_count = n;
}

static bool set_same(const void *a, const void *b)
{
    const struct settings *left = a, *right = b;
    return sets_same(left->env_set, left->env_set_count, right->env_set, right->env_set_count);
}

static const struct settings_kind KIND_SET = { set_read, set_same };
static const char *const mode_words[] = { "inherit", "allowlist", NULL };

static const struct settings_row env_rows[] = {
    { "mode", &KIND_EITHER, AT(env_allowlist), .words = mode_words },
    { "scrub", &KIND_BOOL, AT(env_scrub) },
    { "pass", &KIND_NAMES, AT(env_pass), .refuses = refuse_variable },
    { "set", &KIND_SET, 0 }, /* fills two fields, and compares whole settings */
    { "unset", &KIND_NAMES, AT(env_unset), .refuses = refuse_variable_pattern },
};
static const struct settings_table env_table = { env_rows, COUNT(env_rows), true };

static const char *refuse_system_call(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char ch = text.p[i];
        if (!(ch >= 'a' && ch <= 'z') && !(ch >= '0' && ch <= '9') && ch != '_')
            return "is no name of a system call";
    }
    return NULL;
}

static const char *const preset_words[] = { "default", "strict", "compat", NULL };

static const struct settings_row seccomp_rows[] = {
    { "preset", &KIND_WORD, AT(seccomp_preset), .words = preset_words },
    { "allow", &KIND_NAMES, AT(seccomp_allow), .refuses = refuse_system_call },
    { "deny", &KIND_NAMES, AT(seccomp_deny), .refuses = refuse_system_call },
};
static const struct settings_table seccomp_table = { seccomp_rows, COUNT(seccomp_rows), true };

/* Contract 3.5: these alone can be switched off; "PATH" stands for the directories on PATH. */
static const char *refuse_mandatory(struct str text)
{
    static const char *const names[] = {
        ".git/info/attributes",
        ".husky",
        ".envrc",
        ".bash_login",
        ".bash_logout",
        ".zshenv",
        ".zlogin",
        ".zlogout",
        ".kshrc",
        ".inputrc",
        ".vimrc",
        ".exrc",
        ".lldbinit",
        ".gdbinit",
        ".npmrc",
        ".yarnrc",
        ".yarnrc.yml",
        ".pnpmfile.cjs",
        ".pypirc",
        ".netrc",
        ".curlrc",
        ".wgetrc",
        ".claude/settings.json",
        ".claude/settings.local.json",
        ".claude/hooks",
        ".claude/skills",
        ".codex",
        ".gemini",
        ".cursor",
        ".github/workflows",
        ".devcontainer",
        "PATH",
    };
    for (size_t i = 0; i < COUNT(names); i++)
        if (str_eq(text, str_of(names[i])))
            return NULL;
    return "is no deny that can be switched off";
}

static const struct settings_row mandatory_rows[] = {
    { "off", &KIND_NAMES, AT(mandatory_off), .refuses = refuse_mandatory },
};
static const struct settings_table mandatory_table = { mandatory_rows, COUNT(mandatory_rows),
                                                       true };

static const struct settings_row tmpdir_rows[] = {
    { "persist", &KIND_BOOL, AT(tmpdir_persist) },
};
static const struct settings_table tmpdir_table = { tmpdir_rows, COUNT(tmpdir_rows), true };

static const struct settings_row ask_rows[] = {
    { "files", &KIND_BOOL, AT(ask_files) },
};
static const struct settings_table ask_table = { ask_rows, COUNT(ask_rows), true };

static const char *const lifetime_words[] = { "first-process", "last-process", NULL };

static const struct settings_row rows[] = {
    { "limits", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &settings_limits_table },
    { "network", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &settings_x_network_table },
    { "env", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &env_table },
    { "filesystem", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &filesystem_table },
    { "seccomp", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &seccomp_table },
    { "unixSockets", &KIND_SOCKETS, AT(unix_binds) },
    { "mandatory", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &mandatory_table },
    { "lenientPatterns", &KIND_BOOL, AT(lenient_patterns) },
    { "lifetime", &KIND_EITHER, AT(last_process), .words = lifetime_words },
    { "tmpdir", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &tmpdir_table },
    { "ask", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &ask_table },
    { "degraded", &KIND_NAMES, AT(degraded) },
    { "requestRules", &KIND_LATER, SETTINGS_NOWHERE },
    { "credentials", &KIND_LATER, SETTINGS_NOWHERE },
    { "snapshot", &KIND_LATER, SETTINGS_NOWHERE },
};

const struct settings_table settings_x_table = { rows, COUNT(rows), true };
