#include "role/record.h"

#include "base/buf.h"
#include "base/log.h"
#include "proto/json_write.h"

#include <errno.h>
#include <stdio.h>
#include <sys/utsname.h>

static const char *state_of(const struct plan *p, const struct launch *l, int layer)
{
    if (plan_layer_off(p, (enum layer)layer))
        return "off";
    return l->degraded[layer] ? "degraded" : "on";
}

void record_start(struct record *r, const struct plan *p, const struct launch *l,
                  const char *program, const char *landlock_audit)
{
    AUTO_BUF b = { 0 }, whole = { 0 };
    struct utsname kernel = { 0 };
    char plan[65];
    if (!audit_is_kept(r->audit))
        return;
    uname(&kernel);
    plan_sha256(p, plan);
    json_write_object(&b);
    json_member_text(&b, "settings", p->settings->source);
    json_member_text(&b, "settings_sha256", p->settings->sha256);
    json_member_text(&b, "plan_sha256", plan);
    json_member_text(&b, "version", POSTERN_VERSION);
    json_member_text(&b, "kernel", kernel.release);
    json_member_text(&b, "cwd", p->cwd);
    json_write_key(&b, STR("layers"));
    json_write_object(&b);
    for (int i = 0; i < LAYERS; i++)
        json_member_text(&b, layer_name((enum layer)i), state_of(p, l, i));
    json_write_object_end(&b);
    json_member_text(&b, "landlock_audit", landlock_audit);
    json_write_object_end(&b);
    buf_add(&whole, (struct str){ b.p + 1, b.n - 2 });
    struct audit_event event = { .kind = AUDIT_START,
                                 .object = str_of(program),
                                 .detail_json = buf_text(&whole) };
    audit_write(r->audit, &event);
}

static bool is_socket_call(const char *call)
{
    return strcmp(call, "connect") == 0 || strcmp(call, "bind") == 0 || strcmp(call, "sendto") == 0;
}

static void write_call(struct record *r, const struct warden_report *report)
{
    struct str object = { report->object, strnlen(report->object, sizeof report->object) };
    bool denied = report->os != 0, ignored = false;
    if (denied) {
        AUTO_BUF line = { 0 };
        violation_line(&line, report->call, object, str_of(report->rule));
        ignored = violations_add(r->violations, buf_str(&line));
    }
    struct audit_event event = {
        .kind = is_socket_call(report->call) ? AUDIT_UNIX : AUDIT_FILE,
        .denied = denied,
        .layer = "seccomp",
        .rule = report->rule[0] ? report->rule : NULL,
        .pid_inside = (int)report->pid,
        .argv0 = report->argv0,
        .object = object,
        .os = report->os,
        .ignored = ignored,
    };
    audit_write(r->audit, &event);
}

void record_call(struct record *r, const struct warden_report *report)
{
    if (report->os == EMFILE) /* said only of a descriptor that could not be given */
        record_limit(r, LIMIT_OPEN_FILES, 1, "a process has as many files open as it may");
    else
        write_call(r, report);
    if (report->lost) {
        AUTO_BUF detail = { 0 };
        buf_addf(&detail, "\"lost\":%u", report->lost);
        struct audit_event lost = { .kind = AUDIT_FILE,
                                    .denied = true,
                                    .layer = "seccomp",
                                    .object = STR("reports dropped: too many at once"),
                                    .detail_json = buf_text(&detail) };
        audit_write(r->audit, &lost);
    }
}

static enum audit_kind kind_of(const char *blockers)
{
    if (strcmp(blockers, "fs.resolve_unix") == 0 ||
        strcmp(blockers, "scope.abstract_unix_socket") == 0)
        return AUDIT_UNIX;
    if (strncmp(blockers, "fs.", 3) == 0)
        return AUDIT_FILE;
    return strncmp(blockers, "net.", 4) == 0 ? AUDIT_NET : AUDIT_SYSCALL;
}

void record_landlock(struct record *r, const struct landlock_denial *denial)
{
    const struct kernel_audit *k = denial->record;
    AUTO_BUF b = { 0 }, detail = { 0 };
    json_write_object(&b);
    json_member_text(&b, "blockers", k->blockers);
    json_write_object_end(&b);
    buf_add(&detail, (struct str){ b.p + 1, b.n - 2 });
    struct audit_event event = {
        .kind = kind_of(k->blockers),
        .denied = true,
        .layer = "landlock",
        .pid_inside = denial->pid_inside,
        .pid_outside = k->pid,
        .exe = k->exe[0] ? k->exe : NULL,
        .argv0 = k->comm[0] ? k->comm : NULL,
        .object = str_of(k->object[0] ? k->object : k->blockers),
        .os = k->os,
        .detail_json = buf_text(&detail),
    };
    audit_write(r->audit, &event);
}

