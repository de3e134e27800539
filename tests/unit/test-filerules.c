#include "core/filerules.h"

#include "base/arena.h"
#include "core/path_pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { N_OPERATIONS = FILE_LINK_TO + 1 };

static const struct file_rule_path work[] = { { "/w", "filesystem.allowWrite[0]" } };
static const struct file_rules plain = { .write_roots = work, .write_root_count = 1 };

static struct file_verdict judge(const struct file_rules *r, const char *path,
                                 enum file_operation operation)
{
    struct file_facts facts = { 0 };
    return file_rules_judge(r, str_of(path), operation, &facts);
}

static bool is_denied(const struct file_rules *r, const char *path, enum file_operation operation)
{
    struct file_verdict v = judge(r, path, operation);
    if (v.kind == FILE_DENIED)
        assert_non_null(v.rule);
    return v.kind == FILE_DENIED;
}

/* Every name of contract 3.5, and where it is one: something beneath it. */
static const char *const always[] = {
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
    ".vscode/tasks.json",
    ".idea",
    ".idea/a/b",
    ".claude/commands",
    ".claude/commands/x.md",
    ".claude/agents",
    ".claude/agents/x",
    ".git/hooks",
    ".git/hooks/pre-commit",
    ".git/config",
    ".git/config.lock",
    ".git/commondir",
    ".git/config.worktree",
    ".git/config.worktree.lock",
    ".git/modules/m/config",
    ".git/modules/a/b/c/config",
    ".git/modules/m/config.lock",
    ".git/modules/m/hooks",
    ".git/modules/a/b/hooks/post-checkout",
    ".git/modules/m/commondir",
    ".git/modules/m/config.worktree",
    ".git/worktrees/t/config.worktree",
    ".git/worktrees/t/config",
    ".git/worktrees/t/hooks/x",
    "anything/commondir",
};

static const char *const switchable[] = {
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
    ".devcontainer",
};

