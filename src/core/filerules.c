#include "core/filerules.h"

#include "base/check.h"
#include "core/path_pattern.h"

#include <limits.h>

/* Names that are dangerous wherever they appear beneath a write root (contract 3.5). A row is matched
 * against consecutive components: "*" is one component, "**" any number. What stands at the end of a
 * row is denied together with everything beneath it; a directory on the way there is a holder: it
 * cannot be moved away, and no file or link may take its name. */
enum {
    ROW_SWITCH = 1, /* may be named in x.mandatory.off */
    ROW_WARN = 2,   /* allowed, with a line in the audit */
    ROW_CONFIG = 4, /* free with filesystem.allowGitConfig */
    ROW_LOCK = 8,   /* also NAME.lock, so that a refused git leaves no lock behind */
    ROW_COMMONDIR = 16,
    ROW_GITDIR = 32,
};

struct mandatory_row {
    const char *rule; /* "mandatory " and the pattern */
    unsigned flags;
};

#define MANDATORY_WORD "mandatory "
#define MANDATORY(pattern, flags)                                                                  \
    {                                                                                              \
        MANDATORY_WORD pattern, flags                                                              \
    }

static const struct mandatory_row mandatory_rows[] = {
    /* First, because the general row for commondir below would hide them. */
    MANDATORY(".git/worktrees/*/commondir", ROW_COMMONDIR),
    MANDATORY(".git/worktrees/*/gitdir", ROW_GITDIR),
    MANDATORY(".git/hooks", 0),
    MANDATORY(".git/config", ROW_CONFIG | ROW_LOCK),
    MANDATORY(".git/config.worktree", ROW_LOCK),
    MANDATORY(".git/modules/**/config", ROW_LOCK),
    MANDATORY(".git/modules/**/config.worktree", ROW_LOCK),
    MANDATORY(".git/modules/**/hooks", 0),
    MANDATORY(".git/worktrees/*/config.worktree", ROW_LOCK),
    /* Without its commondir, a worktree's directory would be a repository of its own. */
    MANDATORY(".git/worktrees/*/config", ROW_LOCK),
    MANDATORY(".git/worktrees/*/hooks", 0),
    /* Git follows this file in every directory that it takes for a repository; the directory it
     * names may lack HEAD, so the tests for bare repositories would not see it. */
    MANDATORY("commondir", 0),
    MANDATORY(".gitconfig", ROW_LOCK),
    MANDATORY(".gitmodules", ROW_LOCK),
    MANDATORY(".bashrc", 0),
    MANDATORY(".bash_profile", 0),
    MANDATORY(".zshrc", 0),
    MANDATORY(".zprofile", 0),
    MANDATORY(".profile", 0),
    MANDATORY(".ripgreprc", 0),
    MANDATORY(".mcp.json", 0),
    MANDATORY(".vscode", 0),
    MANDATORY(".idea", 0),
    MANDATORY(".claude/commands", 0),
    MANDATORY(".claude/agents", 0),
    MANDATORY(".git/info/attributes", ROW_SWITCH),
    MANDATORY(".husky", ROW_SWITCH),
    MANDATORY(".envrc", ROW_SWITCH),
    MANDATORY(".bash_login", ROW_SWITCH),
    MANDATORY(".bash_logout", ROW_SWITCH),
    MANDATORY(".zshenv", ROW_SWITCH),
    MANDATORY(".zlogin", ROW_SWITCH),
    MANDATORY(".zlogout", ROW_SWITCH),
    MANDATORY(".kshrc", ROW_SWITCH),
    MANDATORY(".inputrc", ROW_SWITCH),
    MANDATORY(".vimrc", ROW_SWITCH),
    MANDATORY(".exrc", ROW_SWITCH),
    MANDATORY(".lldbinit", ROW_SWITCH),
    MANDATORY(".gdbinit", ROW_SWITCH),
    MANDATORY(".npmrc", ROW_SWITCH),
    MANDATORY(".yarnrc", ROW_SWITCH),
    MANDATORY(".yarnrc.yml", ROW_SWITCH),
    MANDATORY(".pnpmfile.cjs", ROW_SWITCH),
    MANDATORY(".pypirc", ROW_SWITCH),
    MANDATORY(".netrc", ROW_SWITCH),
    MANDATORY(".curlrc", ROW_SWITCH),
    MANDATORY(".wgetrc", ROW_SWITCH),
    MANDATORY(".claude/settings.json", ROW_SWITCH),
    MANDATORY(".claude/settings.local.json", ROW_SWITCH),
    MANDATORY(".claude/hooks", ROW_SWITCH),
    MANDATORY(".claude/skills", ROW_SWITCH),
    MANDATORY(".codex", ROW_SWITCH),
    MANDATORY(".gemini", ROW_SWITCH),
    MANDATORY(".cursor", ROW_SWITCH),
    MANDATORY(".github/workflows", ROW_SWITCH | ROW_WARN),
    MANDATORY(".devcontainer", ROW_SWITCH),
};
enum { MANDATORY_ROWS = sizeof mandatory_rows / sizeof *mandatory_rows };

