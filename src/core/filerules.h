/* filerules.h - may this name be made, changed or removed? Decided by name, at the moment of the call.
 *
 * Pure: paths come in as bytes, a verdict goes out (sandbox contract 3.4.4, 3.4.5, 3.5). The warden
 * asks for every call of the command that makes, opens for writing, moves or removes a name, and
 * performs the call itself when the verdict allows it. Names are bytes, never lines or text. They
 * are compared after ASCII case folding, because some file systems fold (T35).
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* One path of the plan. `path` is absolute and canonical as seen inside the sandbox, without a
 * trailing '/'. */
struct file_rule_path {
    const char *path;
    const char
        *rule; /* the settings entry it comes from, for messages: "filesystem.denyWrite[2]" */
};

/* An inode that must not be written under any of its names (contract 3.4.1, hard links). */
struct file_rule_inode {
    dev_t device;
    ino_t inode;
    const char *rule;
};

/* A compiled path pattern that also holds for files made later. */
struct path_pattern;

struct file_rules {
    const struct file_rule_path *write_roots; /* allowed write paths */
    size_t write_root_count;
    const struct file_rule_path *write_denies; /* each path and everything beneath it */
    size_t write_deny_count;
    const struct path_pattern *const *write_deny_patterns;
    const char *const *write_deny_pattern_rules;
    size_t write_deny_pattern_count;
    const struct file_rule_path *read_denies; /* hidden paths: also never written, made or moved */
    size_t read_deny_count;
    const struct file_rule_inode *denied_inodes;
    size_t denied_inode_count;
    /* For file_rules_judge_read alone (x.filesystem.strictHide, x.ask.files): more hidden paths, what is
     * opened again beneath them beside the write and private roots, patterns, and hidden inodes. */
    const struct file_rule_path *read_hides, *read_opens;
    size_t read_hide_count, read_open_count;
    const struct path_pattern *const *read_deny_patterns;
    const char *const *read_deny_pattern_rules;
    size_t read_deny_pattern_count;
    const struct file_rule_inode *hidden_inodes;
    size_t hidden_inode_count;
    const struct file_rule_path
        *private_roots; /* tmpfs of ours, gone at exit: no mandatory names */
    size_t private_root_count;
    bool allow_git_config;            /* filesystem.allowGitConfig */
    bool disabled;                    /* filesystem.disabled: everything is allowed */
    const char *const *mandatory_off; /* names of x.mandatory.off, each checked by the settings */
    size_t mandatory_off_count;
};

enum file_operation {
    FILE_WRITE,       /* open an existing file for writing, truncate it */
    FILE_CREATE,      /* make a regular file, fifo, socket, or a symlink */
    FILE_MKDIR,       /* make a directory */
    FILE_REMOVE,      /* unlink, rmdir */
    FILE_RENAME_FROM, /* the old name of a rename (and both names of an exchange) */
    FILE_RENAME_TO,   /* the new name of a rename (and both names of an exchange) */
    FILE_LINK_FROM,   /* the existing name of a hard link */
    FILE_LINK_TO,     /* the new name of a hard link */
};

/* What the caller can say about the object; unknown facts are false. */
struct file_facts {
    bool is_directory; /* the object that is moved or removed is a directory */
    dev_t device;      /* of the existing object, 0 when there is none */
    ino_t inode;
    bool parent_is_repository; /* the parent holds HEAD, objects and refs (a bare repository) */
    bool
        parent_nearly_repository; /* making `name` would complete such a set beside config or hooks */
    bool
        in_repository_hooks; /* the parent is the hooks directory of such a repository, or beneath it */
};

enum file_verdict_kind {
    FILE_ALLOWED,
    FILE_DENIED,
    /* Allowed with one content only (contract 3.5: new worktrees must still work). For FILE_CREATE
     * of a regular file, and for FILE_REMOVE, where it is the present content that must be so: */
    FILE_ONLY_COMMONDIR, /* .git/worktrees/NAME/commondir, exactly "../..\n" */
    FILE_ONLY_GITDIR,    /* .git/worktrees/NAME/gitdir: one absolute path that ends in "/.git" */
    FILE_ONLY_GITFILE,   /* .git as a file: "gitdir: <repository>/.git/worktrees/NAME" */
};

struct file_verdict {
    enum file_verdict_kind kind;
    const char *
        rule; /* for FILE_DENIED: which entry, such as "mandatory .git/hooks"; static or borrowed */
    bool warn_only; /* allowed, but worth a line in the audit (.github/workflows) */
    /* FILE_DENIED for no more than lying outside of what the settings open: no list and no mandatory
     * name denies it, so a person may be asked (contract 8). */
    bool askable;
};

/* Judges one name. `path` is the canonical absolute path of the name inside the sandbox (the parent
 * resolved through every link, the last component as it is). */
struct file_verdict file_rules_judge(const struct file_rules *r, struct str path,
                                     enum file_operation operation, const struct file_facts *facts);

/* Judges the opening of an existing object for reading, when the kernel is not left to judge it by
 * mounts alone: by name, as the mounts of the plan show it, and by inode (contract 3.4.1, 3.4.4).
 * `path` is canonical. FILE_ALLOWED or FILE_DENIED. */
struct file_verdict file_rules_judge_read(const struct file_rules *r, struct str path,
                                          const struct file_facts *facts);

/* The rule of paths that are hidden by preset and not by a deny list: a person may be asked. */
#define FILE_RULE_HIDE_HOME "x.filesystem.hideHome"

/* Whose place a path is, without any deny. */
enum file_place { FILE_OUTSIDE, FILE_IN_WRITE_ROOT, FILE_IN_PRIVATE_ROOT };
enum file_place file_rules_place(const struct file_rules *r, struct str path);

/* True when the name may not even be a *component* of a directory that is moved into place: the
 * warden then looks into a directory before it renames it to such a name (".git", ".claude", ...). */
bool file_rules_is_holder(struct str name);

/* For a look into a directory that is about to be renamed to `new_path`: judges `relative`, one of
 * the entries beneath it, as if it were made there. The name of a directory ends in '/'. Returns the
 * rule that forbids it, or NULL. With the directory's present path it tells what holds it in place. */
const char *file_rules_judge_moved(const struct file_rules *r, struct str new_path,
                                   struct str relative);

/* True when `path` equals `root` or lies beneath it. Both absolute and canonical. */
bool path_is_beneath(struct str path, struct str root);
