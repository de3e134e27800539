/* The printing half of plan.h. */
#include "sandbox/plan.h"

#include "base/buf.h"
#include "proto/json_write.h"
#include "sandbox/landlock.h"

#include <sodium.h>

static const char *const kind_names[] = {
    [MOUNT_WRITE] = "read-write",
    [MOUNT_READ_ONLY] = "read-only",
    [MOUNT_HIDE_DIRECTORY] = "hidden directory",
    [MOUNT_HIDE_FILE] = "hidden file",
    [MOUNT_REOPEN] = "opened again, read-only",
    [MOUNT_PRIVATE] = "private, gone at exit",
    [MOUNT_BIND] = "bound, read-only",
};

const char *mount_kind_name(enum mount_kind kind)
{
    return kind_names[kind];
}

/* Names that the warden denies at any depth beneath the write roots; for people to read. */
static const char mandatory_text[] =
    ".gitconfig .gitmodules .bashrc .bash_profile .zshrc .zprofile .profile .ripgreprc .mcp.json "
    ".vscode .idea .claude/commands .claude/agents .git/hooks .git/config and what redirects git";

struct line_sink {
    FILE *out;
    struct buf *json;
};

static void print_line(void *ctx, const char *text)
{
    struct line_sink *sink = ctx;
    if (sink->out)
        fprintf(sink->out, "  %s\n", text);
    else
        json_write_text(sink->json, text);
}

static void print_bytes(FILE *out, const char *name, uint64_t value)
{
    if (value == UINT64_MAX)
        fprintf(out, "  %-12s no limit\n", name);
    else
        fprintf(out, "  %-12s %llu\n", name, (unsigned long long)value);
}

static void print_patterns(FILE *out, const char *what, const struct domain_patterns *p)
{
    for (size_t i = 0; i < p->count; i++)
        fprintf(out, "  %-7s %s\n", what, p->items[i].text);
}

static void print_forwards(const struct settings *s, FILE *out)
{
    for (size_t i = 0; i < s->ports_in_count; i++)
        fprintf(out, "  port %u of the host's loopback leads to port %u inside\n",
                s->ports_in[i].outer, s->ports_in[i].inner);
    for (size_t i = 0; i < s->ports_out_count; i++)
        fprintf(out, "  port %u inside leads to port %u of the host's loopback\n",
                s->ports_out[i].inner, s->ports_out[i].outer);
}

static void print_network(const struct plan *p, FILE *out)
{
    const struct egress_policy *policy = &p->settings->egress;
    fprintf(out, "network: own namespace, proxy on 127.0.0.1:%d (http) and :%d (socks)\n",
            NETNS_HTTP_PORT, NETNS_SOCKS_PORT);
    print_patterns(out, "allow", &policy->allowed);
    print_patterns(out, "deny", &policy->denied);
    fprintf(out, "  transparent %s, anything else is %s\n", p->transparent ? "on" : "off",
            p->netns.redirect_all_literals ? "asked about" : "refused");
    print_forwards(p->settings, out);
}

static void print_rules(const struct plan *p, FILE *out)
{
    fprintf(out, "names denied for writing, judged at the moment of the call:\n");
    for (size_t i = 0; i < p->rules.write_deny_count; i++)
        fprintf(out, "  %s  (%s)\n", p->rules.write_denies[i].path, p->rules.write_denies[i].rule);
    for (size_t i = 0; i < p->rules.write_deny_pattern_count; i++)
        fprintf(out, "  pattern of %s\n", p->rules.write_deny_pattern_rules[i]);
    fprintf(out, "  at any depth: %s\n", mandatory_text);
    if (p->ask_files)
        fprintf(out, "files outside the plan: a person is asked (x.ask.files)\n");
    if (p->settings->strict_hide)
        fprintf(out, "reads: every open is judged by name and by inode (strictHide)\n");
}

void plan_print(const struct plan *p, FILE *out)
{
    fprintf(out, "settings: %s\nworking directory: %s\n", p->settings->source, p->cwd);
    fprintf(out, "mounts, over a read-only copy of the host's tree (nosuid, nodev):\n");
    for (size_t i = 0; i < p->mount_count; i++)
        fprintf(out, "  %-24s %s  (%s)\n", kind_names[p->mounts[i].kind], p->mounts[i].path,
                p->mounts[i].rule);
    for (size_t i = 0; i < p->socket_count; i++)
        fprintf(out, "  %-24s %s\n", "covered socket", p->sockets[i]);
    fprintf(out, "  fresh /proc and /dev; /sys masked; TMPDIR %s\n",
            p->tmpdir ? p->tmpdir : "kept");
    print_rules(p, out);
    fprintf(out,
            "landlock: ABI %d\n  outer: read %s; write only beneath the read-write places\n"
            "  inner (the command): no writing, making, moving or removing, no TCP connect\n",
            landlock_abi(), p->hidden_count ? "everything but the hidden places" : "everything");
    print_network(p, out);
    fprintf(out, "seccomp:\n");
    struct line_sink sink = { .out = out };
    seccomp_describe(&p->seccomp, print_line, &sink);
    fprintf(out, "limits:\n");
    /* The default for memory depends on the moment, so it is named and not counted. */
    if (p->settings->limits.memory_set)
        print_bytes(out, "memory", p->limits.memory);
    else
        fprintf(out, "  %-12s 75 %% of what is free at start\n", "memory");
    print_bytes(out, "pids", p->limits.pids);
    print_bytes(out, "cpu %", p->limits.cpu_percent);
    if (p->settings->limits.disk_quota)
        print_bytes(out, "diskQuota", p->settings->limits.disk_quota);
}

