#include "sandbox/prompt-int.h"

#include "base/fd.h"
#include "base/log.h"
#include "egress/clean.h"
#include "proto/json.h"
#include "proto/json_write.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>

enum {
    LINE_MAX_BYTES = 65536, /* of one answer */
    OUT_MAX = 262144,       /* bytes that wait for a reader; 8 questions are far below */
    TEXT_UNITS = 5000,      /* a path is at most 4096 bytes */
    CHUNK = 4096,           /* PIPE_BUF: never blocks once poll says that it can be written */
};

struct json_front {
    struct prompt_front front;
    int fd; /* owned */
    struct buf in, out;
    bool skipping; /* the rest of a line that was too long */
};

static struct json_front *from(const struct prompt_front *f)
{
    return (struct json_front *)f;
}

static void write_suggestion(struct buf *out, const char *label, const char *rule,
                             enum question_scope scope)
{
    json_write_object(out);
    json_member_text(out, "label", label);
    json_member_text(out, "rule", rule);
    json_member_text(out, "scope", question_scope_name(scope));
    json_write_object_end(out);
}

/* Names from inside, cleaned once more: this is the last place before a person's eyes. */
static void member_clean(struct buf *out, const char *key, const char *text)
{
    AUTO_BUF clean = { 0 };
    clean_shown(&clean, str_of(text), TEXT_UNITS);
    json_member_str(out, key, buf_str(&clean));
}

static void write_command(struct buf *out, const struct question *q)
{
    json_write_key(out, STR("command"));
    json_write_object(out);
    member_clean(out, "argv0", q->argv0);
    json_member_i64(out, "pid", q->pid);
    member_clean(out, "text", q->text);
    if (q->tree)
        member_clean(out, "tree", q->tree);
    json_write_object_end(out);
}

static void write_request(struct buf *out, const struct open_question *open, int64_t patience_ms)
{
    const struct question *q = &open->question;
    AUTO_BUF object = { 0 };
    AUTO_BUF rule = { 0 };
    question_object(&object, q);
    clean_shown(&rule, buf_str(&object), TEXT_UNITS);
    json_write_object(out);
    json_member_u64(out, "v", 1);
    json_member_text(out, "id", open->id);
    json_member_text(out, "kind", question_kind_name(q->kind));
    if (q->host) {
        json_member_text(out, "host", q->host);
        json_member_u64(out, "port", q->port);
    }
    if (q->path)
        member_clean(out, "path", q->path);
    if (q->access)
        json_member_text(out, "access", q->access);
    if (q->method)
        json_member_text(out, "method", q->method);
    write_command(out, q);
    if (q->reason)
        member_clean(out, "reason", q->reason);
    json_write_key(out, STR("suggest"));
    json_write_array(out);
    write_suggestion(out, "once", buf_text(&rule), QUESTION_ONCE);
    write_suggestion(out, "for this run", buf_text(&rule), QUESTION_RUN);
    if (q->kind != QUESTION_REQUEST && q->kind != QUESTION_LIMIT)
        write_suggestion(out, "for this project", buf_text(&rule), QUESTION_PROJECT);
    json_write_array_end(out);
    json_member_i64(out, "deadline_ms", patience_ms);
    json_write_object_end(out);
    buf_add_byte(out, '\n');
}

static void json_show(struct prompt_front *f, const struct open_question *q, int64_t now_ms)
{
    write_request(&from(f)->out, q, prompt_patience(f->prompt));
}

/* Reads one answer. False when it names no question; *bad when it names one but is no clear answer. */
static bool read_answer(const struct json *v, struct str *id, bool *allow,
                        enum question_scope *scope, struct str *reason, bool *bad)
{
    if (json_kind_of(v) != JSON_IS_OBJECT || !json_to_str(json_get(v, "id"), id))
        return false;
    *allow = false;
    *scope = QUESTION_ONCE;
    *reason = (struct str){ NULL, 0 };
    struct str word;
    const struct json *scope_value = json_get(v, "scope"), *why = json_get(v, "reason");
    *bad = !json_to_bool(json_get(v, "allow"), allow);
    if (why && json_kind_of(why) != JSON_IS_NULL)
        *bad |= !json_to_str(why, reason);
    if (scope_value) {
        int found = json_to_str(scope_value, &word) ? question_scope_find(word) : -1;
        *bad |= found < 0;
        *scope = found < 0 ? QUESTION_ONCE : (enum question_scope)found;
    }
    return true;
}

