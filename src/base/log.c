#include "base/log.h"

#include "base/moment.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

static bool debug_on;
static enum log_form log_form;

void log_set_debug(bool on)
{
    debug_on = on;
}

bool log_is_debug(void)
{
    return debug_on;
}

void log_set_form(enum log_form form)
{
    log_form = form;
}

void log_write(struct str lines)
{
    while (lines.n) {
        ssize_t sent = write(STDERR_FILENO, lines.p, lines.n);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent <= 0)
            return; /* nobody reads our stderr: there is nowhere left to say so */
        lines = str_skip(lines, (size_t)sent);
    }
}

/* The inside of a string in quotes, for both forms: JSON's rules, and every byte that is not ASCII as
 * it is when the whole is UTF-8. */
static void add_escaped(struct buf *out, struct str text)
{
    bool utf8 = str_is_utf8(text);
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '"' || c == '\\') {
            buf_add_byte(out, '\\');
            buf_add_byte(out, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_addf(out, "\\u%04x", c);
        } else if (c >= 0x80 && !utf8) {
            buf_add(out, STR("?"));
        } else {
            buf_add_byte(out, (char)c);
        }
    }
}

static void add_quoted(struct buf *out, struct str text)
{
    buf_add_byte(out, '"');
    add_escaped(out, text);
    buf_add_byte(out, '"');
}

static bool is_plain(struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c <= ' ' || c >= 0x7f || c == '"' || c == '\\' || c == '=')
            return false;
    }
    return text.n > 0;
}

static void begin_json(struct buf *out, const char *key, const char *value)
{
    char time[MOMENT_SIZE];
    struct clock clock = clock_of_machine();
    moment_write(time, clock_now(&clock));
    buf_addf(out, "{\"time\":\"%s\",\"%s\":\"%s\"", time, key, value);
}

static void add_signed(struct buf *out, int64_t number)
{
    if (number < 0)
        buf_add_byte(out, '-');
    buf_add_number(out, number < 0 ? -(uint64_t)number : (uint64_t)number);
}

static void add_field(struct buf *out, const struct log_field *f)
{
    bool json = log_form == LOG_AS_JSON;
    buf_add(out, json ? STR(",\"") : STR(" "));
    buf_add(out, str_of(f->key));
    buf_add(out, json ? STR("\":") : STR("="));
    if (f->text.p && (json || !is_plain(f->text)))
        add_quoted(out, f->text);
    else if (f->text.p)
        buf_add(out, f->text);
    else
        add_signed(out, f->number);
}

void log_event_add(struct buf *out, const char *name, const struct log_field *fields, size_t count)
{
    if (log_form == LOG_AS_JSON)
        begin_json(out, "event", name);
    else
        buf_add(out, str_of(name));
    for (size_t i = 0; i < count; i++)
        add_field(out, &fields[i]);
    buf_add(out, log_form == LOG_AS_JSON ? STR("}\n") : STR("\n"));
}

void log_event_fields(const char *name, const struct log_field *fields, size_t count)
{
    AUTO_BUF line = { 0 };
    log_event_add(&line, name, fields, count);
    log_write(buf_str(&line)); /* in one, so that lines of several processes do not mix */
}

/* Without any allocation: a child between fork and exec may have something to say. */
__attribute__((format(printf, 2, 0))) static void log_text(const char *head, const char *fmt,
                                                           va_list ap)
{
    char line[2048];
    int n = snprintf(line, sizeof line, "%s", head);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    size_t used = (size_t)n + (m < 0 ? 0 : (size_t)m);
    if (used > sizeof line - 2)
        used = sizeof line - 2;
    for (size_t i = 0; i < used; i++)
        if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
            line[i] = '?';
    line[used++] = '\n';
    log_write((struct str){ line, used });
}

__attribute__((format(printf, 2, 0))) static void log_json(const char *level, const char *fmt,
                                                           va_list ap)
{
    char text[2048];
    AUTO_BUF line = { 0 };
    int n = vsnprintf(text, sizeof text, fmt, ap);
    size_t used = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1;
    begin_json(&line, "level", level);
    buf_add(&line, STR(",\"text\":"));
    add_quoted(&line, (struct str){ text, used });
    buf_add(&line, STR("}\n"));
    log_write(buf_str(&line));
}

struct log_level {
    const char *head, *name;
};

/* One write per line, so that lines of several processes do not mix. */
__attribute__((format(printf, 2, 0))) static void log_line(const struct log_level *level,
                                                           const char *fmt, va_list ap)
{
    if (log_form == LOG_AS_JSON)
        log_json(level->name, fmt, ap);
    else
        log_text(level->head, fmt, ap);
}

void log_debug(const char *fmt, ...)
{
    if (!debug_on)
        return;
    va_list ap;
    va_start(ap, fmt);
    log_line(&(struct log_level){ "[SandboxDebug] ", "debug" }, fmt, ap);
    va_end(ap);
}

void log_warn(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_line(&(struct log_level){ "postern: warning: ", "warning" }, fmt, ap);
    va_end(ap);
}

void log_error(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    log_line(&(struct log_level){ "postern: error: ", "error" }, fmt, ap);
    va_end(ap);
}