static struct str row_pattern(const struct mandatory_row *row)
{
    return str_of(row->rule + sizeof MANDATORY_WORD - 1);
}

bool path_is_beneath(struct str path, struct str root)
{
    if (str_eq(root, STR("/")))
        return path.n > 0 && path.p[0] == '/';
    return str_starts(path, root) && (path.n == root.n || path.p[root.n] == '/');
}

/* The same for denies, which hold on file systems that fold case too. */
static bool is_beneath_nocase(struct str path, struct str root)
{
    if (root.n > path.n)
        return false;
    return str_eq_nocase((struct str){ path.p, root.n }, root) &&
           (path.n == root.n || root.n == 1 || path.p[root.n] == '/');
}

enum row_match { MATCH_NONE, MATCH_HOLDER, MATCH_WHOLE };

static bool component_matches(struct str want, struct str have, bool lock)
{
    if (str_eq(want, STR("*")))
        return true;
    if (lock && have.n == want.n + 5 && str_eq_nocase(str_skip(have, want.n), STR(".lock")))
        have.n = want.n;
    return str_eq_nocase(want, have);
}

/* Matches `row` from the start of `path`. With MATCH_WHOLE, *end is where the matched part ends. */
static enum row_match row_matches(struct str row, bool lock, struct str path, const char **end)
{
    struct str want, have;
    while (str_cut(&row, '/', &want)) {
        if (str_eq(want, STR("**"))) {
            if (!path.p)
                return MATCH_HOLDER;
            do {
                if (row_matches(row, lock, path, end) == MATCH_WHOLE)
                    return MATCH_WHOLE;
            } while (str_cut(&path, '/', &have) && path.p);
            return MATCH_NONE;
        }
        if (!str_cut(&path, '/', &have))
            return MATCH_HOLDER;
        if (!component_matches(want, have, lock && !row.p))
            return MATCH_NONE;
        *end = have.p + have.n;
    }
    return MATCH_WHOLE;
}

static bool row_is_off(const struct file_rules *r, const struct mandatory_row *row)
{
    if ((row->flags & ROW_CONFIG) && r->allow_git_config)
        return true;
    if (!(row->flags & ROW_SWITCH))
        return false;
    for (size_t i = 0; i < r->mandatory_off_count; i++)
        if (str_eq(row_pattern(row), str_of(r->mandatory_off[i])))
            return true;
    return false;
}

struct mandatory_hit {
    const struct mandatory_row *row; /* matched whole; NULL when none */
    const struct mandatory_row *holder;
    const struct mandatory_row *warn;
};

/* `from` is the length of the outermost write root: a name above it is the owner's own choice, as
 * when the root is /home/me/.cursor/worktrees/x. The root itself still counts. */