static void take_line(struct json_front *f, struct str line, int64_t now_ms)
{
    AUTO_JSON v = NULL;
    struct err e;
    struct str id, reason;
    enum question_scope scope;
    bool allow, bad;
    struct prompt *p = f->front.prompt;
    if (json_parse(line, &v, &e) < 0 || !read_answer(v, &id, &allow, &scope, &reason, &bad)) {
        prompt_malformed(p, now_ms);
        return;
    }
    if (bad) {
        log_warn("permission prompt: the answer is malformed; what was asked is denied");
        allow = false;
        scope = QUESTION_ONCE;
        reason = STR("permission prompt failed");
    }
    if (prompt_answer(p, id, allow, scope, reason, now_ms))
        return;
    if (questions_was_asked(prompt_questions(p), id))
        log_debug("prompt.answer_late");
    else
        prompt_malformed(p, now_ms); /* whoever makes up ids has not understood the question */
}

/* Takes the whole lines out of `in`. */
static void take_lines(struct json_front *f, int64_t now_ms)
{
    struct str rest = buf_str(&f->in);
    for (;;) {
        ptrdiff_t end = str_index(rest, '\n');
        if (end < 0)
            break;
        struct str line = { rest.p, (size_t)end };
        rest = str_skip(rest, (size_t)end + 1);
        if (line.n && line.p[line.n - 1] == '\r')
            line.n--;
        if (!f->skipping)
            take_line(f, line, now_ms);
        f->skipping = false;
    }
    size_t left = rest.n;
    if (left)
        memmove(f->in.p, rest.p, left);
    f->in.n = left;
    if (left > LINE_MAX_BYTES) {
        if (!f->skipping)
            prompt_malformed(f->front.prompt, now_ms);
        f->skipping = true;
        buf_empty(&f->in);
    }
}

static ssize_t receive(int fd, void *to, size_t n)
{
    ssize_t got = recv(fd, to, n, MSG_DONTWAIT);
    return got < 0 && errno == ENOTSOCK ? read(fd, to, n) : got;
}

static ssize_t put(int fd, struct str bytes)
{
    size_t n = bytes.n < CHUNK ? bytes.n : CHUNK;
    ssize_t sent = send(fd, bytes.p, n, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 && errno == ENOTSOCK ? write(fd, bytes.p, n) : sent;
}

static int json_ready(struct prompt_front *front, short revents, int64_t now_ms)
{
    struct json_front *f = from(front);
    if (revents & (POLLNVAL | POLLERR))
        return -1;
    if ((revents & POLLOUT) && f->out.n) {
        ssize_t sent = put(f->fd, buf_str(&f->out));
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -1;
        size_t gone = sent > 0 ? (size_t)sent : 0;
        memmove(f->out.p, f->out.p + gone, f->out.n - gone);
        f->out.n -= gone;
    }
    if (revents & (POLLIN | POLLHUP)) {
        ssize_t got = receive(f->fd, buf_room(&f->in, CHUNK), CHUNK);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR))
            return -1;
        if (got > 0)
            buf_grew(&f->in, (size_t)got);
        take_lines(f, now_ms);
    }
    return 0;
}

static int json_tick(struct prompt_front *front, int64_t now_ms)
{
    return from(front)->out.n > OUT_MAX ? -1 : 0;
}

static int json_fd(const struct prompt_front *front)
{
    return from(front)->fd;
}

static short json_events(const struct prompt_front *front)
{
    return (short)(POLLIN | (from(front)->out.n ? POLLOUT : 0));
}

static int64_t json_deadline(const struct prompt_front *front)
{
    return from(front)->out.n > OUT_MAX ? 0 : -1;
}

static void json_free_front(struct prompt_front *front)
{
    struct json_front *f = from(front);
    fd_drop(&f->fd);
    buf_release(&f->in);
    buf_release(&f->out);
    free(f);
}

/* No `close`: the protocol has no word for it, and a late answer does nothing. */
static const struct prompt_front_ops json_ops = {
    .show = json_show,
    .fd = json_fd,
    .events = json_events,
    .ready = json_ready,
    .tick = json_tick,
    .deadline = json_deadline,
    .free = json_free_front,
};

int prompt_json_new(struct prompt *p, int fd, struct prompt_front **out, struct err *e)
{
    if (*out)
        return err_set(e, E_INPUT, 0, "permission prompts have one front only");
    struct json_front *f = mem_get(sizeof *f);
    f->front = (struct prompt_front){ &json_ops, p };
    f->fd = fd;
    *out = &f->front;
    return 0;
}
