/* `x.limits` (contract 4.1). 0 in the struct stands for the default of that table, so where 0 would
 * mean something else the least value is 1. */
#include "sandbox/settings_rows.h"

#define AT(field) offsetof(struct settings, limits.field)
#define COUNT(array) (sizeof(array) / sizeof *(array))
#define KIB (1ull << 10)
#define MIB (1ull << 20)
#define LARGEST ((uint64_t)INT64_MAX)
#define YEAR (366ull * 24 * 3600)

/* What was asked for and cannot be had is said aloud later (contract 4.1), so it is remembered. */
static void memory_read(struct settings_check *c, const struct json *v,
                        const struct settings_row *row)
{
    KIND_SIZE.read(c, v, row);
    c->s->limits.memory_set = true;
}

static void pids_read(struct settings_check *c, const struct json *v,
                      const struct settings_row *row)
{
    KIND_NUMBER.read(c, v, row);
    c->s->limits.pids_set = true;
}

/* "200%" is two processors. A bare number would leave open what it counts. */
static void cpu_read(struct settings_check *c, const struct json *v, const struct settings_row *row)
{
    struct str text;
    uint64_t percent = 0;
    c->s->limits.cpu_set = true;
    if (json_to_str(v, &text) && str_eq(text, STR("unlimited"))) {
        c->s->limits.cpu_percent = UINT64_MAX;
        return;
    }
    bool good = json_to_str(v, &text) && str_ends(text, STR("%")) &&
                str_to_u64((struct str){ text.p, text.n - 1 }, &percent) && percent >= row->min &&
                percent <= row->max;
    if (good)
        c->s->limits.cpu_percent = percent;
    else
        check_problem(c, "must be a percentage of one processor such as \"200%%\", between 1%% "
                         "and 100000%%");
}

static bool number_same(const void *a, const void *b)
{
    return *(const uint64_t *)a == *(const uint64_t *)b;
}

static const struct settings_kind KIND_MEMORY = { memory_read, number_same };
static const struct settings_kind KIND_PIDS = { pids_read, number_same };
static const struct settings_kind KIND_CPU = { cpu_read, number_same };

static const struct settings_row rows[] = {
    { "memory", &KIND_MEMORY, AT(memory), ROW_LIVE | ROW_UNLIMITED, MIB, LARGEST },
    { "pids", &KIND_PIDS, AT(pids), ROW_LIVE | ROW_UNLIMITED, 1, 1ull << 22 },
    { "cpu", &KIND_CPU, AT(cpu_percent), ROW_LIVE, 1, 100000 },
    { "cpuWeight", &KIND_NUMBER, AT(cpu_weight), ROW_LIVE, 1, 10000 },
    { "ioWeight", &KIND_NUMBER, AT(io_weight), ROW_LIVE, 1, 10000 },
    { "wall", &KIND_NUMBER, AT(wall_seconds), 0, 1, YEAR },
    { "fileSize", &KIND_SIZE, AT(file_size), ROW_UNLIMITED, 1, LARGEST },
    { "openFiles", &KIND_NUMBER, AT(open_files), ROW_UNLIMITED, 8, 1ull << 30 },
    { "diskQuota", &KIND_SIZE, AT(disk_quota), 0, 4 * KIB, LARGEST },
    { "tmpSize", &KIND_SIZE, AT(tmp_size), 0, 4 * KIB, LARGEST },
    { "core", &KIND_SIZE, AT(core), ROW_UNLIMITED, 0, LARGEST },
    { "stack", &KIND_SIZE, AT(stack), ROW_UNLIMITED, 64 * KIB, LARGEST },
    { "memlock", &KIND_SIZE, AT(memlock), ROW_UNLIMITED, 1, LARGEST },
    { "msgqueue", &KIND_SIZE, AT(msgqueue), ROW_UNLIMITED, 0, LARGEST },
    { "sigpending", &KIND_NUMBER, AT(sigpending), ROW_UNLIMITED, 1, 1ull << 30 },
    { "useSystemd", &KIND_BOOL, AT(use_systemd) },
};

const struct settings_table settings_limits_table = { rows, COUNT(rows), true };

void limits_finish(struct settings_check *c)
{
    size_t top = check_enter_key(c, STR("x")), middle = check_enter_key(c, STR("limits"));
    size_t bottom = check_enter_key(c, STR("diskQuota"));
    if (c->s->limits.disk_quota && c->s->filesystem_disabled)
        check_problem(c, "counts what is added in allowed write paths, and filesystem.disabled "
                         "leaves none");
    check_leave(c, bottom);
    check_leave(c, middle);
    check_leave(c, top);
}