static struct mandatory_hit mandatory_find(const struct file_rules *r, struct str path, size_t from)
{
    struct mandatory_hit hit = { 0 };
    struct str rest = path, part;
    for (struct str at = rest; str_cut(&rest, '/', &part); at = rest) {
        if (part.n == 0 || (part.p[0] != '.' && !str_eq_nocase(part, STR("commondir"))))
            continue;
        for (size_t i = 0; i < MANDATORY_ROWS; i++) {
            const struct mandatory_row *row = &mandatory_rows[i];
            const char *end = NULL;
            enum row_match match = row_matches(row_pattern(row), row->flags & ROW_LOCK, at, &end);
            if (match == MATCH_NONE || row_is_off(r, row))
                continue;
            if (match == MATCH_HOLDER) {
                hit.holder = hit.holder ? hit.holder : row;
            } else if ((size_t)(end - path.p) >= from) {
                if (row->flags & ROW_WARN)
                    hit.warn = row;
                else if (!hit.row)
                    hit.row = row;
            }
        }
    }
    return hit;
}

static struct file_verdict denied(const char *rule)
{
    return (struct file_verdict){ .kind = FILE_DENIED, .rule = rule };
}

static struct file_verdict only(enum file_verdict_kind kind, const char *rule)
{
    return (struct file_verdict){ .kind = kind, .rule = rule };
}

static const char *pattern_denies(const struct file_rules *r, struct str path)
{
    /* A pattern that names a directory denies what is beneath it, so every ancestor is asked. */
    for (size_t n = 1; n <= path.n; n++) {
        if (n < path.n && path.p[n] != '/')
            continue;
        for (size_t i = 0; i < r->write_deny_pattern_count; i++)
            if (path_pattern_matches(r->write_deny_patterns[i], (struct str){ path.p, n }))
                return r->write_deny_pattern_rules[i];
    }
    return NULL;
}

/* Where the path stands among the roots. */
struct place {
    size_t deepest;   /* length of the innermost root around it, 0 = none */
    size_t outermost; /* length of the outermost write root around it */
    bool is_private;  /* the innermost root is ours and gone at exit */
    bool is_root;     /* the path is a root itself, and no other root is around it */
};

static struct place place_find(const struct file_rules *r, struct str path)
{
    struct place at = { .outermost = SIZE_MAX };
    size_t around = 0;
    for (size_t i = 0; i < r->write_root_count; i++) {
        struct str root = str_of(r->write_roots[i].path);
        if (!path_is_beneath(path, root))
            continue;
        around += root.n < path.n;
        if (root.n > at.deepest)
            at.deepest = root.n;
        if (root.n < at.outermost)
            at.outermost = root.n;
    }
    for (size_t i = 0; i < r->private_root_count; i++) {
        struct str root = str_of(r->private_roots[i].path);
        if (!path_is_beneath(path, root))
            continue;
        around += root.n < path.n;
        if (root.n >= at.deepest) {
            at.deepest = root.n;
            at.is_private = true;
        }
    }
    at.is_root = at.deepest && !around;
    return at;
}

enum file_place file_rules_place(const struct file_rules *r, struct str path)
{
    struct place at = place_find(r, path);
    if (!at.deepest)
        return FILE_OUTSIDE;
    return at.is_private ? FILE_IN_PRIVATE_ROOT : FILE_IN_WRITE_ROOT;
}

/* Hidden by the preset alone, not by a list. */
static bool is_preset(const char *rule)
{
    return strcmp(rule, FILE_RULE_HIDE_HOME) == 0;
}

/* Which denies count: all, or those that a list names. */
enum denies { DENIES_ALL, DENIES_OF_LISTS };

/* Names the entry of `list` that covers `path`, when it is not shorter than `at_least`. */
static const char *deny_covers(const struct file_rule_path *list, size_t count, struct str path,
                               size_t at_least, enum denies which)
{
    for (size_t i = 0; i < count; i++) {
        struct str deny = str_of(list[i].path);
        bool counts = which == DENIES_ALL || !is_preset(list[i].rule);
        if (counts && deny.n >= at_least && is_beneath_nocase(path, deny))
            return list[i].rule;
    }
    return NULL;
}

/* Names the entry of `list` that stands somewhere beneath `path` (contract 3.4.5). */
static const char *deny_beneath(const struct file_rule_path *list, size_t count, struct str path)
{
    for (size_t i = 0; i < count; i++) {
        struct str deny = str_of(list[i].path);
        if (deny.n > path.n && is_beneath_nocase(deny, path))
            return list[i].rule;
    }
    return NULL;
}