static const char *const depths[] = {
    "/w",         "/w/a",           "/w/a/b",           "/w/node_modules/.bin",
    "/w/a/b/c/d", "/w/a/b/c/d/e/f", "/w/a\nb/\xff\xfe", "/w/-rf/.hidden",
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void every_mandatory_name_is_denied_at_any_depth_to_every_operation(void **state)
{
    for (size_t d = 0; d < COUNT(depths); d++)
        for (size_t n = 0; n < COUNT(always) + COUNT(switchable); n++)
            for (int o = 0; o < N_OPERATIONS; o++) {
                char path[512];
                const char *name = n < COUNT(always) ? always[n] : switchable[n - COUNT(always)];
                snprintf(path, sizeof path, "%s/%s", depths[d], name);
                if (!is_denied(&plain, path, (enum file_operation)o))
                    fail_msg("operation %d on %s", o, path);
            }
}

static void names_are_compared_without_case(void **state)
{
    static const char *const names[] = { "/w/.GIT/HOOKS/x",    "/w/.Git/Config", "/w/.BashRC",
                                         "/w/.vsCode/x",       "/w/.Mcp.Json",   "/w/a/COMMONDIR",
                                         "/w/.git/CONFIG.LOCK" };
    for (size_t i = 0; i < COUNT(names); i++)
        assert_true(is_denied(&plain, names[i], FILE_CREATE));
}

static void names_that_only_look_alike_are_free(void **state)
{
    static const char *const names[] = {
        "/w/bashrc",
        "/w/.bashrc2",
        "/w/.bashr",
        "/w/x.bashrc",
        "/w/.gitignore",
        "/w/.gitattributes",
        "/w/.github/x",
        "/w/git/config",
        "/w/.git/x",
        "/w/.git/index",
        "/w/.git/HEAD",
        "/w/.git/objects/config",
        "/w/.git/refs/heads/hooks",
        "/w/.claude/x",
        "/w/commands",
        "/w/config",
        "/w/hooks/x",
        "/w/.git/logs/refs/heads/config",
        "/w/.bashrc.lock",
        "/w/gitdir",
        "/w/.git/modules/m/index",
        "/w/.git/modules/m/objects/x",
        "/w/.git/worktrees/t/HEAD",
        "/w/.git/worktrees/t/index",
        "/w/.vscode-test/x",
    };
    for (size_t i = 0; i < COUNT(names); i++)
        if (is_denied(&plain, names[i], FILE_CREATE))
            fail_msg("%s", names[i]);
}

static void each_switchable_name_can_be_switched_off_alone(void **state)
{
    for (size_t n = 0; n < COUNT(switchable); n++) {
        struct file_rules r = plain;
        r.mandatory_off = &switchable[n];
        r.mandatory_off_count = 1;
        for (size_t k = 0; k < COUNT(switchable); k++) {
            char path[128];
            snprintf(path, sizeof path, "/w/x/%s", switchable[k]);
            assert_int_equal(is_denied(&r, path, FILE_CREATE), k != n);
        }
    }
}

static void fixed_names_cannot_be_switched_off(void **state)
{
    for (size_t n = 0; n < COUNT(always); n++) {
        struct file_rules r = plain;
        char path[128];
        r.mandatory_off = &always[n];
        r.mandatory_off_count = 1;
        snprintf(path, sizeof path, "/w/%s", always[n]);
        assert_true(is_denied(&r, path, FILE_WRITE));
    }
}

static void allow_git_config_frees_config_and_not_hooks(void **state)
{
    struct file_rules r = plain;
    r.allow_git_config = true;
    assert_false(is_denied(&r, "/w/.git/config", FILE_RENAME_TO));
    assert_false(is_denied(&r, "/w/.git/config.lock", FILE_CREATE));
    assert_true(is_denied(&r, "/w/.git/hooks/x", FILE_CREATE));
    assert_true(is_denied(&r, "/w/.git/modules/m/config", FILE_CREATE));
    assert_true(is_denied(&r, "/w/.git/config.worktree", FILE_CREATE));
}

static void workflows_are_allowed_with_a_warning(void **state)
{
    struct file_verdict v = judge(&plain, "/w/.github/workflows/ci.yml", FILE_CREATE);
    assert_int_equal(v.kind, FILE_ALLOWED);
    assert_true(v.warn_only);
    assert_string_equal(v.rule, "mandatory .github/workflows");
    assert_false(judge(&plain, "/w/.github/x", FILE_CREATE).warn_only);
    const char *off = ".github/workflows";
    struct file_rules r = plain;
    r.mandatory_off = &off;
    r.mandatory_off_count = 1;
    assert_false(judge(&r, "/w/.github/workflows/ci.yml", FILE_CREATE).warn_only);
}

static void only_what_lies_beneath_a_root_may_change(void **state)
{
    static const char *const outside[] = { "/", "/etc/passwd", "/wx", "/w2/x", "/home/w", "/w" };
    for (size_t i = 0; i < COUNT(outside); i++)
        for (int o = 0; o < N_OPERATIONS; o++)
            if (!(o == FILE_WRITE && i == COUNT(outside) - 1))
                assert_true(is_denied(&plain, outside[i], (enum file_operation)o));
    for (int o = 0; o < N_OPERATIONS; o++)
        assert_false(is_denied(&plain, "/w/x", (enum file_operation)o));
}

static void a_root_may_be_a_file(void **state)
{
    static const struct file_rule_path file[] = { { "/etc/one", "r" } };
    struct file_rules r = { .write_roots = file, .write_root_count = 1 };
    assert_false(is_denied(&r, "/etc/one", FILE_WRITE));
    assert_true(is_denied(&r, "/etc/one", FILE_REMOVE));
    assert_true(is_denied(&r, "/etc/one", FILE_RENAME_TO));
    assert_true(is_denied(&r, "/etc/one2", FILE_WRITE));
}

static void a_deny_holds_beneath_it_and_pins_what_is_above_it(void **state)
{
    static const struct file_rule_path deny[] = { { "/w/a/b/secret", "filesystem.denyWrite[0]" } };
    static const struct {
        const char *path;
        enum file_operation operation;
        bool denied;
    } cases[] = {
        { "/w/a/b/secret", FILE_WRITE, true },  { "/w/a/b/secret", FILE_CREATE, true },
        { "/w/a/b/secret", FILE_MKDIR, true },  { "/w/a/b/secret/x", FILE_CREATE, true },
        { "/w/a/b/SECRET", FILE_CREATE, true }, { "/w/a/b/secret2", FILE_CREATE, false },
        { "/w/a/b", FILE_RENAME_FROM, true },   { "/w/a", FILE_RENAME_FROM, true },
        { "/w/a", FILE_REMOVE, true },          { "/w/a", FILE_RENAME_TO, true },
        { "/w/a", FILE_CREATE, true },          { "/w/a/b", FILE_LINK_TO, true },
        { "/w/a", FILE_MKDIR, false },          { "/w/a/c", FILE_RENAME_FROM, false },
        { "/w/a/c", FILE_CREATE, false },
    };
    for (int as_read = 0; as_read < 2; as_read++) {
        struct file_rules r = plain;
        *(as_read ? &r.read_denies : &r.write_denies) = deny;
        *(as_read ? &r.read_deny_count : &r.write_deny_count) = 1;
        for (size_t i = 0; i < COUNT(cases); i++)
            if (is_denied(&r, cases[i].path, cases[i].operation) != cases[i].denied)
                fail_msg("%d: operation %d on %s", as_read, cases[i].operation, cases[i].path);
    }
}

static void a_write_root_inside_a_hidden_directory_is_writable(void **state)
{
    static const struct file_rule_path hidden[] = { { "/home", "h" }, { "/home/me/p/.env", "e" } };
    static const struct file_rule_path root[] = { { "/home/me/p", "r" } };
    struct file_rules r = {
        .write_roots = root, .write_root_count = 1, .read_denies = hidden, .read_deny_count = 2
    };
    assert_false(is_denied(&r, "/home/me/p/x", FILE_CREATE));
    assert_true(is_denied(&r, "/home/me/p/.env", FILE_WRITE));
    assert_true(is_denied(&r, "/home/me/q", FILE_CREATE));
}

static void a_write_deny_above_a_root_wins(void **state)
{
    static const struct file_rule_path deny[] = { { "/w", "d" } };
    struct file_rules r = plain;
    r.write_denies = deny;
    r.write_deny_count = 1;
    assert_true(is_denied(&r, "/w/x", FILE_CREATE));
}

static void private_roots_know_no_mandatory_names(void **state)
{
    static const struct file_rule_path ours[] = { { "/tmp/claude", "p" } };
    static const struct file_rule_path inner[] = { { "/tmp/claude/host", "r" } };
    struct file_rules r = {
        .write_roots = inner, .write_root_count = 1, .private_roots = ours, .private_root_count = 1
    };
    assert_false(is_denied(&r, "/tmp/claude/x/.git/config", FILE_CREATE));
    assert_false(is_denied(&r, "/tmp/claude/.bashrc", FILE_CREATE));
    assert_true(is_denied(&r, "/tmp/claude/host/.git/config", FILE_CREATE));
    assert_int_equal(file_rules_place(&r, STR("/tmp/claude/x")), FILE_IN_PRIVATE_ROOT);
    assert_int_equal(file_rules_place(&r, STR("/tmp/claude/host/x")), FILE_IN_WRITE_ROOT);
    assert_int_equal(file_rules_place(&r, STR("/tmp/x")), FILE_OUTSIDE);
}

static void a_dangerous_name_above_the_root_does_not_count(void **state)
{
    static const struct file_rule_path roots[] = { { "/h/.cursor/trees/x", "r" } };
    static const struct file_rule_path both[] = { { "/w/.vscode/ext", "r" }, { "/w", "r" } };
    static const struct file_rule_path git[] = { { "/w/.git", "r" } };
    struct file_rules r = { .write_roots = roots, .write_root_count = 1 };
    assert_false(is_denied(&r, "/h/.cursor/trees/x/f", FILE_CREATE));
    assert_true(is_denied(&r, "/h/.cursor/trees/x/.cursor/f", FILE_CREATE));
    r = (struct file_rules){ .write_roots = both, .write_root_count = 2 };
    assert_true(is_denied(&r, "/w/.vscode/ext/f", FILE_CREATE));
    r = (struct file_rules){ .write_roots = git, .write_root_count = 1 };
    assert_true(is_denied(&r, "/w/.git/hooks/x", FILE_CREATE));
    assert_false(is_denied(&r, "/w/.git/index", FILE_CREATE));
}

static void holders_stay_and_take_no_other_shape(void **state)
{
    struct file_facts directory = { .is_directory = true };
    static const char *const holders[] = { "/w/.claude", "/w/a/.git/info", "/w/.git/modules",
                                           "/w/.git/worktrees", "/w/.git/worktrees/t" };
    for (size_t i = 0; i < COUNT(holders); i++) {
        struct str path = str_of(holders[i]);
        assert_int_equal(file_rules_judge(&plain, path, FILE_RENAME_FROM, &directory).kind,
                         FILE_DENIED);
        assert_int_equal(file_rules_judge(&plain, path, FILE_RENAME_TO, &directory).kind,
                         FILE_ALLOWED);
        assert_int_equal(file_rules_judge(&plain, path, FILE_MKDIR, &directory).kind, FILE_ALLOWED);
        assert_true(is_denied(&plain, holders[i], FILE_CREATE));
        assert_true(is_denied(&plain, holders[i], FILE_RENAME_TO));
        assert_true(is_denied(&plain, holders[i], FILE_LINK_TO));
    }
    struct str git = STR("/w/.git");
    assert_int_equal(file_rules_judge(&plain, git, FILE_RENAME_FROM, &directory).kind, FILE_DENIED);
    assert_int_equal(file_rules_judge(&plain, git, FILE_MKDIR, &directory).kind, FILE_ALLOWED);
}

static void git_may_write_its_pointers_and_nobody_may_change_them(void **state)
{
    static const struct {
        const char *path;
        enum file_verdict_kind kind;
    } cases[] = {
        { "/w/wt/.git", FILE_ONLY_GITFILE },
        { "/w/.git/worktrees/wt/commondir", FILE_ONLY_COMMONDIR },
        { "/w/.git/worktrees/wt/gitdir", FILE_ONLY_GITDIR },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(judge(&plain, cases[i].path, FILE_CREATE).kind, cases[i].kind);
        assert_int_equal(judge(&plain, cases[i].path, FILE_REMOVE).kind, cases[i].kind);
        for (int o = 0; o < N_OPERATIONS; o++)
            if (o != FILE_CREATE && o != FILE_REMOVE && o != FILE_MKDIR)
                assert_true(is_denied(&plain, cases[i].path, (enum file_operation)o));
    }
    assert_true(is_denied(&plain, "/w/wt/.GIT", FILE_CREATE));
    assert_true(is_denied(&plain, "/w/.git/worktrees/wt/CommonDir", FILE_CREATE));
    assert_true(is_denied(&plain, "/w/.git/worktrees/a/b/commondir", FILE_CREATE));
}

static void bare_repositories_keep_their_config_and_hooks(void **state)
{
    struct file_facts bare = { .parent_is_repository = true };
    struct file_facts nearly = { .parent_nearly_repository = true };
    struct file_facts inside = { .in_repository_hooks = true };
    static const char *const kept[] = { "/w/r/config", "/w/r/config.lock", "/w/r/hooks",
                                        "/w/r/config.worktree", "/w/r/CONFIG" };
    for (size_t i = 0; i < COUNT(kept); i++)
        for (int o = 0; o < N_OPERATIONS; o++)
            assert_int_equal(
                file_rules_judge(&plain, str_of(kept[i]), (enum file_operation)o, &bare).kind,
                FILE_DENIED);
    static const char *const parts[] = { "/w/r/HEAD", "/w/r/objects", "/w/r/refs" };
    for (size_t i = 0; i < COUNT(parts); i++) {
        struct str part = str_of(parts[i]);
        assert_int_equal(file_rules_judge(&plain, part, FILE_MKDIR, &nearly).kind, FILE_DENIED);
        assert_int_equal(file_rules_judge(&plain, part, FILE_RENAME_TO, &nearly).kind, FILE_DENIED);
        assert_int_equal(file_rules_judge(&plain, part, FILE_RENAME_FROM, &bare).kind, FILE_DENIED);
        assert_int_equal(file_rules_judge(&plain, part, FILE_RENAME_TO, &bare).kind, FILE_ALLOWED);
    }
    assert_int_equal(file_rules_judge(&plain, STR("/w/r/hooks/x"), FILE_CREATE, &inside).kind,
                     FILE_DENIED);
    assert_int_equal(file_rules_judge(&plain, STR("/w/r/packed-refs"), FILE_CREATE, &bare).kind,
                     FILE_ALLOWED);
}

static void a_second_name_of_a_denied_file_is_not_written(void **state)
{
    static const struct file_rule_inode inodes[] = { { .device = 7, .inode = 42, .rule = "i" } };
    struct file_rules r = plain;
    struct file_facts facts = { .device = 7, .inode = 42 };
    r.denied_inodes = inodes;
    r.denied_inode_count = 1;
    assert_int_equal(file_rules_judge(&r, STR("/w/a"), FILE_WRITE, &facts).kind, FILE_DENIED);
    assert_int_equal(file_rules_judge(&r, STR("/w/a"), FILE_LINK_FROM, &facts).kind, FILE_DENIED);
    facts.device = 8;
    assert_int_equal(file_rules_judge(&r, STR("/w/a"), FILE_WRITE, &facts).kind, FILE_ALLOWED);
}

static void patterns_hold_for_names_that_are_made_later(void **state)
{
    AUTO_ARENA arena;
    struct path_pattern *p;
    struct err e;
    arena_init(&arena, 1 << 20);
    assert_int_equal(path_pattern_compile(&arena, STR("/w/**/*.key"), &p, &e), 0);
    const struct path_pattern *const list[] = { p };
    const char *const names[] = { "filesystem.denyWrite[3]" };
    struct file_rules r = plain;
    r.write_deny_patterns = list;
    r.write_deny_pattern_rules = names;
    r.write_deny_pattern_count = 1;
    assert_true(is_denied(&r, "/w/a.key", FILE_CREATE));
    assert_true(is_denied(&r, "/w/d/a.key", FILE_RENAME_TO));
    assert_true(is_denied(&r, "/w/d.key/inside", FILE_CREATE));
    assert_false(is_denied(&r, "/w/a.keys", FILE_CREATE));
    assert_string_equal(file_rules_judge_moved(&r, STR("/w/n"), STR("x/y.key")), names[0]);
}

static void what_a_moved_directory_brings_is_judged_where_it_arrives(void **state)
{
    static const struct {
        const char *to, *entry;
        bool denied;
    } cases[] = {
        { "/w/.git", "config", true },
        { "/w/.git", "hooks/", true },
        { "/w/.git", "HEAD", false },
        { "/w/.git", "objects/", false },
        { "/w/.git", "modules/", false },
        { "/w/.git", "modules", true },
        { "/w/.git", "worktrees/t/gitdir", true },
        { "/w/.claude", "settings.json", true },
        { "/w/.claude", "x.json", false },
        { "/w/d", ".bashrc", true },
        { "/w/d", ".git", true },
        { "/w/d", ".git/", false },
        { "/w/d", "sub/.git/config", true },
        { "/w/d", "x/y", false },
        { "/w/.git/info", "attributes", true },
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (!!file_rules_judge_moved(&plain, str_of(cases[i].to), str_of(cases[i].entry)) !=
            cases[i].denied)
            fail_msg("%s into %s", cases[i].entry, cases[i].to);
}

static void a_holder_is_known_by_its_name(void **state)
{
    static const char *const yes[] = { ".git", ".GIT", ".claude", ".github", ".vscode", ".husky" };
    static const char *const no[] = { "git", ".gitignore", "", ".", "info", "modules" };
    for (size_t i = 0; i < COUNT(yes); i++)
        assert_true(file_rules_is_holder(str_of(yes[i])));
    for (size_t i = 0; i < COUNT(no); i++)
        assert_false(file_rules_is_holder(str_of(no[i])));
}

static void devices_and_proc_may_be_written_but_nothing_made_there(void **state)
{
    assert_false(is_denied(&plain, "/dev/null", FILE_WRITE));
    assert_false(is_denied(&plain, "/dev/pts/3", FILE_WRITE));
    assert_false(is_denied(&plain, "/proc/7/comm", FILE_WRITE));
    assert_true(is_denied(&plain, "/proc/sys/kernel/core_pattern", FILE_WRITE));
    assert_true(is_denied(&plain, "/proc/sysrq-trigger", FILE_WRITE));
    assert_true(is_denied(&plain, "/dev/shm/x", FILE_WRITE));
    assert_true(is_denied(&plain, "/dev/x", FILE_CREATE));
    assert_true(is_denied(&plain, "/dev/null", FILE_REMOVE));
}

static void with_the_rules_disabled_everything_is_allowed(void **state)
{
    struct file_rules r = { .disabled = true };
    for (int o = 0; o < N_OPERATIONS; o++)
        assert_false(is_denied(&r, "/etc/.git/config", (enum file_operation)o));
}

static void very_long_paths_are_judged_too(void **state)
{
    char path[4096 + 64] = "/w";
    size_t n = 2;
    while (n + 2 < 4000) {
        memcpy(path + n, "/.", 2);
        memcpy(path + n + 2, "x", 2);
        n += 3;
    }
    snprintf(path + n, sizeof path - n, "/.git/hooks/x");
    assert_true(is_denied(&plain, path, FILE_CREATE));
    for (size_t i = 0; i < 300; i++)
        memcpy(path + 2 + i * 5, "/.git", 6);
    assert_int_equal(judge(&plain, path, FILE_CREATE).kind, FILE_ONLY_GITFILE);
}

static void reads_are_judged_as_the_mounts_show_them(void **state)
{
    struct arena arena;
    struct path_pattern *p;
    struct err e;
    arena_init(&arena, 1 << 20);
    assert_int_equal(path_pattern_compile(&arena, STR("/w/**/.env"), &p, &e), 0);
    const struct path_pattern *const patterns[] = { p };
    static const char *const pattern_rules[] = { "filesystem.denyRead[9]" };
    static const struct file_rule_path denies[] = { { "/home", "filesystem.denyRead[0]" },
                                                    { "/w/in/secret", "filesystem.denyRead[1]" },
                                                    { "/u", FILE_RULE_HIDE_HOME },
                                                    { "/u/.ssh", "filesystem.denyRead[2]" } };
    static const struct file_rule_path hides[] = { { "/w/gone", "filesystem.denyRead[3]" } };
    static const struct file_rule_path opens[] = { { "/home/me/src", "filesystem.allowRead[0]" },
                                                   { "/w/pub/.env", "filesystem.allowRead[1]" } };
    static const struct file_rule_path private[] = { { "/w/gone", "filesystem.denyRead[3]" },
                                                     { "/home/tmp", "built-in TMPDIR" } };
    static const struct file_rule_inode inodes[] = { { 7, 42, "filesystem.denyRead[4]" } };
    const struct file_rules r = { .write_roots = work,
                                  .write_root_count = 1,
                                  .read_denies = denies,
                                  .read_deny_count = 4,
                                  .read_hides = hides,
                                  .read_hide_count = 1,
                                  .read_opens = opens,
                                  .read_open_count = 2,
                                  .private_roots = private,
                                  .private_root_count = 2,
                                  .read_deny_patterns = patterns,
                                  .read_deny_pattern_rules = pattern_rules,
                                  .read_deny_pattern_count = 1,
                                  .hidden_inodes = inodes,
                                  .hidden_inode_count = 1 };
    static const struct {
        const char *path, *rule; /* NULL: may be read */
        bool askable;
        ino_t inode;
    } rows[] = {
        { "/etc/passwd", NULL, false, 1 },
        { "/home", "filesystem.denyRead[0]", false, 1 },
        { "/home/you/x", "filesystem.denyRead[0]", false, 1 },
        { "/HOME/you/x", "filesystem.denyRead[0]", false, 1 },
        { "/homer", NULL, false, 1 },
        { "/home/me/src", NULL, false, 1 },
        { "/home/me/src/a/b", NULL, false, 1 },
        { "/home/me/srcs", "filesystem.denyRead[0]", false, 1 },
        { "/home/tmp/x", NULL, false, 1 },
        { "/w/in/secret", "filesystem.denyRead[1]", false, 1 },
        { "/w/gone/x", "filesystem.denyRead[3]", false, 1 }, /* private, but the host's by now */
        { "/w/a/.env", "filesystem.denyRead[9]", false, 1 },
        { "/w/a/.env/x", "filesystem.denyRead[9]", false, 1 },
        { "/w/pub/.env", NULL, false, 1 },
        { "/etc/alias", "filesystem.denyRead[4]", false, 42 },
        { "/u/.cargo/config", FILE_RULE_HIDE_HOME, true, 1 },
        { "/u/.ssh/id", "filesystem.denyRead[2]", false, 1 },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct file_facts facts = { .device = 7, .inode = rows[i].inode };
        struct file_verdict v = file_rules_judge_read(&r, str_of(rows[i].path), &facts);
        assert_int_equal(v.kind, rows[i].rule ? FILE_DENIED : FILE_ALLOWED);
        assert_int_equal(v.askable, rows[i].askable);
        if (rows[i].rule)
            assert_string_equal(v.rule, rows[i].rule);
    }
    arena_release(&arena);
}

static void a_person_may_be_asked_only_about_what_nothing_denies(void **state)
{
    static const struct file_rule_path write_denies[] = { { "/etc/no",
                                                            "filesystem.denyWrite[0]" } };
    static const struct file_rule_path read_denies[] = { { "/u", FILE_RULE_HIDE_HOME },
                                                         { "/u/.ssh", "filesystem.denyRead[1]" },
                                                         { "/etc/hid", "filesystem.denyRead[0]" } };
    const struct file_rules r = { .write_roots = work,
                                  .write_root_count = 1,
                                  .write_denies = write_denies,
                                  .write_deny_count = 1,
                                  .read_denies = read_denies,
                                  .read_deny_count = 3 };
    static const char *const never[] = { "/etc/no",
                                         "/etc/no/x",
                                         "/etc/hid/x",
                                         "/etc/.bashrc",
                                         "/h/.profile",
                                         "/x/.git/hooks/pre-commit",
                                         "/x/.git/config",
                                         "/x/.git",
                                         "/x/commondir",
                                         "/w/.bashrc",
                                         "/x/.github/workflows/ci.yml" };
    assert_true(judge(&r, "/etc/motd", FILE_WRITE).askable);
    assert_true(judge(&r, "/etc/new", FILE_CREATE).askable);
    assert_true(judge(&r, "/u/.cargo/config", FILE_CREATE).askable);
    for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
        assert_false(judge(&r, never[i], FILE_WRITE).askable);
        assert_false(judge(&r, never[i], FILE_CREATE).askable);
    }
    assert_false(judge(&r, "/w/x", FILE_WRITE).askable);
    for (int operation = FILE_MKDIR; operation < N_OPERATIONS; operation++)
        assert_false(judge(&r, "/etc/motd", (enum file_operation)operation).askable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_mandatory_name_is_denied_at_any_depth_to_every_operation),
        cmocka_unit_test(names_are_compared_without_case),
        cmocka_unit_test(names_that_only_look_alike_are_free),
        cmocka_unit_test(each_switchable_name_can_be_switched_off_alone),
        cmocka_unit_test(fixed_names_cannot_be_switched_off),
        cmocka_unit_test(allow_git_config_frees_config_and_not_hooks),
        cmocka_unit_test(workflows_are_allowed_with_a_warning),
        cmocka_unit_test(only_what_lies_beneath_a_root_may_change),
        cmocka_unit_test(a_root_may_be_a_file),
        cmocka_unit_test(a_deny_holds_beneath_it_and_pins_what_is_above_it),
        cmocka_unit_test(a_write_root_inside_a_hidden_directory_is_writable),
        cmocka_unit_test(a_write_deny_above_a_root_wins),
        cmocka_unit_test(private_roots_know_no_mandatory_names),
        cmocka_unit_test(a_dangerous_name_above_the_root_does_not_count),
        cmocka_unit_test(holders_stay_and_take_no_other_shape),
        cmocka_unit_test(git_may_write_its_pointers_and_nobody_may_change_them),
        cmocka_unit_test(bare_repositories_keep_their_config_and_hooks),
        cmocka_unit_test(a_second_name_of_a_denied_file_is_not_written),
        cmocka_unit_test(patterns_hold_for_names_that_are_made_later),
        cmocka_unit_test(what_a_moved_directory_brings_is_judged_where_it_arrives),
        cmocka_unit_test(a_holder_is_known_by_its_name),
        cmocka_unit_test(devices_and_proc_may_be_written_but_nothing_made_there),
        cmocka_unit_test(with_the_rules_disabled_everything_is_allowed),
        cmocka_unit_test(very_long_paths_are_judged_too),
        cmocka_unit_test(reads_are_judged_as_the_mounts_show_them),
        cmocka_unit_test(a_person_may_be_asked_only_about_what_nothing_denies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
