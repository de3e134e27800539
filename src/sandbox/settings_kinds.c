/* Kinds of settings that hold one value: booleans, words, numbers, sizes, texts. */
#include "sandbox/settings_rows.h"

bool text_same(const char *a, const char *b)
{
    return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool read_flag(struct settings_check *c, const struct json *v, bool *out)
{
    return check_kind(c, v, JSON_IS_BOOL) && json_to_bool(v, out);
}

static void bool_read(struct settings_check *c, const struct json *v,
                      const struct settings_row *row)
{
    bool *target = row_target(c, row), value;
    if (read_flag(c, v, &value) && target)
        *target = value;
}

static bool bool_same(const void *a, const void *b)
{
    return *(const bool *)a == *(const bool *)b;
}

static void switch_read(struct settings_check *c, const struct json *v,
                        const struct settings_row *row)
{
    enum setting_switch *target = row_target(c, row);
    bool value;
    if (read_flag(c, v, &value) && target)
        *target = value ? SETTING_ON : SETTING_OFF;
}

static bool switch_same(const void *a, const void *b)
{
    return *(const enum setting_switch *)a == *(const enum setting_switch *)b;
}

/* The index of the word among row->words, or -1 after a problem. */
static int word_index(struct settings_check *c, const struct json *v,
                      const struct settings_row *row)
{
    struct str word;
    if (!check_kind(c, v, JSON_IS_STRING) || !json_to_str(v, &word))
        return -1;
    AUTO_BUF all = { 0 };
    for (int i = 0; row->words[i]; i++) {
        if (str_eq(word, str_of(row->words[i])))
            return i;
        buf_addf(&all, "%s\"%s\"", i ? ", " : "", row->words[i]);
    }
    check_problem(c, "must be one of %s", buf_text(&all));
    return -1;
}

static void word_read(struct settings_check *c, const struct json *v,
                      const struct settings_row *row)
{
    unsigned *target = row_target(c, row);
    int index = word_index(c, v, row);
    if (index >= 0 && target)
        *target = (unsigned)index;
}

static bool word_same(const void *a, const void *b)
{
    return *(const unsigned *)a == *(const unsigned *)b;
}

static void either_read(struct settings_check *c, const struct json *v,
                        const struct settings_row *row)
{
    bool *target = row_target(c, row);
    int index = word_index(c, v, row);
    if (index >= 0 && target)
        *target = index == 1;
}

static bool in_range(struct settings_check *c, uint64_t value, uint64_t min, uint64_t max)
{
    if (value >= min && value <= max)
        return true;
    check_problem(c, "must be between %llu and %llu", (unsigned long long)min,
                  (unsigned long long)max);
    return false;
}

static bool read_number(struct settings_check *c, const struct json *v, uint64_t min, uint64_t max,
                        uint64_t *out)
{
    int64_t value;
    if (!check_kind(c, v, JSON_IS_INTEGER) || !json_to_i64(v, &value))
        return false;
    *out = (uint64_t)value;
    return in_range(c, value < 0 ? UINT64_MAX : *out, min, max);
}

static bool is_unlimited(const struct json *v, const struct settings_row *row)
{
    struct str text;
    return row->flags & ROW_UNLIMITED && json_to_str(v, &text) && str_eq(text, STR("unlimited"));
}

static void number_read(struct settings_check *c, const struct json *v,
                        const struct settings_row *row)
{
    uint64_t *target = row_target(c, row), value = UINT64_MAX;
    if ((is_unlimited(v, row) || read_number(c, v, row->min, row->max, &value)) && target)
        *target = value;
}

static bool number_same(const void *a, const void *b)
{
    return *(const uint64_t *)a == *(const uint64_t *)b;
}

static void number32_read(struct settings_check *c, const struct json *v,
                          const struct settings_row *row)
{
    uint32_t *target = row_target(c, row);
    uint64_t value;
    if (read_number(c, v, row->min, row->max, &value) && target)
        *target = (uint32_t)value;
}

static bool number32_same(const void *a, const void *b)
{
    return *(const uint32_t *)a == *(const uint32_t *)b;
}

static void port_read(struct settings_check *c, const struct json *v,
                      const struct settings_row *row)
{
    uint16_t *target = row_target(c, row);
    uint64_t value;
    if (read_number(c, v, 1, 65535, &value) && target)
        *target = (uint16_t)value;
}

static bool port_same(const void *a, const void *b)
{
    return *(const uint16_t *)a == *(const uint16_t *)b;
}

/* "512MiB" or "512M" and so on, powers of 1024 only: "MB" means two things to people. */
static bool parse_size(struct str text, uint64_t *out)
{
    static const char units[] = "KMGT";
    size_t digits = 0;
    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    struct str unit = str_trim(str_skip(text, digits));
    if (!str_to_u64((struct str){ text.p, digits }, out) || unit.n == 0)
        return false;
    const char *at = memchr(units, unit.p[0], sizeof units - 1);
    if (!at || (unit.n > 1 && !str_eq(str_skip(unit, 1), STR("iB"))))
        return false;
    return !__builtin_mul_overflow(*out, 1ull << 10 * (at - units + 1), out);
}

static void size_read(struct settings_check *c, const struct json *v,
                      const struct settings_row *row)
{
    uint64_t *target = row_target(c, row), value = UINT64_MAX;
    struct str text;
    if (json_kind_of(v) == JSON_IS_INTEGER) {
        if (!read_number(c, v, row->min, row->max, &value))
            return;
    } else if (!is_unlimited(v, row)) {
        if (!json_to_str(v, &text) || !parse_size(text, &value)) {
            check_problem(c, "must be a number of bytes or a size such as \"512MiB\"%s",
                          row->flags & ROW_UNLIMITED ? ", or \"unlimited\"" : "");
            return;
        }
        if (!in_range(c, value, row->min, row->max))
            return;
    }
    if (target)
        *target = value;
}

static void text_read(struct settings_check *c, const struct json *v,
                      const struct settings_row *row)
{
    const char **target = row_target(c, row);
    struct str text;
    if (!check_string(c, v, &text))
        return;
    const char *wrong = row->refuses ? row->refuses(text) : NULL;
    if (wrong)
        check_problem(c, "%s", wrong);
    else if (target)
        *target = check_dup(c, text);
}

static bool text_kind_same(const void *a, const void *b)
{
    return text_same(*(const char *const *)a, *(const char *const *)b);
}

const char *refuse_relative_path(struct str text)
{
    return text.p[0] == '/' ? NULL : "must be an absolute path";
}

const struct settings_kind KIND_BOOL = { bool_read, bool_same };
const struct settings_kind KIND_SWITCH = { switch_read, switch_same };
const struct settings_kind KIND_WORD = { word_read, word_same };
const struct settings_kind KIND_EITHER = { either_read, bool_same };
const struct settings_kind KIND_NUMBER = { number_read, number_same };
const struct settings_kind KIND_NUMBER32 = { number32_read, number32_same };
const struct settings_kind KIND_PORT = { port_read, port_same };
const struct settings_kind KIND_SIZE = { size_read, number_same };
const struct settings_kind KIND_TEXT = { text_read, text_kind_same };
