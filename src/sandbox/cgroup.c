#include "sandbox/cgroup.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/cgroup_guard.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP_UNIFIED "/sys/fs/cgroup/unified"

enum {
    CPU_PERIOD = 100000, /* us */
    V1_SHARES_PER_WEIGHT_100 = 1024,
    TEXT_MAX = 4096,
    WORDS_MAX = 512, /* the names of all controllers; small, as each page of a stack is a fault */
};

/* Reads a small kernel file as text. False when it cannot be read. */
static bool read_text(const char *path, char *text, size_t room)
{
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, room - 1);
    text[n < 0 ? 0 : n] = '\0';
    return n >= 0;
}

static bool read_in(const char *dir, const char *file, char *text, size_t room)
{
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/%s", dir, file);
    return read_text(buf_text(&path), text, room);
}

/* Writes one value into a file of a group; 0 or errno. */
static int write_in(const char *dir, const char *file, const char *value)
{
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/%s", dir, file);
    AUTO_FD fd = open(buf_text(&path), O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) < 0)
        return errno;
    return 0;
}

static bool is_cgroup2(const char *path)
{
    struct statfs fs;
    return statfs(path, &fs) == 0 && fs.f_type == CGROUP2_SUPER_MAGIC;
}

/* Finds our own group's path in one line of /proc/self/cgroup: "0::/path" for v2, "8:pids:/path" for
 * a v1 controller (which may share its hierarchy: "cpu,cpuacct"). */
static bool own_path(struct str lines, struct str controller, struct str *path)
{
    for (struct str line; str_cut(&lines, '\n', &line);) {
        struct str number, names;
        if (!str_cut(&line, ':', &number) || !str_cut(&line, ':', &names))
            continue;
        if (!controller.n && str_eq(number, STR("0"))) {
            *path = line;
            return true;
        }
        for (struct str name; controller.n && str_cut(&names, ',', &name);)
            if (str_eq(name, controller)) {
                *path = line;
                return true;
            }
    }
    return false;
}

/* The directory of our own group below `base`. Where the path means nothing here (a container that
 * sees only its own part of the tree) it is `base` itself. The caller frees. */
static char *own_dir(const char *base, struct str lines, struct str controller)
{
    struct str path = { 0 };
    struct stat st;
    AUTO_BUF dir = { 0 };
    buf_add(&dir, str_of(base));
    if (own_path(lines, controller, &path) && path.n > 1 && !str_starts(path, STR("/.."))) {
        buf_add(&dir, path);
        if (stat(buf_text(&dir), &st) < 0) {
            buf_empty(&dir);
            buf_add(&dir, str_of(base));
        }
    }
    return buf_take(&dir);
}

static bool has_word(const char *text, struct str word)
{
    struct str rest = str_trim(str_of(text)), one;
    while (str_cut(&rest, ' ', &one))
        if (str_eq(str_trim(one), word))
            return true;
    return false;
}

/* Makes a group and keeps its name: 1, 0 when we may not, -1 on an error. The name is on the guard's
 * list before the group exists, so that a kill at any moment leaves nothing. */
static int make_below(struct cgroup *c, const char *parent, struct err *e)
{
    char **place = c->dirs;
    while (*place)
        place++;
    CHECK(place < c->dirs + CGROUP_PLACES);
    if (access(parent, W_OK) < 0)
        return 0;
    if (!c->guard && cgroup_guard_start(c, e) < 0)
        return -1;
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/%s", parent, c->name);
    *place = buf_take(&path);
    if (mkdir(*place, 0755) == 0)
        return 1;
    free(*place);
    *place = NULL;
    return 0;
}

/* v2: moving a process needs the right to write cgroup.procs of the common parent. */
static bool may_move_below(const char *parent)
{
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/cgroup.procs", parent);
    return access(buf_text(&path), W_OK) == 0;
}

/* The real root of the tree is the only group without a type; only there may controllers be handed
 * to children while processes live in it. They stay handed out: other runs may use them by then. False
 * when there was none to hand out. */
static bool hand_out_controllers(const char *dir)
{
    bool any = false;
    static const char *const words[] = { "memory", "pids", "cpu", "io" };
    char there[WORDS_MAX], type[WORDS_MAX];
    if (read_in(dir, "cgroup.type", type, sizeof type) ||
        !read_in(dir, "cgroup.controllers", there, sizeof there))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        char add[16];
        if (!has_word(there, str_of(words[i])))
            continue;
        snprintf(add, sizeof add, "+%s", words[i]);
        int os = write_in(dir, "cgroup.subtree_control", add);
        any |= os == 0;
        if (os)
            log_debug("cgroup: %s in %s: %s", add, dir, strerrordesc_np(os));
    }
    return any;
}

