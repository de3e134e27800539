#include "sandbox/cgroup_scope.h"

#include "base/buf.h"
#include "base/fd.h"
#include "sandbox/cgroup_guard.h"
#include "sandbox/user_bus.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/vfs.h>
#include <time.h>

enum {
    PATIENCE_MS = 5000,
    NAME_MS = 500, /* a bus that our connection has started does not know systemd at once */
    PAUSE_MS = 2,
    TEXT_MAX = 4096,
    US_PER_PERCENT = 10000
};

#define MANAGER "org.freedesktop.systemd1"

static void begin_property(struct buf *b, const char *name, const char *type)
{
    dbus_put_struct(b);
    dbus_put_string(b, name);
    dbus_put_signature(b, type);
}

static void put_text(struct buf *b, const char *name, const char *value)
{
    begin_property(b, name, "s");
    dbus_put_string(b, value);
}

/* Only what is asked for: a property switches its controller on. */
static void put_number(struct buf *b, const char *name, uint64_t value, uint64_t none)
{
    if (value == none)
        return;
    begin_property(b, name, "t");
    dbus_put_u64(b, value);
}

static void put_pid(struct buf *b, pid_t pid)
{
    begin_property(b, "PIDs", "au");
    size_t pids = dbus_begin_array(b, 4);
    dbus_put_u32(b, (uint32_t)pid);
    dbus_end_array(b, pids, 4);
}

void cgroup_scope_body(struct buf *out, const char *unit, pid_t pid, const struct cgroup_limits *l)
{
    uint64_t quota =
        l->cpu_percent > UINT64_MAX / US_PER_PERCENT ? UINT64_MAX : l->cpu_percent * US_PER_PERCENT;
    dbus_put_string(out, unit);
    dbus_put_string(out, "fail");
    size_t properties = dbus_begin_array(out, 8);
    put_text(out, "Description", "a sandbox of postern");
    put_text(out, "CollectMode", "inactive-or-failed"); /* gone at the end, whatever the end was */
    put_pid(out, pid);
    put_number(out, "MemoryMax", l->memory, UINT64_MAX);
    if (l->memory != UINT64_MAX)
        put_number(out, "MemorySwapMax", 0, UINT64_MAX);
    put_number(out, "TasksMax", l->pids, UINT64_MAX);
    put_number(out, "CPUQuotaPerSecUSec", quota, UINT64_MAX);
    put_number(out, "CPUWeight", l->cpu_weight, 0);
    put_number(out, "IOWeight", l->io_weight, 0);
    dbus_end_array(out, properties, 8);
    size_t others = dbus_begin_array(out, 8);
    dbus_end_array(out, others, 8);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void pause_a_moment(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = PAUSE_MS * 1000000L }, NULL);
}

static int start_scope(const char *unit, pid_t pid, const struct cgroup_limits *limits,
                       const char *runtime_dir, struct err *e)
{
    CLEANUP(user_bus_close) struct user_bus bus;
    AUTO_BUF body = { 0 };
    if (user_bus_open(&bus, runtime_dir, PATIENCE_MS, e) < 0)
        return -1;
    cgroup_scope_body(&body, unit, pid, limits);
    struct dbus_call call = { .destination = MANAGER,
                              .path = "/org/freedesktop/systemd1",
                              .interface = MANAGER ".Manager",
                              .member = "StartTransientUnit",
                              .signature = "ssa(sv)a(sa(sv))",
                              .body = buf_str(&body) };
    int64_t until = now_ms() + NAME_MS;
    while (user_bus_call(&bus, &call, e) < 0) {
        if (e->kind != E_MISSING || now_ms() > until)
            return err_while(e, "ask the user's systemd for a scope");
        pause_a_moment();
    }
    return 0;
}

/* The path of the process's v2 group when that is our scope, else empty. `text` is for the bytes. */
static struct str scope_path(pid_t pid, const char *unit, char text[static TEXT_MAX])
{
    AUTO_BUF file = { 0 }, end = { 0 };
    buf_addf(&file, "/proc/%d/cgroup", pid);
    buf_addf(&end, "/%s", unit);
    AUTO_FD fd = open(buf_text(&file), O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, TEXT_MAX);
    struct str rest = { text, n > 0 ? (size_t)n : 0 }, line;
    while (rest.n && str_cut(&rest, '\n', &line))
        if (str_starts(line, STR("0::")) && str_ends(line, buf_str(&end)))
            return str_skip(line, 3);
    return (struct str){ 0 };
}

static bool is_cgroup2(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* The call's answer means that a job is queued. The group's directory, or NULL when the process is not
 * in it in time; the caller frees. */
static char *wait_for_scope(pid_t pid, const char *unit, int64_t until)
{
    static const char *const bases[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };
    char text[TEXT_MAX];
    struct str path;
    while ((path = scope_path(pid, unit, text)).n == 0 && now_ms() < until)
        pause_a_moment();
    for (int i = 0; path.n && i < 2; i++)
        if (is_cgroup2(bases[i])) {
            AUTO_BUF dir = { 0 };
            buf_addf(&dir, "%s%.*s", bases[i], STR_ARGS(path));
            return access(buf_text(&dir), F_OK) == 0 ? buf_take(&dir) : NULL;
        }
    return NULL;
}

static bool has_file(const char *dir, const char *file)
{
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/%s", dir, file);
    return access(buf_text(&path), W_OK) == 0;
}

/* Which controllers the scope really has; then the limits once more by our own hand, with what
 * systemd has no property for (memory.oom.group). */
static int take_over(struct cgroup *c, const struct cgroup_limits *limits, struct err *e)
{
    c->v2 = true;
    c->memory = c->memory_v2 = has_file(c->dirs[0], "memory.max");
    c->pids = c->pids_v2 = has_file(c->dirs[0], "pids.max");
    c->cpu = c->cpu_v2 = has_file(c->dirs[0], "cpu.max");
    struct cgroup_limits held = *limits;
    held.memory = c->memory ? held.memory : UINT64_MAX;
    held.pids = c->pids ? held.pids : UINT64_MAX;
    held.cpu_percent = c->cpu ? held.cpu_percent : UINT64_MAX;
    return cgroup_set_limits(c, &held, e) < 0 ? -1 : cgroup_guard_start(c, e);
}

int cgroup_scope_make(struct cgroup *c, const char *name, pid_t pid,
                      const struct cgroup_limits *limits, const char *runtime_dir, struct err *e)
{
    char unit[96];
    const int64_t until = now_ms() + PATIENCE_MS;
    *c = (struct cgroup){ 0 };
    snprintf(unit, sizeof unit, "%s.scope", name);
    if (start_scope(unit, pid, limits, runtime_dir, e) < 0)
        return -1;
    c->dirs[0] = wait_for_scope(pid, unit, until);
    if (!c->dirs[0])
        return err_set(e, E_SANDBOX, 0, "the user's systemd did not move the sandbox to '%s'",
                       unit);
    if (take_over(c, limits, e) == 0)
        return 0;
    free(c->dirs[0]); /* the process stays in it; systemd removes it at its end */
    *c = (struct cgroup){ 0 };
    return -1;
}
