#include "sandbox/plan.h"

#include "base/buf.h"
#include "base/log.h"
#include "sandbox/host_sockets.h"
#include "sandbox/identity.h"
#include "sandbox/landlock.h"
#include "sandbox/marks.h"
#include "sandbox/warden_rules.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>
#include <unistd.h>

enum { ARENA_LIMIT = 64 << 20 };

void plan_warn(const struct plan_request *r, const char *rule, const char *path, const char *what)
{
    if (!r->warn)
        return;
    AUTO_BUF text = { 0 };
    buf_addf(&text, "%s: '%s' %s", rule, path, what);
    r->warn(r->warn_ctx, buf_text(&text));
}

static int plan_cwd(struct plan *p, const struct plan_request *r, struct err *e)
{
    char here[PATH_MAX], real[PATH_MAX];
    struct stat st;
    const char *cwd = r->cwd;
    if (!cwd) {
        if (!getcwd(here, sizeof here) || here[0] != '/')
            return err_set(e, E_SANDBOX, errno, "the working directory cannot be found");
        cwd = here;
    }
    if (!stalled_realpath(&p->stalled, cwd, real) || stalled_stat(&p->stalled, real, &st) < 0)
        return err_set(e, E_SANDBOX, errno, "the working directory '%s'", cwd);
    p->cwd = arena_dup(&p->arena, str_of(real));
    return 0;
}

static int plan_homes(struct plan *p, const struct plan_request *r, struct err *e)
{
    struct identity who;
    struct stat st;
    if (p->stalled.count && r->home_variable &&
        stalled_stat(&p->stalled, r->home_variable, &st) < 0 && errno == ETIMEDOUT)
        return err_set(e, E_SANDBOX, errno, "the home directory '%s'", r->home_variable);
    if (identity_find(r->home_variable, &p->arena, &who, e) < 0)
        return -1;
    for (size_t i = 0; i < who.home_count && i < 2; i++)
        p->homes[p->home_count++] = who.homes[i];
    p->home = p->home_count ? p->homes[0] : NULL;
    return 0;
}

struct entry_context plan_entries(struct plan *p, const struct plan_request *r)
{
    return (struct entry_context){ .arena = &p->arena,
                                   .cwd = p->cwd,
                                   .homes = p->homes,
                                   .home_count = p->home_count,
                                   .stalled = &p->stalled,
                                   .warn = r ? r->warn : NULL,
                                   .warn_ctx = r ? r->warn_ctx : NULL };
}

/* What is writable without being listed (contract 3.6), where it exists and no denyRead covers it. */
static int add_builtin_writes(struct plan *p, const struct entry_context *c, struct err *e)
{
    static const char *const below_home[] = { ".npm/_logs", ".claude/debug" };
    for (size_t i = 0; p->home && i < sizeof below_home / sizeof *below_home; i++) {
        AUTO_BUF path = { 0 };
        buf_addf(&path, "%s/%s", p->home, below_home[i]);
        struct stat st;
        char real[PATH_MAX];
        if (!stalled_realpath(&p->stalled, buf_text(&path), real) ||
            stalled_stat(&p->stalled, real, &st) < 0 || !S_ISDIR(st.st_mode))
            continue;
        bool hidden = false;
        for (size_t k = 0; k < p->deny_read.count; k++)
            hidden |= path_is_beneath(str_of(real), str_of(p->deny_read.items[k].path));
        for (size_t k = 0; k < p->allow_read.count; k++)
            hidden &= !path_is_beneath(str_of(real), str_of(p->allow_read.items[k].path));
        if (!hidden && places_add(&p->allow_write, c, real, "built-in", ENTRY_ALLOW_WRITE, e) < 0)
            return -1;
    }
    return 0;
}

static int resolve_lists(struct plan *p, const struct plan_request *r, struct err *e)
{
    const struct settings *s = p->settings;
    struct entry_context c = plan_entries(p, r);
    c.lenient_patterns = s->lenient_patterns;
    if (s->filesystem_disabled)
        return 0;
    if (entries_resolve(&c, &s->deny_read, ENTRY_DENY_READ, &p->deny_read, &p->later_read, e) < 0 ||
        entries_resolve(&c, &s->allow_read, ENTRY_ALLOW_READ, &p->allow_read, NULL, e) < 0 ||
        entries_resolve(&c, &s->allow_write, ENTRY_ALLOW_WRITE, &p->allow_write, NULL, e) < 0 ||
        entries_resolve(&c, &s->deny_write, ENTRY_DENY_WRITE, &p->deny_write, &p->later_write, e) <
            0)
        return -1;
    if (s->hide_home)
        for (size_t i = 0; i < p->home_count; i++)
            if (places_add(&p->deny_read, &c, p->homes[i], "x.filesystem.hideHome", ENTRY_DENY_READ,
                           e) < 0)
                return -1;
    if (s->hide_home &&
        places_add(&p->allow_read, &c, p->cwd, "x.filesystem.hideHome", ENTRY_ALLOW_READ, e) < 0)
        return -1;
    const struct entry_context quiet = plan_entries(p, NULL); /* nobody has named these */
    for (size_t i = 0; i < r->own_file_count; i++)
        if (places_add(&p->deny_write, &quiet, r->own_files[i], PLAN_OWN_FILES, ENTRY_DENY_WRITE,
                       e) < 0)
            return -1;
    return add_builtin_writes(p, &c, e);
}