/* True when children of `dir` can have limits; `given` names the controllers. */
static bool hands_out(const char *dir, const char *base, char given[static WORDS_MAX])
{
    for (int tries = 0; tries < 2; tries++) {
        read_in(dir, "cgroup.subtree_control", given, WORDS_MAX);
        if (has_word(given, STR("memory")) || has_word(given, STR("pids")))
            return true;
        if (strcmp(dir, base) != 0 || !hand_out_controllers(dir))
            return false;
    }
    return false;
}

/* One step up; false at `base`, and at the group of a run that we are inside of. */
static bool step_up(char *dir, const char *base)
{
    char *slash = strrchr(dir, '/');
    if (strlen(dir) <= strlen(base) || str_starts(str_of(slash + 1), STR(CGROUP_PREFIX)))
        return false;
    *slash = '\0';
    return true;
}

/* The nearest group above our own that hands out controllers and lets us make a child. Nearest, so that
 * limits which already hold for us hold for the run as well. */
static int make_v2(struct cgroup *c, const char *base, struct str lines, struct err *e)
{
    AUTO_FREE char *dir = own_dir(base, lines, (struct str){ 0 });
    char given[WORDS_MAX] = "";
    do {
        if (!may_move_below(dir) || !hands_out(dir, base, given))
            continue;
        int made = make_below(c, dir, e);
        if (made < 0)
            return -1;
        if (made) {
            c->memory = c->memory_v2 = has_word(given, STR("memory"));
            c->pids = c->pids_v2 = has_word(given, STR("pids"));
            c->cpu = c->cpu_v2 = has_word(given, STR("cpu"));
            c->v2 = true;
            return 0;
        }
    } while (step_up(dir, base));
    return 0;
}

/* Without any limit: cgroup.kill works in such a group, too. */
static int make_bare(struct cgroup *c, const char *base, struct str lines, struct err *e)
{
    AUTO_FREE char *dir = own_dir(base, lines, (struct str){ 0 });
    int made = 0;
    do
        made = may_move_below(dir) ? make_below(c, dir, e) : 0;
    while (made == 0 && step_up(dir, base));
    c->v2 = made > 0;
    return made < 0 ? -1 : 0;
}

static int make_v1(struct cgroup *c, const char *controller, struct str lines, bool *made,
                   struct err *e)
{
    AUTO_BUF base = { 0 };
    buf_addf(&base, CGROUP_ROOT "/%s", controller);
    struct statfs fs;
    if (statfs(buf_text(&base), &fs) < 0 || fs.f_type != CGROUP_SUPER_MAGIC)
        return 0;
    AUTO_FREE char *parent = own_dir(buf_text(&base), lines, str_of(controller));
    int result = make_below(c, parent, e);
    *made = result > 0;
    return result < 0 ? -1 : 0;
}

/* One file of one group. `needed` rows must take their value; the others are extras that not every
 * kernel has. */
struct limit_row {
    const char *file;
    char value[64];
    const char *born_with; /* what a new group has: then nothing need be written */
    bool needed;
};

static void number_or(char *out, size_t room, uint64_t value, const char *none)
{
    if (value == UINT64_MAX)
        snprintf(out, room, "%s", none);
    else
        snprintf(out, room, "%" PRIu64, value);
}

static uint64_t cpu_quota(const struct cgroup_limits *l)
{
    return l->cpu_percent > UINT64_MAX / CPU_PERIOD ? UINT64_MAX
                                                    : l->cpu_percent * (CPU_PERIOD / 100);
}

static int write_rows(const char *dir, const struct limit_row *rows, size_t count, bool is_new,
                      struct err *e)
{
    for (size_t i = 0; i < count; i++) {
        const struct limit_row *row = &rows[i];
        if (!row->value[0] || (is_new && row->born_with && !strcmp(row->value, row->born_with)))
            continue;
        int os = write_in(dir, row->file, row->value);
        if (os && row->needed)
            return err_set(e, E_SANDBOX, os, "cgroup: set %s to %s", row->file, row->value);
    }
    return 0;
}

static int limit_v2(const struct cgroup *c, const struct cgroup_limits *l, bool is_new,
                    struct err *e)
{
    struct limit_row memory[] = { { "memory.max", "", "max", true },
                                  { "memory.swap.max", "0", NULL, false },
                                  { "memory.oom.group", "1", NULL, false } };
    struct limit_row pids = { "pids.max", "", "max", true };
    struct limit_row cpu[] = { { "cpu.max", "", "max 100000", true },
                               { "cpu.weight", "", "100", false } };
    struct limit_row io = { "io.weight", "", "100", false };
    char quota[32];
    number_or(memory[0].value, sizeof memory[0].value, l->memory, "max");
    number_or(pids.value, sizeof pids.value, l->pids, "max");
    number_or(quota, sizeof quota, cpu_quota(l), "max");
    snprintf(cpu[0].value, sizeof cpu[0].value, "%s %d", quota, CPU_PERIOD);
    if (l->cpu_weight)
        number_or(cpu[1].value, sizeof cpu[1].value, l->cpu_weight, "");
    if (l->io_weight)
        number_or(io.value, sizeof io.value, l->io_weight, "");
    const char *dir = c->dirs[0];
    if ((c->memory_v2 && write_rows(dir, memory, 3, is_new, e) < 0) ||
        (c->pids_v2 && write_rows(dir, &pids, 1, is_new, e) < 0) ||
        (c->cpu_v2 && write_rows(dir, cpu, 2, is_new, e) < 0))
        return -1;
    return write_rows(dir, &io, 1, is_new, e);
}