static void json_mounts(const struct plan *p, struct buf *b)
{
    json_write_key(b, STR("mounts"));
    json_write_array(b);
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct plan_mount *m = &p->mounts[i];
        json_write_object(b);
        json_member_text(b, "kind", kind_names[m->kind]);
        json_member_text(b, "path", m->path);
        if (m->source)
            json_member_text(b, "source", m->source);
        json_member_text(b, "rule", m->rule);
        if (m->no_exec)
            json_member_bool(b, "noExec", true);
        json_write_object_end(b);
    }
    json_write_array_end(b);
}

static void json_paths(struct buf *b, const char *key, const struct file_rule_path *paths, size_t n)
{
    json_write_key(b, str_of(key));
    json_write_array(b);
    for (size_t i = 0; i < n; i++) {
        json_write_object(b);
        json_member_text(b, "path", paths[i].path);
        json_member_text(b, "rule", paths[i].rule);
        json_write_object_end(b);
    }
    json_write_array_end(b);
}

static void json_domains(struct buf *b, const char *key, const struct domain_patterns *p)
{
    json_write_key(b, str_of(key));
    json_write_array(b);
    for (size_t i = 0; i < p->count; i++)
        json_write_text(b, p->items[i].text);
    json_write_array_end(b);
}

static void json_forwards(struct buf *b, const char *key, const struct settings_port_forward *all,
                          size_t n)
{
    json_write_key(b, str_of(key));
    json_write_array(b);
    for (size_t i = 0; i < n; i++) {
        json_write_object(b);
        json_member_u64(b, "host", all[i].outer);
        json_member_u64(b, "sandbox", all[i].inner);
        json_write_object_end(b);
    }
    json_write_array_end(b);
}

static void json_rules(const struct plan *p, struct buf *b)
{
    json_write_key(b, STR("names"));
    json_write_object(b);
    json_paths(b, "writeRoots", p->rules.write_roots, p->rules.write_root_count);
    json_paths(b, "writeDenies", p->rules.write_denies, p->rules.write_deny_count);
    json_paths(b, "readDenies", p->rules.read_denies, p->rules.read_deny_count);
    json_paths(b, "privateRoots", p->rules.private_roots, p->rules.private_root_count);
    json_member_text(b, "mandatory", mandatory_text);
    json_write_object_end(b);
}

static void json_limits(const struct plan *p, struct buf *b)
{
    json_write_key(b, STR("limits"));
    json_write_object(b);
    if (p->settings->limits.memory_set)
        json_member_u64(b, "memory", p->limits.memory);
    else
        json_member_text(b, "memory", "75% of free");
    json_member_u64(b, "pids", p->limits.pids);
    if (p->limits.cpu_percent != UINT64_MAX)
        json_member_u64(b, "cpuPercent", p->limits.cpu_percent);
    if (p->settings->limits.disk_quota)
        json_member_u64(b, "diskQuota", p->settings->limits.disk_quota);
    json_write_object_end(b);
}

static void json_plan(const struct plan *p, struct buf *b)
{
    json_write_object(b);
    json_member_text(b, "settings", p->settings->source);
    json_member_text(b, "cwd", p->cwd);
    json_member_text(b, "tmpdir", p->tmpdir);
    json_mounts(p, b);
    json_rules(p, b);
    json_member_bool(b, "strictHide", p->settings->strict_hide);
    json_member_bool(b, "askFiles", p->ask_files);
    json_write_key(b, STR("landlock"));
    json_write_object(b);
    json_member_i64(b, "abi", landlock_abi());
    json_write_key(b, STR("hidden"));
    json_write_array(b);
    for (size_t i = 0; i < p->hidden_count; i++)
        json_write_text(b, p->hidden[i].path);
    json_write_array_end(b);
    json_write_key(b, STR("coveredSockets"));
    json_write_array(b);
    for (size_t i = 0; i < p->socket_count; i++)
        json_write_text(b, p->sockets[i]);
    json_write_array_end(b);
    json_write_object_end(b);
    json_write_key(b, STR("network"));
    json_write_object(b);
    json_domains(b, "allowedDomains", &p->settings->egress.allowed);
    json_domains(b, "deniedDomains", &p->settings->egress.denied);
    json_member_bool(b, "transparent", p->transparent);
    json_member_bool(b, "ask", p->netns.redirect_all_literals);
    json_forwards(b, "portsIn", p->settings->ports_in, p->settings->ports_in_count);
    json_forwards(b, "portsOut", p->settings->ports_out, p->settings->ports_out_count);
    json_write_object_end(b);
    json_write_key(b, STR("seccomp"));
    json_write_array(b);
    struct line_sink sink = { .json = b };
    seccomp_describe(&p->seccomp, print_line, &sink);
    json_write_array_end(b);
    json_limits(p, b);
    json_write_object_end(b);
}

void plan_print_json(const struct plan *p, FILE *out)
{
    AUTO_BUF b = { 0 };
    json_plan(p, &b);
    fprintf(out, "%s\n", buf_text(&b));
}

void plan_sha256(const struct plan *p, char out[65])
{
    AUTO_BUF b = { 0 };
    unsigned char hash[crypto_hash_sha256_BYTES];
    json_plan(p, &b);
    crypto_hash_sha256(hash, (const unsigned char *)b.p, b.n);
    sodium_bin2hex(out, 65, hash, sizeof hash);
}
