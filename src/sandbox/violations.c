#include "sandbox/violations.h"

#include "egress/clean.h"
#include "proto/json.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    LINE_MAX_UNITS = 5000, /* a path is at most 4096 bytes, a reason 500 units */
    REASON_MAX = 500,
    OBJECT_MAX = 4200,
    CHUNK = 4096, /* PIPE_BUF: never blocks once poll says that a pipe can be written */
    READER_WAIT_MS = 2000,
};

struct violations {
    char *lines[VIOLATIONS_KEPT]; /* owned; a ring: line number n is at n % VIOLATIONS_KEPT */
    uint64_t count;
    char **ignored; /* owned; substrings that suppress a line of this command */
    size_t ignored_count;
};

int violations_target_parse(const char *text, struct violations_target *out, struct err *e)
{
    uint64_t number;
    if (!text) {
        out->place = isatty(STDERR_FILENO) ? VIOLATIONS_NONE : VIOLATIONS_STDERR;
        return 0;
    }
    if (strcmp(text, "stderr") == 0 || strcmp(text, "none") == 0) {
        out->place = text[0] == 's' ? VIOLATIONS_STDERR : VIOLATIONS_NONE;
        return 0;
    }
    if (strncmp(text, "fd:", 3) != 0)
        return err_set(e, E_INPUT, 0, "--violations is stderr, none or fd:N, not '%s'", text);
    if (!str_to_u64(str_of(text + 3), &number) || number < 3 || number > 1 << 20)
        return err_set(e, E_INPUT, 0, "--violations=fd:N takes a number from 3 on, not '%s'",
                       text + 3);
    int flags = fcntl((int)number, F_GETFL);
    if (flags < 0)
        return err_set(e, E_INPUT, errno, "--violations: descriptor %d", (int)number);
    if ((flags & O_ACCMODE) == O_RDONLY || (flags & O_PATH))
        return err_set(e, E_INPUT, 0, "--violations: descriptor %d cannot be written", (int)number);
    *out = (struct violations_target){ VIOLATIONS_FD, (int)number };
    return 0;
}

/* The values under "*" and under the keys that stand in the command. */
static int read_ignored(struct violations *v, const struct json *map, struct str command,
                        struct err *e)
{
    if (json_kind_of(map) != JSON_IS_OBJECT)
        return err_set(e, E_INPUT, 0, "ignoreViolations: not an object");
    for (struct json_member m = json_first(map); m.value; m = json_next(map, m)) {
        bool applies = str_eq(m.key, STR("*")) || str_has(command, m.key);
        if (json_kind_of(m.value) != JSON_IS_ARRAY)
            return err_set(e, E_INPUT, 0, "ignoreViolations: each value is a list of texts");
        for (size_t i = 0; i < json_count(m.value); i++) {
            struct str text;
            if (!json_to_str(json_at(m.value, i), &text))
                return err_set(e, E_INPUT, 0, "ignoreViolations: each value is a list of texts");
            if (!applies)
                continue;
            v->ignored = mem_grow(v->ignored, (v->ignored_count + 1) * sizeof *v->ignored);
            v->ignored[v->ignored_count++] = str_dup(text);
        }
    }
    return 0;
}

int violations_new(const char *ignore_json, struct str command, struct violations **out,
                   struct err *e)
{
    struct violations *v = mem_get(sizeof *v);
    AUTO_JSON map = NULL;
    if (ignore_json &&
        (json_parse(str_of(ignore_json), &map, e) < 0 || read_ignored(v, map, command, e) < 0)) {
        violations_free(v);
        return -1;
    }
    *out = v;
    return 0;
}

void violations_free(struct violations *v)
{
    if (!v)
        return;
    for (size_t i = 0; i < VIOLATIONS_KEPT; i++)
        free(v->lines[i]);
    for (size_t i = 0; i < v->ignored_count; i++)
        free(v->ignored[i]);
    free(v->ignored);
    free(v);
}

void violation_line(struct buf *out, const char *what, struct str object, struct str reason)
{
    buf_addf(out, "deny %s ", what);
    if (str_has(object, STR("://")))
        clean_target(out, object);
    else
        clean_text(out, object, OBJECT_MAX);
    if (!reason.n)
        return;
    buf_add(out, STR(" ("));
    clean_text(out, reason, REASON_MAX);
    buf_add_byte(out, ')');
}

bool violations_add(struct violations *v, struct str line)
{
    AUTO_BUF clean = { 0 };
    clean_text(&clean, line, LINE_MAX_UNITS);
    for (size_t i = 0; i < v->ignored_count; i++)
        if (str_has(buf_str(&clean), str_of(v->ignored[i])))
            return true;
    char **place = &v->lines[v->count++ % VIOLATIONS_KEPT];
    free(*place);
    *place = buf_take(&clean);
    return false;
}

uint64_t violations_count(const struct violations *v)
{
    return v->count;
}

static int write_whole(int fd, struct str bytes, struct err *e)
{
    while (bytes.n) {
        struct pollfd ready = { .fd = fd, .events = POLLOUT };
        int n = poll(&ready, 1, READER_WAIT_MS);
        if (n == 0)
            return err_set(e, E_BUSY, 0, "write the violations: nobody reads them");
        ssize_t sent = n < 0 ? -1 : write(fd, bytes.p, bytes.n < CHUNK ? bytes.n : CHUNK);
        if (sent < 0 && errno != EINTR && errno != EAGAIN)
            return err_set(e, E_IO, errno, "write the violations");
        bytes = str_skip(bytes, sent > 0 ? (size_t)sent : 0);
    }
    return 0;
}

int violations_print(const struct violations *v, const struct violations_target *target,
                     struct err *e)
{
    if (target->place == VIOLATIONS_NONE || v->count == 0)
        return 0;
    AUTO_BUF block = { 0 };
    buf_add(&block, STR("<sandbox_violations>\n"));
    uint64_t first = v->count > VIOLATIONS_KEPT ? v->count - VIOLATIONS_KEPT : 0;
    for (uint64_t i = first; i < v->count; i++)
        buf_addf(&block, "%s\n", v->lines[i % VIOLATIONS_KEPT]);
    buf_add(&block, STR("</sandbox_violations>\n"));
    int fd = target->place == VIOLATIONS_FD ? target->fd : STDERR_FILENO;
    return write_whole(fd, buf_str(&block), e);
}