static const char *judge_lists(const struct file_rules *r, struct str path,
                               enum file_operation operation, const struct file_facts *facts,
                               size_t deepest, enum denies which)
{
    const char *rule = deny_covers(r->write_denies, r->write_deny_count, path, 0, which);
    /* A write root inside a hidden directory is put back, writable (contract 3.4.3 rule 4). */
    if (!rule)
        rule = deny_covers(r->read_denies, r->read_deny_count, path, deepest, which);
    if (!rule && r->write_deny_pattern_count)
        rule = pattern_denies(r, path);
    /* Moving, removing or linking an ancestor would put the denied name somewhere else; making it
     * as a directory, which is the only other way, puts nothing at the denied name. */
    if (!rule && operation != FILE_MKDIR && operation != FILE_WRITE) {
        rule = deny_beneath(r->write_denies, r->write_deny_count, path);
        if (!rule)
            rule = deny_beneath(r->read_denies, r->read_deny_count, path);
    }
    if (!rule && (operation == FILE_WRITE || operation == FILE_LINK_FROM) && facts->inode)
        for (size_t i = 0; i < r->denied_inode_count && !rule; i++)
            if (r->denied_inodes[i].inode == facts->inode &&
                r->denied_inodes[i].device == facts->device)
                rule = r->denied_inodes[i].rule;
    return rule;
}

static struct str last_component(struct str path)
{
    return str_skip(path, (size_t)(str_last_index(path, '/') + 1));
}

static bool name_or_lock(struct str name, struct str want)
{
    return component_matches(want, name, true);
}

/* Directories that git takes for a repository without their being called .git (T37). */
static const char *judge_bare(const struct file_rules *r, struct str name,
                              enum file_operation operation, const struct file_facts *facts)
{
    bool is_part = str_eq_nocase(name, STR("HEAD")) || str_eq_nocase(name, STR("objects")) ||
                   str_eq_nocase(name, STR("refs"));
    bool makes = operation == FILE_CREATE || operation == FILE_MKDIR ||
                 operation == FILE_RENAME_TO || operation == FILE_LINK_TO;
    bool takes = operation == FILE_REMOVE || operation == FILE_RENAME_FROM;
    if (facts->in_repository_hooks)
        return "mandatory hooks of a bare repository";
    if (is_part && makes && facts->parent_nearly_repository)
        return "mandatory bare repository made beside config or hooks";
    if (!facts->parent_is_repository)
        return NULL;
    /* Taking one of the three away would free config for the time until somebody puts it back. */
    if (is_part && takes)
        return "mandatory parts of a bare repository";
    if (str_eq_nocase(name, STR("hooks")))
        return "mandatory hooks of a bare repository";
    if (name_or_lock(name, STR("config.worktree")) ||
        (name_or_lock(name, STR("config")) && !r->allow_git_config))
        return "mandatory config of a bare repository";
    return NULL;
}

/* `.git` as a file names another repository: git may write a worktree's, and nothing else. */
static struct file_verdict judge_gitfile(struct str name, enum file_operation operation,
                                         const struct file_facts *facts)
{
    static const char rule[] = "mandatory .git";
    bool makes_file = operation == FILE_CREATE;
    bool removes_file = operation == FILE_REMOVE && !facts->is_directory;
    if ((makes_file || removes_file) && str_eq(name, STR(".git")))
        return only(FILE_ONLY_GITFILE, rule);
    if (operation == FILE_MKDIR || (operation == FILE_REMOVE && facts->is_directory) ||
        (operation == FILE_RENAME_TO && facts->is_directory))
        return (struct file_verdict){ .kind = FILE_ALLOWED };
    return denied(rule);
}

static struct file_verdict judge_holder(const struct mandatory_row *holder,
                                        enum file_operation operation,
                                        const struct file_facts *facts)
{
    bool stays = operation == FILE_MKDIR || operation == FILE_WRITE || operation == FILE_REMOVE ||
                 (operation == FILE_RENAME_TO && facts->is_directory);
    if (stays || (holder->flags & ROW_WARN))
        return (struct file_verdict){ .kind = FILE_ALLOWED };
    return denied(holder->rule);
}