/* v1 wants memory <= memory + swap at every moment: whichever way the limit moves, one of the two
 * orders works. Without swap accounting there is no second file. */
static int limit_memory_v1(const char *dir, const char *value, struct err *e)
{
    int os = write_in(dir, "memory.limit_in_bytes", value);
    int swap = write_in(dir, "memory.memsw.limit_in_bytes", value);
    if (os && swap == 0)
        os = write_in(dir, "memory.limit_in_bytes", value);
    if (os)
        return err_set(e, E_SANDBOX, os, "cgroup: set memory.limit_in_bytes to %s", value);
    return 0;
}

static bool has_file(const char *dir, const char *file)
{
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/%s", dir, file);
    return access(buf_text(&path), F_OK) == 0;
}

/* A v1 group is known by the files that its controller gives it. */
static int limit_v1(const char *dir, const struct cgroup_limits *l, bool is_new, struct err *e)
{
    char value[64];
    if (has_file(dir, "memory.limit_in_bytes")) {
        number_or(value, sizeof value, l->memory, "-1");
        return is_new && l->memory == UINT64_MAX ? 0 : limit_memory_v1(dir, value, e);
    }
    struct limit_row pids = { "pids.max", "", "max", true };
    number_or(pids.value, sizeof pids.value, l->pids, "max");
    if (has_file(dir, pids.file))
        return write_rows(dir, &pids, 1, is_new, e);
    struct limit_row cpu[] = { { "cpu.cfs_quota_us", "", "-1", true },
                               { "cpu.shares", "", "1024", false } };
    number_or(cpu[0].value, sizeof cpu[0].value, cpu_quota(l), "-1");
    if (l->cpu_weight)
        number_or(cpu[1].value, sizeof cpu[1].value, l->cpu_weight * V1_SHARES_PER_WEIGHT_100 / 100,
                  "");
    return write_rows(dir, cpu, 2, is_new, e);
}

static int apply_limits(const struct cgroup *c, const struct cgroup_limits *l, bool is_new,
                        struct err *e)
{
    if (c->v2 && limit_v2(c, l, is_new, e) < 0)
        return -1;
    for (int i = c->v2; i < CGROUP_PLACES && c->dirs[i]; i++)
        if (limit_v1(c->dirs[i], l, is_new, e) < 0)
            return -1;
    return 0;
}

static bool wants_cpu(const struct cgroup_limits *l)
{
    return l->cpu_percent != UINT64_MAX || (l->cpu_weight && l->cpu_weight != 100);
}

int cgroup_begin(struct cgroup *c, const char *name, struct err *e)
{
    CHECK(str_starts(str_of(name), STR(CGROUP_PREFIX)) && !strchr(name, '/'));
    *c = (struct cgroup){ 0 };
    snprintf(c->name, sizeof c->name, "%s", name);
    char own[TEXT_MAX];
    if (!is_cgroup2(CGROUP_ROOT) || !read_text("/proc/self/cgroup", own, sizeof own))
        return 0;
    if (make_v2(c, CGROUP_ROOT, str_of(own), e) == 0)
        return 0;
    cgroup_remove(c);
    return -1;
}

static int make_rest(struct cgroup *c, const struct cgroup_limits *limits, struct err *e)
{
    char own[TEXT_MAX];
    if (!read_text("/proc/self/cgroup", own, sizeof own))
        return 0; /* no control groups in this kernel: the flags say so */
    struct str lines = str_of(own);
    /* In a mixed tree the v2 half rarely has controllers: it is not worth a wait before the clone. */
    if (!c->v2 && is_cgroup2(CGROUP_UNIFIED) && make_v2(c, CGROUP_UNIFIED, lines, e) < 0)
        return -1;
    if ((!c->memory && make_v1(c, "memory", lines, &c->memory, e) < 0) ||
        (!c->pids && make_v1(c, "pids", lines, &c->pids, e) < 0))
        return -1;
    /* A group that nobody asked for would only cost start time. */
    if (!c->cpu && wants_cpu(limits) && make_v1(c, "cpu", lines, &c->cpu, e) < 0)
        return -1;
    if (c->dirs[0])
        return 0;
    return is_cgroup2(CGROUP_ROOT)      ? make_bare(c, CGROUP_ROOT, lines, e)
           : is_cgroup2(CGROUP_UNIFIED) ? make_bare(c, CGROUP_UNIFIED, lines, e)
                                        : 0;
}

