#include "sandbox/settings_check.h"

#include <stdarg.h>
#include <stdio.h>

enum { PROBLEMS_SHOWN = 100, WARNINGS_SHOWN = 50, KEY_SHOWN = 64 };

void check_init(struct settings_check *c, struct settings *s,
                const struct settings_options *options, struct buf *problems)
{
    *c = (struct settings_check){ .s = s, .options = options, .problems = problems };
}

void check_release(struct settings_check *c)
{
    buf_release(&c->path);
}

size_t check_enter_key(struct settings_check *c, struct str key)
{
    size_t was = c->path.n;
    if (was)
        buf_add_byte(&c->path, '.');
    struct str shown = { key.p, key.n < KEY_SHOWN ? key.n : KEY_SHOWN };
    while (shown.n < key.n && shown.n && ((unsigned char)key.p[shown.n] & 0xc0) == 0x80)
        shown.n--; /* not in the middle of a character */
    for (size_t i = 0; i < shown.n; i++) {
        unsigned char byte = (unsigned char)shown.p[i];
        buf_add_byte(&c->path, byte < 0x20 || byte == 0x7f ? '?' : shown.p[i]);
    }
    if (shown.n < key.n)
        buf_add(&c->path, STR("..."));
    return was;
}

size_t check_enter_index(struct settings_check *c, size_t i)
{
    size_t was = c->path.n;
    buf_addf(&c->path, "[%zu]", i);
    return was;
}

void check_leave(struct settings_check *c, size_t was)
{
    c->path.n = was;
    if (c->path.p)
        c->path.p[was] = '\0';
}

/* "dotted.path: message", or the message alone for the file as a whole. */
__attribute__((format(printf, 3, 0))) static void say(const struct settings_check *c,
                                                      struct buf *out, const char *fmt, va_list ap)
{
    char message[600];
    vsnprintf(message, sizeof message, fmt, ap);
    if (c->profile_reading)
        buf_addf(out, "profile %s: ", c->profile_reading);
    if (c->path.n)
        buf_addf(out, "%s: ", buf_text(&c->path));
    buf_add(out, str_of(message));
}

__attribute__((format(printf, 2, 0))) static void add_problem(struct settings_check *c,
                                                              const char *fmt, va_list ap)
{
    if (c->problem_count++ >= PROBLEMS_SHOWN)
        return;
    if (c->problems->n)
        buf_add(c->problems, STR("; "));
    size_t start = c->problems->n;
    say(c, c->problems, fmt, ap);
    if (c->problem_count == 1)
        c->first_length = c->problems->n - start;
}

void check_problem(struct settings_check *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    add_problem(c, fmt, ap);
    va_end(ap);
}

void check_warn(struct settings_check *c, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    if (c->options->strict) {
        add_problem(c, fmt, ap);
    } else if (c->warning_count++ < WARNINGS_SHOWN && c->options->warning) {
        AUTO_BUF text = { 0 };
        say(c, &text, fmt, ap);
        c->options->warning(c->options->warning_ctx, buf_text(&text));
    }
    va_end(ap);
}

void check_unknown(struct settings_check *c, bool is_error, const char *hint)
{
    if (is_error || c->options->strict)
        check_problem(c, "unknown key%s", hint);
    else
        check_warn(c, "unknown key, ignored%s", hint);
}

void check_finish(struct settings_check *c)
{
    if (c->problem_count > PROBLEMS_SHOWN)
        buf_addf(c->problems, "; and %zu more", c->problem_count - PROBLEMS_SHOWN);
    if (c->warning_count > WARNINGS_SHOWN && c->options->warning) {
        AUTO_BUF text = { 0 };
        buf_addf(&text, "and %zu more warnings about the settings",
                 c->warning_count - WARNINGS_SHOWN);
        c->options->warning(c->options->warning_ctx, buf_text(&text));
    }
}

bool check_kind(struct settings_check *c, const struct json *v, enum json_kind kind)
{
    enum json_kind is = json_kind_of(v);
    if (is == kind)
        return true;
    check_problem(c, "must be %s, not %s", json_kind_text(kind), json_kind_text(is));
    return false;
}

bool check_string(struct settings_check *c, const struct json *v, struct str *out)
{
    if (!check_kind(c, v, JSON_IS_STRING) || !json_to_str(v, out))
        return false;
    if (out->n == 0)
        check_problem(c, "must not be empty");
    return out->n > 0;
}

bool check_array(struct settings_check *c, const struct json *v)
{
    if (!check_kind(c, v, JSON_IS_ARRAY))
        return false;
    if (json_count(v) > SETTINGS_LIST_MAX)
        check_problem(c, "has %zu entries; %d are the most", json_count(v), SETTINGS_LIST_MAX);
    return json_count(v) <= SETTINGS_LIST_MAX;
}

void *check_get(struct settings_check *c, size_t n)
{
    void *p = arena_get(&c->s->arena, n);
    if (!p && !c->full)
        check_problem(c, "the settings need too much memory");
    c->full |= !p;
    return p;
}

const char *check_dup(struct settings_check *c, struct str s)
{
    char *copy = check_get(c, s.n + 1);
    if (copy && s.n)
        memcpy(copy, s.p, s.n);
    return copy;
}