static struct file_verdict judge_mandatory(const struct file_rules *r, struct str path,
                                           enum file_operation operation,
                                           const struct file_facts *facts, size_t from)
{
    struct str name = last_component(path);
    struct mandatory_hit hit = mandatory_find(r, path, from);
    if (hit.row) {
        bool pointer = (operation == FILE_CREATE || operation == FILE_REMOVE) &&
                       !facts->is_directory && path.p + path.n == name.p + name.n;
        if (pointer && (hit.row->flags & ROW_COMMONDIR) && str_eq(name, STR("commondir")))
            return only(FILE_ONLY_COMMONDIR, hit.row->rule);
        if (pointer && (hit.row->flags & ROW_GITDIR) && str_eq(name, STR("gitdir")))
            return only(FILE_ONLY_GITDIR, hit.row->rule);
        return denied(hit.row->rule);
    }
    const char *bare = judge_bare(r, name, operation, facts);
    if (bare)
        return denied(bare);
    if (str_eq_nocase(name, STR(".git")))
        return judge_gitfile(name, operation, facts);
    if (hit.holder)
        return judge_holder(hit.holder, operation, facts);
    return (struct file_verdict){ .kind = FILE_ALLOWED,
                                  .rule = hit.warn ? hit.warn->rule : NULL,
                                  .warn_only = hit.warn != NULL };
}

/* Denied for lying outside of all roots. Nobody is asked about a name that is dangerous anywhere. */
static struct file_verdict outside(const struct file_rules *r, struct str path,
                                   enum file_operation operation, const struct file_facts *facts,
                                   const char *rule)
{
    struct file_verdict verdict = denied(rule);
    struct file_verdict name = judge_mandatory(r, path, operation, facts, 0);
    verdict.askable = (operation == FILE_WRITE || operation == FILE_CREATE) &&
                      name.kind == FILE_ALLOWED && !name.warn_only;
    return verdict;
}

/* Contract 3.6: our own /dev, and of /proc what is about a process; the rest is the kernel's own (T33).
 * /dev/shm holds files like any other directory. */
static bool is_device_place(struct str path)
{
    const struct str processes = STR("/proc/");
    if (str_starts(path, processes) && path.n > processes.n)
        return path.p[processes.n] >= '1' && path.p[processes.n] <= '9';
    return path_is_beneath(path, STR("/dev")) && !path_is_beneath(path, STR("/dev/shm"));
}

struct file_verdict file_rules_judge(const struct file_rules *r, struct str path,
                                     enum file_operation operation, const struct file_facts *facts)
{
    CHECK(path.n > 0 && path.p[0] == '/');
    static const struct file_verdict allowed = { .kind = FILE_ALLOWED };
    if (r->disabled)
        return allowed;
    if (operation == FILE_WRITE && is_device_place(path))
        return allowed;
    struct place at = place_find(r, path);
    const char *rule = judge_lists(r, path, operation, facts, at.deepest, DENIES_ALL);
    if (rule && at.deepest == 0 && is_preset(rule) &&
        !judge_lists(r, path, operation, facts, 0, DENIES_OF_LISTS))
        return outside(r, path, operation, facts, rule);
    if (rule)
        return denied(rule);
    if (!at.deepest)
        return outside(r, path, operation, facts, "filesystem.allowWrite");
    if (at.is_root && operation != FILE_WRITE)
        return denied("filesystem.allowWrite");
    if (at.is_private)
        return allowed;
    return judge_mandatory(r, path, operation, facts, at.outermost);
}

/* Length of the longest part of `path` that the list opens. */
static size_t opened_to(const struct file_rule_path *list, size_t count, struct str path)
{
    size_t deepest = 0;
    for (size_t i = 0; i < count; i++) {
        struct str open = str_of(list[i].path);
        if (open.n > deepest && path_is_beneath(path, open))
            deepest = open.n;
    }
    return deepest;
}

static size_t longest(size_t a, size_t b)
{
    return a > b ? a : b;
}

static bool is_hide(const struct file_rules *r, const char *path)
{
    for (size_t i = 0; i < r->read_hide_count; i++)
        if (strcmp(r->read_hides[i].path, path) == 0)
            return true;
    return false;
}