/* The command's TMPDIR (contract 2.1): the caller's own when it lies under an allowed write path,
 * else the fixed place as a private tmpfs. */
static int plan_tmpdir(struct plan *p, const struct plan_request *r, struct err *e)
{
    char real[PATH_MAX];
    p->tmpdir = r->own_tmpdir;
    if (p->settings->filesystem_disabled)
        return 0;
    if (r->own_tmpdir && stalled_realpath(&p->stalled, r->own_tmpdir, real))
        for (size_t i = 0; i < p->allow_write.count; i++)
            if (path_is_beneath(str_of(real), str_of(p->allow_write.items[i].path)))
                return 0;
    const char *wanted = r->caller_tmpdir ? r->caller_tmpdir : "/tmp/claude";
    if (wanted[0] != '/')
        return err_set(e, E_SANDBOX, 0, "the directory for TMPDIR, '%s', is not absolute", wanted);
    struct places found = { 0 };
    const struct entry_context c = plan_entries(p, NULL);
    if (places_add(&found, &c, wanted, "built-in TMPDIR", ENTRY_DENY_READ, e) < 0)
        return -1;
    struct place at = found.items[0];
    places_release(&found);
    if (at.exists && !at.is_directory)
        return err_set(e, E_SANDBOX, ENOTDIR, "TMPDIR '%s'", at.path);
    p->tmpdir = at.path;
    p->tmpdir_missing = !at.exists;
    for (size_t i = 0; p->tmpdir_missing && i < p->allow_write.count; i++)
        if (p->allow_write.items[i].is_directory &&
            path_is_beneath(str_of(at.path), str_of(p->allow_write.items[i].path))) {
            /* Making it would stay on the host; what is allowed around it serves as well. */
            p->tmpdir = p->allow_write.items[i].path;
            p->tmpdir_missing = false;
        }
    return 0;
}

/* True when one of the places is at, above or beneath a place of the host's that may be written. */
static bool touch_write_root(const struct plan *p, const struct places *places)
{
    for (size_t i = 0; i < places->count; i++) {
        struct str place = str_of(places->items[i].path);
        bool touches =
            p->settings->tmpdir_persist && p->tmpdir && path_is_beneath(place, str_of(p->tmpdir));
        for (size_t k = 0; k < p->allow_write.count && !touches; k++) {
            struct str root = str_of(p->allow_write.items[k].path);
            touches = path_is_beneath(place, root) || path_is_beneath(root, place);
        }
        if (touches)
            return true;
    }
    return false;
}

/* T1. Nothing can be written outside the write roots, so directories there need no rule, and that they
 * cannot be looked at (root's, mostly) concerns nobody. */
static int plan_search_path(struct plan *p, const struct plan_request *r, struct err *e)
{
    const struct entry_context quiet = plan_entries(p, NULL), loud = plan_entries(p, r);
    for (size_t i = 0; r->search_path && r->search_path[i]; i++) {
        CLEANUP(places_release) struct places found = { 0 };
        const char *path = r->search_path[i], *rule = "mandatory PATH";
        if (path[0] != '/' || p->settings->filesystem_disabled)
            continue;
        if (places_add(&found, &quiet, path, rule, ENTRY_DENY_WRITE, e) < 0 ||
            (touch_write_root(p, &found) &&
             places_add(&p->deny_write, &loud, path, rule, ENTRY_DENY_WRITE, e) < 0))
            return -1;
    }
    return 0;
}