int cgroup_finish(struct cgroup *c, const struct cgroup_limits *limits, struct err *e)
{
    if (make_rest(c, limits, e) == 0 && apply_limits(c, limits, true, e) == 0)
        return 0;
    cgroup_remove(c);
    return -1;
}

int cgroup_make(struct cgroup *c, const char *name, const struct cgroup_limits *limits,
                struct err *e)
{
    return cgroup_begin(c, name, e) < 0 ? -1 : cgroup_finish(c, limits, e);
}

int cgroup_open(const struct cgroup *c)
{
    return c->v2 ? open(c->dirs[0], O_PATH | O_DIRECTORY | O_CLOEXEC) : -1;
}

int cgroup_doors(const struct cgroup *c, bool inside_v2, int fds[CGROUP_PLACES], size_t *count,
                 struct err *e)
{
    *count = 0;
    for (int i = 0; i < CGROUP_PLACES && c->dirs[i]; i++) {
        bool v2 = c->v2 && i == 0;
        if (v2 && inside_v2)
            continue;
        AUTO_BUF path = { 0 };
        buf_addf(&path, "%s/%s", c->dirs[i], v2 ? "cgroup.procs" : "tasks");
        fds[*count] = open(buf_text(&path), O_WRONLY | O_CLOEXEC);
        if (fds[*count] < 0) {
            err_set(e, E_SANDBOX, errno, "cgroup: open '%s'", buf_text(&path));
            while (*count)
                close(fds[--*count]);
            return -1;
        }
        ++*count;
    }
    return 0;
}

int cgroup_pass(int door, struct err *e)
{
    return write(door, "0", 1) == 1 ? 0 : err_set(e, E_SANDBOX, errno, "cgroup: enter");
}

int cgroup_enter(const struct cgroup *c, pid_t pid, struct err *e)
{
    char text[32];
    snprintf(text, sizeof text, "%d", pid);
    for (int i = 0; i < CGROUP_PLACES && c->dirs[i]; i++) {
        int os = write_in(c->dirs[i], "cgroup.procs", text);
        if (os)
            return err_set(e, E_SANDBOX, os, "cgroup: enter '%s'", c->dirs[i]);
    }
    return 0;
}

int cgroup_set_limits(const struct cgroup *c, const struct cgroup_limits *limits, struct err *e)
{
    const char *lacks = limits->memory != UINT64_MAX && !c->memory     ? "memory"
                        : limits->pids != UINT64_MAX && !c->pids       ? "pids"
                        : limits->cpu_percent != UINT64_MAX && !c->cpu ? "cpu"
                                                                       : NULL;
    if (lacks)
        return err_set(e, E_SANDBOX, 0, "cgroup: this run has no %s controller", lacks);
    return apply_limits(c, limits, false, e);
}

/* The number behind `key` in "key number" lines; the whole file when key is empty. */
static uint64_t number_in(const char *dir, const char *file, struct str key)
{
    char text[TEXT_MAX];
    uint64_t value = 0;
    if (!read_in(dir, file, text, sizeof text))
        return 0;
    struct str rest = str_of(text), line, word;
    while (str_cut(&rest, '\n', &line)) {
        if (key.n && !(str_cut(&line, ' ', &word) && str_eq(word, key)))
            continue;
        return str_to_u64(str_trim(line), &value) ? value : 0;
    }
    return 0;
}

void cgroup_usage(const struct cgroup *c, struct cgroup_usage *out)
{
    *out = (struct cgroup_usage){ 0 };
    for (int i = 0; i < CGROUP_PLACES && c->dirs[i]; i++) {
        const char *dir = c->dirs[i];
        bool v2 = c->v2 && i == 0;
        const char *peak = v2 ? "memory.peak" : "memory.max_usage_in_bytes";
        const char *kills = v2 ? "memory.events" : "memory.oom_control";
        out->memory_peak += number_in(dir, peak, (struct str){ 0 });
        out->oom_kills += number_in(dir, kills, STR("oom_kill"));
        out->pids_refused += number_in(dir, "pids.events", STR("max"));
    }
}

void cgroup_remove(struct cgroup *c)
{
    int left = cgroup_tear_down(c->dirs);
    if (left)
        log_warn("cgroup: %d of the directories like '%s' could not be removed", left, c->dirs[0]);
    cgroup_guard_stop(c);
    for (int i = 0; i < CGROUP_PLACES; i++)
        free(c->dirs[i]);
    *c = (struct cgroup){ 0 };
}
