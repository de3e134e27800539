/* settings.h - one settings file, checked and typed (sandbox contract sections 3 and 4).
 *
 * Reads what people already have (srt-compatible JSON). Bad input is refused with every problem at
 * once, as `dotted.path: message` joined by "; "; nothing ever runs with less than was asked for.
 * Nothing here looks at the file system except settings_load, which reads the one file.
 */
#pragma once

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "egress/policy.h"

#include <stdbool.h>
#include <stdint.h>

/* One path of a list, as written. */
struct settings_entry {
    const char *path;  /* not empty; bytes as in the file */
    bool literal;      /* {"path": ..., "literal": true}: never a pattern */
    bool create_dir;   /* x.filesystem.create: make the directory when it is absent */
    const char *where; /* dotted path with index: "filesystem.denyWrite[2]" */
};

struct settings_list {
    const struct settings_entry *items;
    size_t count;
};

struct settings_names {
    const char *const *items; /* NULL-terminated */
    size_t count;
};

struct settings_set {
    const char *name, *value;
};

enum setting_switch { SETTING_UNSET, SETTING_OFF, SETTING_ON };
enum seccomp_preset { SECCOMP_DEFAULT, SECCOMP_STRICT, SECCOMP_COMPAT };

/* x.limits (contract 4.1). 0 = the default of the table; UINT64_MAX = not limited. */
struct settings_limits {
    uint64_t memory, pids, cpu_percent, cpu_weight, io_weight, wall_seconds, file_size, open_files;
    uint64_t disk_quota, tmp_size, core, stack, memlock, msgqueue, sigpending;
    bool memory_set, pids_set, cpu_set; /* asked for in the file: then missing means a warning */
    bool use_systemd;
};

/* x.network.ports (contract 4.2), in either direction. */
struct settings_port_forward {
    uint16_t outer, inner; /* host port, sandbox port */
};
enum { SETTINGS_FORWARDS_MAX = 32 }; /* of one direction */

struct settings {
    struct arena arena; /* holds everything below that is not owned by `egress` */
    const char *source; /* the file's name for messages; "built-in defaults" when absent */
    struct str text;    /* the file's bytes as they were checked: the proxy gets the same */
    char sha256[65];    /* of the file's bytes, hex; for the audit log */
    struct egress_policy egress;     /* from `network` and x.network */
    enum setting_switch transparent; /* as written; the plan decides the default */
    bool dns_set;                    /* x.network.dns was given */
    const struct settings_port_forward *ports_in, *ports_out;
    size_t ports_in_count, ports_out_count;

    struct settings_list deny_read, allow_read, allow_write, deny_write;
    bool allow_git_config, filesystem_disabled;
    bool hide_empty;       /* x.filesystem.hide: "empty" */
    bool strict_hide;      /* x.filesystem.strictHide */
    bool hide_home;        /* x.filesystem.hideHome */
    bool no_setid;         /* x.filesystem.noSetid, default true */
    bool lenient_patterns; /* x.lenientPatterns */
    struct settings_list exec_only, no_exec;
    const struct settings_set *read_only_binds; /* name = host path, value = inside path */
    size_t read_only_bind_count;
    struct settings_names mandatory_off; /* x.mandatory.off */

    struct settings_list unix_sockets; /* network.allowUnixSockets */
    struct settings_list unix_binds;   /* x: {path, bind: true} */
    bool all_unix_sockets;

    bool weaker_nested;                     /* enableWeakerNestedSandbox */
    bool nested_user_namespaces;            /* allowNestedUserNamespaces */
    struct settings_names safe_directories; /* git.safeDirectories */
    const char *java_agent_jar;             /* or NULL */
    enum setting_switch allow_pty;
    bool tmpdir_persist; /* x.tmpdir.persist: bind the host directory instead of a tmpfs */
    bool last_process;   /* x.lifetime: "last-process" */

    const char *ignore_violations_json; /* the map's text, or NULL (contract 10.3) */

    struct settings_limits limits;

    bool env_allowlist, env_scrub; /* x.env.mode, x.env.scrub */
    struct settings_names env_pass, env_unset;
    const struct settings_set *env_set;
    size_t env_set_count;

    enum seccomp_preset seccomp_preset;
    struct settings_names seccomp_allow, seccomp_deny;

    struct settings_names degraded; /* x.degraded: layers that may be missing */
    bool ask_files;                 /* x.ask.files */
};

/* One warning about an unknown key ("network.allowedDomians: unknown key, ignored"). */
typedef void settings_warning(void *ctx, const char *text);

struct settings_options {
    const char *profile;       /* --profile: "read-only", "workspace", "no-network", or NULL */
    bool strict;               /* --strict: an unknown key is an error */
    settings_warning *warning; /* called once per unknown key; NULL = dropped */
    void *warning_ctx;
    /* The caller's environment for network.parentProxy's fallback (contract 3.3.4); NULL-terminated
     * "NAME=value" strings, or NULL for none. */
    char *const *environment;
};

/* Checks `text` and fills *out. On failure every problem is in *problems (owned by the caller, one
 * line, joined by "; ") and *e holds the short form; *out needs no release then. */
int settings_parse(struct str text, const char *source, const struct settings_options *options,
                   struct settings *out, struct buf *problems, struct err *e);

/* Reads and parses `path`. With path NULL the default file ($HOME/.srt-settings.json) is used, and
 * its absence means the built-in defaults; a named file that is absent is an error. Files above
 * 1 MiB are refused. */
int settings_load(const char *path, const char *home, const struct settings_options *options,
                  struct settings *out, struct buf *problems, struct err *e);

/* Contract section 6: which keys differ between two settings that cannot change while a command
 * runs. Appends one dotted key per line to `keys`. */
void settings_fixed_difference(const struct settings *was, const struct settings *now,
                               struct buf *keys);

void settings_release(struct settings *s);