/* How much of `path` is opened by whatever opens it last. A hidden directory that is writable inside is a
 * private root too, but what the host puts in its place is not. */
static size_t opened_length(const struct file_rules *r, struct str path)
{
    size_t opened = opened_to(r->write_roots, r->write_root_count, path);
    opened = longest(opened, opened_to(r->read_opens, r->read_open_count, path));
    for (size_t i = 0; i < r->private_root_count; i++)
        if (!is_hide(r, r->private_roots[i].path))
            opened = longest(opened, opened_to(&r->private_roots[i], 1, path));
    return opened;
}

/* What hides a path, most telling rule first: a deny list over a preset, because only about the
 * latter may anybody be asked. */
struct hiding {
    const char *list, *preset;
};

static void hide(struct hiding *h, const char *rule)
{
    if (is_preset(rule))
        h->preset = rule;
    else if (!h->list)
        h->list = rule;
}

static void hide_by_paths(struct hiding *h, const struct file_rule_path *list, size_t count,
                          struct str path, size_t opened)
{
    for (size_t i = 0; i < count; i++) {
        struct str deny = str_of(list[i].path);
        if (deny.n > opened && is_beneath_nocase(path, deny))
            hide(h, list[i].rule);
    }
}

static void hide_by_patterns(struct hiding *h, const struct file_rules *r, struct str path,
                             size_t opened)
{
    for (size_t n = opened + 1; n <= path.n; n++)
        for (size_t i = 0; i < r->read_deny_pattern_count; i++)
            if ((n == path.n || path.p[n] == '/') &&
                path_pattern_matches(r->read_deny_patterns[i], (struct str){ path.p, n }))
                hide(h, r->read_deny_pattern_rules[i]);
}

struct file_verdict file_rules_judge_read(const struct file_rules *r, struct str path,
                                          const struct file_facts *facts)
{
    CHECK(path.n > 0 && path.p[0] == '/');
    struct hiding h = { NULL, NULL };
    if (r->disabled)
        return (struct file_verdict){ .kind = FILE_ALLOWED };
    size_t opened = opened_length(r, path);
    hide_by_paths(&h, r->read_denies, r->read_deny_count, path, opened);
    hide_by_paths(&h, r->read_hides, r->read_hide_count, path, opened);
    if (r->read_deny_pattern_count)
        hide_by_patterns(&h, r, path, opened);
    for (size_t i = 0; facts->inode && !h.list && i < r->hidden_inode_count; i++)
        if (r->hidden_inodes[i].inode == facts->inode &&
            r->hidden_inodes[i].device == facts->device)
            hide(&h, r->hidden_inodes[i].rule);
    if (!h.list && !h.preset)
        return (struct file_verdict){ .kind = FILE_ALLOWED };
    struct file_verdict verdict = denied(h.list ? h.list : h.preset);
    verdict.askable = !h.list;
    return verdict;
}

bool file_rules_is_holder(struct str name)
{
    if (name.n == 0 || name.p[0] != '.')
        return false;
    for (size_t i = 0; i < MANDATORY_ROWS; i++) {
        struct str row = row_pattern(&mandatory_rows[i]), first;
        if (str_cut(&row, '/', &first) && component_matches(first, name, false))
            return true;
    }
    return false;
}

const char *file_rules_judge_moved(const struct file_rules *r, struct str new_path,
                                   struct str relative)
{
    char text[2 * PATH_MAX];
    struct file_facts facts = { .is_directory = str_ends(relative, STR("/")) };
    relative.n -= facts.is_directory;
    if (new_path.n + 1 + relative.n > sizeof text)
        return "path too long to be judged";
    memcpy(text, new_path.p, new_path.n);
    text[new_path.n] = '/';
    memcpy(text + new_path.n + 1, relative.p, relative.n);
    struct file_verdict verdict =
        file_rules_judge(r, (struct str){ text, new_path.n + 1 + relative.n },
                         facts.is_directory ? FILE_MKDIR : FILE_CREATE, &facts);
    return verdict.kind == FILE_ALLOWED ? NULL : verdict.rule;
}
