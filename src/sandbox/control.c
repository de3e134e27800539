#include "sandbox/control.h"

#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

enum {
    LINE_MAX_BYTES = 1 << 20, /* as settings files */
    CHUNK = 65536,
};

struct control {
    struct control_options options;
    int fd; /* owned; -1 after the end */
    struct buf in;
    bool skipping; /* the rest of a line that was too long */
    bool had_line;
};

int control_parse(const char *text, int *fd, struct err *e)
{
    uint64_t number;
    struct stat st;
    if (!str_to_u64(str_of(text), &number) || number < 3 || number > 1 << 20)
        return err_set(e, E_INPUT, 0, "--control-fd takes a descriptor number from 3 on, not '%s'",
                       text);
    int flags = fcntl((int)number, F_GETFL);
    if (flags < 0 || fstat((int)number, &st) < 0)
        return err_set(e, E_INPUT, errno, "--control-fd %d", (int)number);
    if ((flags & O_ACCMODE) == O_WRONLY || (flags & O_PATH) || S_ISDIR(st.st_mode))
        return err_set(e, E_INPUT, 0, "--control-fd %d cannot be read", (int)number);
    *fd = (int)number;
    return 0;
}

struct control *control_new(const struct control_options *options)
{
    struct control *c = mem_get(sizeof *c);
    c->options = *options;
    c->fd = options->fd;
    fcntl(c->fd, F_SETFD, FD_CLOEXEC);
    return c;
}

void control_free(struct control *c)
{
    if (!c)
        return;
    fd_drop(&c->fd);
    buf_release(&c->in);
    free(c);
}

int control_fd(const struct control *c)
{
    return c->fd;
}

static void say_ignored(const struct control *c, const char *why)
{
    log_warn("Invalid config on control fd %d: ignored, previous config still in force: %s",
             c->options.fd, why);
}

/* As for the settings file (contract 3.1): an unknown key must not pass in silence. */
static void warn_key(void *ctx, const char *text)
{
    const struct control *c = ctx;
    log_warn("control fd %d: %s", c->options.fd, text);
}

/* What cannot change while a command runs is named, not dropped in silence. */
static void warn_fixed(const struct control *c, const struct settings *now)
{
    AUTO_BUF keys = { 0 };
    struct str key, rest;
    settings_fixed_difference(c->options.start, now, &keys);
    rest = buf_str(&keys);
    while (str_cut(&rest, '\n', &key))
        if (key.n)
            log_warn(
                "control fd %d: %.*s cannot change while the command runs; its change is ignored",
                c->options.fd, STR_ARGS(key));
}

static void take_line(struct control *c, struct str line)
{
    AUTO_BUF problems = { 0 };
    struct settings_options how = *c->options.parse;
    struct settings s;
    struct err e = { 0 };
    how.warning = warn_key;
    how.warning_ctx = c;
    c->had_line = true;
    if (settings_parse(line, "control fd", &how, &s, &problems, &e) < 0) {
        say_ignored(c, problems.n ? buf_text(&problems) : e.text);
        return;
    }
    warn_fixed(c, &s);
    if (c->options.apply(c->options.ctx, line, &s, &e) < 0)
        say_ignored(c, e.text);
    settings_release(&s);
}

/* A line as it came: CR LF is fine, a blank line is nothing. */
static void take_raw_line(struct control *c, struct str line)
{
    if (line.n && line.p[line.n - 1] == '\r')
        line.n--;
    if (c->skipping)
        c->skipping = false;
    else if (str_trim(line).n)
        take_line(c, line);
}

static void take_lines(struct control *c)
{
    struct str rest = buf_str(&c->in);
    for (ptrdiff_t end; (end = str_index(rest, '\n')) >= 0;) {
        take_raw_line(c, (struct str){ rest.p, (size_t)end });
        rest = str_skip(rest, (size_t)end + 1);
    }
    if (rest.n)
        memmove(c->in.p, rest.p, rest.n);
    c->in.n = rest.n;
    if (c->in.n <= LINE_MAX_BYTES)
        return;
    if (!c->skipping)
        say_ignored(c, "the line is longer than 1 MiB");
    c->skipping = true;
    c->had_line = true;
    buf_empty(&c->in);
}

enum control_state control_ready(struct control *c)
{
    ssize_t got = read(c->fd, buf_room(&c->in, CHUNK), CHUNK);
    if (got > 0) {
        buf_grew(&c->in, (size_t)got);
        take_lines(c);
        return CONTROL_ON;
    }
    int os = errno;
    if (got < 0 && (os == EINTR || os == EAGAIN))
        return CONTROL_ON;
    if (got == 0 && c->in.n)
        take_raw_line(c, buf_str(&c->in)); /* the last line needs no newline */
    fd_drop(&c->fd);
    if (got == 0)
        return CONTROL_ENDED;
    log_error("control fd %d: %s%s", c->options.fd, strerrordesc_np(os),
              c->had_line ? "; the last settings stay in force" : "");
    return c->had_line ? CONTROL_FAILED : CONTROL_FAILED_FIRST;
}