static void plan_network(struct plan *p, const struct plan_request *r)
{
    const struct settings *s = p->settings;
    const struct egress_policy *policy = &s->egress;
    bool can_ask = r->can_ask && !policy->strict_allowlist;
    p->network = policy->allowed.count > 0 || can_ask;
    p->transparent = p->network && s->transparent != SETTING_OFF && policy->http_proxy_port == 0;
    p->resolver = p->transparent && (!s->dns_set || policy->dns);
    p->netns = (struct netns_options){ .proxy = true,
                                       .transparent = p->transparent,
                                       .resolver = p->resolver,
                                       .redirect_all_literals = can_ask };
    size_t room = policy->allowed.count;
    struct ip_block *literals = arena_get(&p->arena, room * sizeof *literals);
    uint16_t *ports = arena_get(&p->arena, room * sizeof *ports);
    size_t n = 0;
    for (size_t i = 0; literals && ports && i < room; i++) {
        const struct domain_pattern *d = &policy->allowed.items[i];
        if (d->any || d->wildcard || !d->host.is_ip || d->host.ip.family != AF_INET)
            continue;
        literals[n] = (struct ip_block){ d->host.ip, 32 };
        ports[n++] = d->port;
    }
    p->netns.literals = literals;
    p->netns.literal_ports = ports;
    p->netns.literal_count = n;
}

const char *plan_layer_off(const struct plan *p, enum layer layer)
{
    if (p->disabled_layers[layer])
        return "is off: --disable-layer names it";
    if (layer != LAYER_TRANSPARENT || p->transparent)
        return NULL;
    if (p->settings->transparent == SETTING_OFF)
        return "is off: x.network.transparent is false; take that out";
    if (p->settings->egress.http_proxy_port)
        return "is off: with network.httpProxyPort a proxy of your own takes the connections, and "
               "it is only found by the proxy variables; take that key out";
    if (p->network)
        return "is off, as the proxy is";
    return "is off: nothing is allowed and nobody can be asked, so there is no network to make "
           "transparent; put a host into network.allowedDomains";
}

/* The last mount over a path is what the command sees there. */
static bool is_covered(const struct plan *p, const char *path)
{
    bool covered = false;
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct plan_mount *m = &p->mounts[i];
        if (path_is_beneath(str_of(path), str_of(m->path)))
            covered = m->kind == MOUNT_HIDE_DIRECTORY || m->kind == MOUNT_HIDE_FILE ||
                      m->kind == MOUNT_PRIVATE;
    }
    return covered;
}

/* A jar that is not there would keep every Java program from starting. */
static void plan_java(struct plan *p, const struct plan_request *r)
{
    const char *jar = p->settings->java_agent_jar;
    char real[PATH_MAX];
    struct stat st;
    if (!jar)
        return;
    if (!stalled_realpath(&p->stalled, jar, real) || stalled_stat(&p->stalled, real, &st) < 0)
        plan_warn(r, "javaAgentJarPath", jar, "does not exist; JAVA_TOOL_OPTIONS is left alone");
    else if (!S_ISREG(st.st_mode))
        plan_warn(r, "javaAgentJarPath", jar, "is no file; JAVA_TOOL_OPTIONS is left alone");
    else if (is_covered(p, real))
        plan_warn(r, "javaAgentJarPath", jar, "is hidden inside; JAVA_TOOL_OPTIONS is left alone");
    else
        p->java_agent_jar = jar;
}

/* A forward that the deny list forbids is a mistake in the file: better said than a port that is dead. */
static int check_forwards(const struct plan *p, const char *way,
                          const struct settings_port_forward *all, size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        struct egress_verdict verdict =
            egress_policy_judge_forward(&p->settings->egress, all[i].outer, all[i].inner);
        if (p->resolver && all[i].inner == NETNS_DNS_PORT)
            return err_set(e, E_INPUT, 0,
                           "x.network.ports.%s[%zu]: port %d inside the sandbox is the resolver's; "
                           "or set x.network.dns to \"none\"",
                           way, i, NETNS_DNS_PORT);
        if (verdict.decision == EGRESS_DENY)
            return err_set(e, E_INPUT, 0,
                           "x.network.ports.%s[%zu]: forbidden by %s; take one of the two out", way,
                           i, verdict.rule);
    }
    return 0;
}

static int plan_ports(struct plan *p, struct err *e)
{
    const struct settings *s = p->settings;
    p->has_ports = s->ports_in_count + s->ports_out_count > 0;
    return check_forwards(p, "in", s->ports_in, s->ports_in_count, e) < 0
               ? -1
               : check_forwards(p, "out", s->ports_out, s->ports_out_count, e);
}

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value ? value : fallback;
}

