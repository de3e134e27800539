/* plan.h - everything that one run will do, as data.
 *
 * settings -> plan -> check -> apply. The plan looks at the machine but changes nothing; it can be
 * printed (`postern run --explain`) and is compared in unit tests without any right. init.c and
 * mounts.c carry it out in order.
 */
#pragma once

#include "core/filerules.h"
#include "sandbox/cgroup.h"
#include "sandbox/entries.h"
#include "sandbox/layers.h"
#include "sandbox/netns.h"
#include "sandbox/seccomp.h"
#include "sandbox/settings.h"

#include <stdio.h>

enum mount_kind {
    MOUNT_WRITE,          /* the host's tree, writable */
    MOUNT_READ_ONLY,      /* the host's tree, read-only over itself */
    MOUNT_HIDE_DIRECTORY, /* an empty directory */
    MOUNT_HIDE_FILE,      /* a file that nobody can open */
    MOUNT_REOPEN,         /* the host's tree, read-only, inside a hidden directory */
    MOUNT_PRIVATE,        /* a tmpfs of the run's own, gone at exit */
    MOUNT_BIND,           /* x.filesystem.readOnlyBind: `source` at `path` */
};

struct plan_mount {
    enum mount_kind kind;
    const char *path;   /* where, inside; canonical */
    const char *source; /* MOUNT_BIND: host path */
    const char *rule;   /* the settings entry, "built-in ..." or "mandatory ..." */
    dev_t device;       /* identity of what stood there when the plan was made */
    ino_t inode;
    bool is_directory;
    bool no_exec;  /* x.filesystem.noExec */
    bool writable; /* MOUNT_HIDE_DIRECTORY inside an allowed write path */
    uint64_t size; /* MOUNT_PRIVATE: bytes */
};

/* A hidden path for Landlock: rules go on its siblings instead (contract 3.4.4). */
struct plan_hidden {
    const char *path;
    bool parent_writable; /* siblings cannot be used; init watches and covers instead */
    bool is_directory;
};

struct plan {
    struct arena arena;
    const struct settings *settings;
    const char *cwd;  /* canonical working directory */
    const char *home; /* first home directory, or NULL */
    const char *homes[2];
    size_t home_count;
    const char *tmpdir;  /* the command's TMPDIR */
    bool tmpdir_missing; /* the host has no such directory: it is overlaid into its parent */

    struct plan_mount *mounts; /* owned; parents before children */
    size_t mount_count, mount_room;
    struct plan_hidden *hidden; /* owned */
    size_t hidden_count;
    const char *
        *later_hidden; /* owned; hidden names in writable directories that do not exist yet */
    size_t later_hidden_count;
    struct file_rules rules; /* for the warden; arrays owned by the plan */
    struct file_rule_path *unix_connect, *unix_bind;
    size_t unix_connect_count, unix_bind_count;
    const char **sockets; /* of the host's, to be covered; see host_sockets.h */
    size_t socket_count;
    const char **exec_only; /* canonical; NULL-terminated or NULL */

    const char
        *java_agent_jar; /* javaAgentJarPath, when a file stands there and is not hidden; or NULL */

    bool network; /* some host may be reached, or somebody can be asked */
    bool transparent;
    bool resolver;              /* a private resolver answers; with transparent only */
    struct netns_options netns; /* arrays owned by the plan */
    struct cgroup_limits limits;
    struct seccomp_choice seccomp;
    bool ask_files;                 /* x.ask.files, and there is somebody to ask */
    bool audited;                   /* an audit log is wanted */
    bool has_ports;                 /* x.network.ports names some */
    bool flat;                      /* without namespaces; see flat.h */
    uint16_t http_port, socks_port; /* of the proxy on 127.0.0.1; 0 = those of netns.h */
    bool disabled_layers[LAYERS];   /* --disable-layer, debug builds only */
    bool accepted[LAYERS];          /* --allow-degraded and x.degraded */
    bool required[LAYERS];          /* --require */

    /* Owned places; the arrays above point into their strings. */
    struct stalled stalled; /* file systems that may not answer, and which did not */
    struct places deny_read, allow_read, allow_write, deny_write;
    struct later_patterns later_write, later_read;
};

/* The rule of what is never writable and never asked about (T24). */
#define PLAN_OWN_FILES "built-in: postern's own files"

struct plan_request {
    const struct settings *settings;
    const char *cwd;              /* NULL: take it from the system */
    const char *home_variable;    /* $HOME, may be NULL or odd */
    const char *caller_tmpdir;    /* $TMPDIR, CLAUDE_CODE_TMPDIR ... already chosen, or NULL */
    const char *own_tmpdir;       /* the caller's own $TMPDIR, kept when it is allowed, or NULL */
    char *const *search_path;     /* directories of the caller's PATH, NULL-terminated */
    const char *const *own_files; /* settings file, rules.d, our programs: never writable (T24) */
    size_t own_file_count;
    const char *helper; /* our program: stays visible for ssh's ProxyCommand; or NULL */
    bool can_ask;
    void (*warn)(void *ctx, const char *text);
    void *warn_ctx;
};

/* For what looks at paths while the plan is made. Warnings go to the caller of the request; NULL: nobody is told, because
 * nobody has named the path. */
struct entry_context plan_entries(struct plan *p, const struct plan_request *request);

/* "RULE: 'PATH' WHAT", to the request's warn. */
void plan_warn(const struct plan_request *request, const char *rule, const char *path,
               const char *what);

/* Fills *p. Fails with E_INPUT (settings that cannot be meant) or E_SANDBOX (exit 125). */
int plan_build(struct plan *p, const struct plan_request *request, struct err *e);
void plan_release(struct plan *p);

/* Why the plan does without a layer, as the end of a sentence that begins with the layer's name, with what
 * would change that; NULL when it does not. */
const char *plan_layer_off(const struct plan *p, enum layer layer);

/* --explain, for people and as one JSON object. */
void plan_print(const struct plan *p, FILE *out);
void plan_print_json(const struct plan *p, FILE *out);

/* The SHA-256 of that object, as hex, for the audit log (contract 10.2). */
void plan_sha256(const struct plan *p, char out[65]);

/* "read-write", "hidden directory" ... for messages. */
const char *mount_kind_name(enum mount_kind kind);