void record_landlock_lost(struct record *r)
{
    struct audit_event event = { .kind = AUDIT_FILE,
                                 .denied = true,
                                 .layer = "landlock",
                                 .object = STR("records of the kernel dropped: too many at once") };
    audit_write(r->audit, &event);
}

void record_net(struct record *r, const struct net_report *report)
{
    AUTO_BUF object = { 0 }, b = { 0 }, detail = { 0 };
    bool ignored = report->violation && violations_add(r->violations, str_of(report->violation));
    buf_addf(&object, strchr(report->host, ':') ? "[%s]" : "%s", report->host);
    if (report->port) /* 0: what the command sent is no port */
        buf_addf(&object, ":%u", report->port);
    json_write_object(&b);
    json_member_text(&b, "method", report->method);
    if (report->reason)
        json_member_text(&b, "reason", report->reason);
    json_write_object_end(&b);
    buf_add(&detail, (struct str){ b.p + 1, b.n - 2 });
    struct audit_event event = {
        .kind = AUDIT_NET,
        .denied = report->denied,
        .layer = "proxy",
        .rule = report->rule,
        .pid_inside = report->who ? report->who->pid : 0,
        .pid_outside = report->who ? report->who->pid_outside : 0,
        .exe = report->who ? report->who->exe : NULL,
        .argv0 = report->who ? report->who->argv0 : NULL,
        .object = buf_str(&object),
        .ignored = ignored,
        .detail_json = buf_text(&detail),
    };
    audit_write(r->audit, &event);
}

void record_degraded(struct record *r, enum layer layer, const char *why, bool aloud)
{
    struct audit_event event = { .kind = AUDIT_DEGRADED,
                                 .layer = layer_name(layer),
                                 .object = str_of(why) };
    audit_write(r->audit, &event);
    if (aloud)
        log_warn("layer %s is degraded: %s", layer_name(layer), why);
    else
        log_debug("layer %s is degraded: %s", layer_name(layer), why);
}

void record_limit(struct record *r, enum limit limit, uint64_t times, const char *what)
{
    static const struct {
        const char *name, *layer;
    } rows[LIMITS] = {
        [LIMIT_MEMORY] = { "memory", "cgroup" },
        [LIMIT_PIDS] = { "pids", "cgroup" },
        [LIMIT_WALL] = { "wall", "rlimit" },
        [LIMIT_CPU] = { "cpu", "rlimit" },
        [LIMIT_FILE_SIZE] = { "fileSize", "rlimit" },
        [LIMIT_OPEN_FILES] = { "openFiles", "rlimit" },
        [LIMIT_DISK_QUOTA] = { "diskQuota", "seccomp" },
    };
    const struct str name = str_of(rows[limit].name);
    const unsigned bit = 1u << limit;
    AUTO_BUF detail = { 0 }, line = { 0 };
    json_write_object(&detail);
    json_member_u64(&detail, "times", times);
    json_member_text(&detail, "what", what);
    json_write_object_end(&detail);
    violation_line(&line, "limit", name, str_of(what));
    if (!(r->limits_said & bit) && violations_add(r->violations, buf_str(&line)))
        r->limits_ignored |= bit;
    r->limits_said |= bit;
    AUTO_BUF members = { 0 };
    buf_add(&members, (struct str){ detail.p + 1, detail.n - 2 });
    struct audit_event event = { .kind = AUDIT_LIMIT,
                                 .denied = true,
                                 .layer = rows[limit].layer,
                                 .object = name,
                                 .ignored = r->limits_ignored & bit,
                                 .detail_json = buf_text(&members) };
    audit_write(r->audit, &event);
}

void record_covered(struct record *r, struct str path)
{
    struct audit_event event = { .kind = AUDIT_FILE,
                                 .denied = true,
                                 .layer = "mount",
                                 .rule = "hidden file replaced or made on the host",
                                 .object = path };
    audit_write(r->audit, &event);
}

void record_end(struct record *r, int status, const struct rusage *usage, uint64_t memory_peak)
{
    AUTO_BUF b = { 0 }, detail = { 0 };
    json_write_object(&b);
    json_member_i64(&b, "status", status);
    json_member_i64(&b, "user_us", usage->ru_utime.tv_sec * 1000000L + usage->ru_utime.tv_usec);
    json_member_i64(&b, "system_us", usage->ru_stime.tv_sec * 1000000L + usage->ru_stime.tv_usec);
    json_member_i64(&b, "max_rss_kib", usage->ru_maxrss);
    json_member_u64(&b, "memory_peak", memory_peak);
    json_member_u64(&b, "bytes_out", r->bytes_out);
    json_member_u64(&b, "bytes_in", r->bytes_in);
    json_member_u64(&b, "connections", r->connections);
    json_member_u64(&b, "violations", violations_count(r->violations));
    json_write_object_end(&b);
    buf_add(&detail, (struct str){ b.p + 1, b.n - 2 });
    struct audit_event event = { .kind = AUDIT_END, .detail_json = buf_text(&detail) };
    audit_write(r->audit, &event);
}