static void plan_limits(struct plan *p)
{
    const struct settings_limits *l = &p->settings->limits;
    struct sysinfo info = { 0 };
    uint64_t memory = UINT64_MAX;
    if (sysinfo(&info) == 0) {
        /* 75 % of what is free at start, 1 GiB at least (contract 4.1). Buffers count as free. */
        memory = ((uint64_t)info.freeram + info.bufferram) * info.mem_unit / 4 * 3;
        if (memory < (1ull << 30))
            memory = 1ull << 30;
    }
    p->limits = (struct cgroup_limits){
        .memory = or_default(l->memory, memory),
        .pids = or_default(l->pids, 1024),
        .cpu_percent = or_default(l->cpu_percent, UINT64_MAX),
        .cpu_weight = l->cpu_weight,
        .io_weight = l->io_weight,
    };
}

static int plan_layers(struct plan *p, struct err *e)
{
    for (size_t i = 0; i < p->settings->degraded.count; i++) {
        int layer = layer_find(p->settings->degraded.items[i]);
        if (layer < 0)
            return err_set(e, E_INPUT, 0, "x.degraded[%zu]: '%s' is no layer", i,
                           p->settings->degraded.items[i]);
        p->accepted[layer] = true;
    }
    return 0;
}

/* Opens that only read are notified where a person may be asked about them, too. */
static int plan_seccomp(struct plan *p, const struct plan_request *r, struct err *e)
{
    static const struct landlock_wants unix_rights = { .files = LL_RESOLVE_UNIX };
    const struct settings *s = p->settings;
    const bool files = !s->filesystem_disabled;
    p->ask_files = s->ask_files && files && r->can_ask && !s->egress.strict_allowlist;
    p->seccomp = (struct seccomp_choice){
        .preset = (int)s->seccomp_preset,
        .nested_user_namespaces = s->nested_user_namespaces,
        .no_setid = s->no_setid,
        .notify = true,
        .sends = !s->all_unix_sockets && !landlock_granted(landlock_abi(), unix_rights).files,
        .every_open = files && (s->strict_hide || (p->ask_files && s->hide_home)),
        .allow = s->seccomp_allow.count ? s->seccomp_allow.items : NULL,
        .deny = s->seccomp_deny.count ? s->seccomp_deny.items : NULL,
    };
    return seccomp_choice_check(&p->seccomp, e);
}

/* A file system that does not answer may stand beside a hidden path, where Landlock would need a rule for
 * it. It gets none: nothing can be read there, which nobody can anyway. */
static void find_dead_siblings(struct plan *p, const struct plan_request *r)
{
    for (size_t i = 0; i < p->stalled.count; i++) {
        struct str path = str_of(p->stalled.mounts[i].path);
        struct str parent = {
            path.p, (size_t)(str_last_index(path, '/') > 0 ? str_last_index(path, '/') : 1)
        };
        bool beside = false;
        for (size_t k = 0; k < p->hidden_count; k++)
            beside |= path_is_beneath(str_of(p->hidden[k].path), parent);
        struct stat st;
        if (beside && stalled_stat(&p->stalled, path.p, &st) < 0 && errno == ETIMEDOUT && r->warn) {
            AUTO_BUF text = { 0 };
            buf_addf(&text, "'%s' does not answer within 500 ms; it cannot be read inside", path.p);
            r->warn(r->warn_ctx, buf_text(&text));
        }
    }
}

int plan_build(struct plan *p, const struct plan_request *request, struct err *e)
{
    *p = (struct plan){ .settings = request->settings };
    arena_init(&p->arena, ARENA_LIMIT);
    stalled_init(&p->stalled);
    plan_network(p, request);
    if (plan_ports(p, e) < 0 || plan_cwd(p, request, e) < 0 || plan_homes(p, request, e) < 0 ||
        resolve_lists(p, request, e) < 0 || plan_tmpdir(p, request, e) < 0 ||
        plan_search_path(p, request, e) < 0 || plan_layers(p, e) < 0 ||
        plan_seccomp(p, request, e) < 0 || marks_compile(p, request, e) < 0 ||
        warden_rules_compile(p, request, e) < 0 || host_sockets_find(p, e) < 0) {
        plan_release(p);
        return -1;
    }
    find_dead_siblings(p, request);
    plan_java(p, request);
    stalled_rest(&p->stalled);
    plan_limits(p);
    return 0;
}

void plan_release(struct plan *p)
{
    places_release(&p->deny_read);
    places_release(&p->allow_read);
    places_release(&p->allow_write);
    places_release(&p->deny_write);
    later_patterns_release(&p->later_write);
    later_patterns_release(&p->later_read);
    stalled_release(&p->stalled);
    free(p->mounts);
    free(p->hidden);
    free(p->later_hidden);
    arena_release(&p->arena);
    *p = (struct plan){ 0 };
}
