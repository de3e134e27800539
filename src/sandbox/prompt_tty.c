#include "sandbox/prompt-int.h"

#include "base/fd.h"
#include "base/log.h"
#include "egress/clean.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

enum {
    /* Keys count only from here on, and what was typed before is thrown away: a command must not get
     * a yes by putting its question under a finger that is on its way down. */
    GUARD_MS = 500,
    RETRY_MS = 1000, /* how often we look whether we are in the foreground again */
    TEXT_UNITS = 300,
    HOST_SHOWN = 80,
    HOST_TAIL = 60,
};

enum stage {
    TTY_IDLE,    /* no question is shown */
    TTY_AWAY,    /* we are not in the foreground of the terminal, or stopped */
    TTY_GUARDED, /* the question is shown, keys are not offered yet */
    TTY_OFFERED, /* the keys are offered */
};

struct tty_front {
    struct prompt_front front;
    int fd;                /* owned */
    struct termios before; /* to be put back while GUARDED or OFFERED */
    struct buf out;
    char id[48]; /* the question that is shown */
    enum stage stage;
    int64_t next_ms; /* the guard's end, or the next look */
};

static struct tty_front *from(const struct prompt_front *f)
{
    return (struct tty_front *)f;
}

static bool is_shown(const struct tty_front *f)
{
    return f->stage == TTY_GUARDED || f->stage == TTY_OFFERED;
}

/* False in the background: touching the terminal would stop us. A terminal that is not our controlling
 * one has no foreground for us and is free to use. */
static bool in_foreground(int fd)
{
    pid_t group = tcgetpgrp(fd);
    return group < 0 || group == getpgrp();
}

static void restore(struct tty_front *f)
{
    if (in_foreground(f->fd))
        tcsetattr(f->fd, TCSANOW, &f->before);
}

/* One key at a time, not shown; the terminal's own signals still work, so Ctrl-C ends the run. */
static int enter(struct tty_front *f)
{
    if (tcgetattr(f->fd, &f->before) < 0)
        return -1;
    struct termios now = f->before;
    now.c_lflag &= (tcflag_t) ~(ICANON | ECHO);
    now.c_lflag |= ISIG;
    now.c_oflag |= OPOST | ONLCR;
    now.c_iflag |= ICRNL;
    now.c_cc[VMIN] = 1;
    now.c_cc[VTIME] = 0;
    return tcsetattr(f->fd, TCSANOW, &now);
}

static void flush_out(struct tty_front *f)
{
    while (f->out.n) {
        ssize_t sent = write(f->fd, f->out.p, f->out.n);
        if (sent <= 0)
            return; /* poll tells when the terminal takes more */
        memmove(f->out.p, f->out.p + sent, f->out.n - (size_t)sent);
        f->out.n -= (size_t)sent;
    }
}

/* Names from inside, cleaned once more: this is the last place before a person's eyes. */
static void say_clean(struct buf *out, const char *before, const char *text, const char *behind)
{
    if (!text || !*text)
        return;
    buf_add(out, str_of(before));
    clean_shown(out, str_of(text), TEXT_UNITS);
    buf_add(out, str_of(behind));
}

/* A long name is shown by its end: that is the part which says whose it is. */
static void say_object(struct buf *out, const struct question *q)
{
    AUTO_BUF object = { 0 };
    question_object(&object, q);
    struct str shown = buf_str(&object);
    bool network = q->kind == QUESTION_NETWORK || q->kind == QUESTION_REQUEST;
    if (network && shown.n > HOST_SHOWN)
        shown = str_skip(shown, shown.n - HOST_TAIL);
    if (shown.n < object.n)
        buf_add(out, STR("..."));
    clean_shown(out, shown, 4096);
    if (shown.n < object.n)
        buf_addf(out, " (%zu characters in all)", object.n);
    if (q->host && strstr(q->host, "xn--"))
        buf_add(out, STR(" (letters of another script: look twice)"));
}

static const char *wish(enum question_kind kind)
{
    static const char *const words[] = {
        [QUESTION_NETWORK] = "wants to connect to",
        [QUESTION_FILE_READ] = "wants to read",
        [QUESTION_FILE_WRITE] = "wants to write",
        [QUESTION_UNIX_SOCKET] = "wants to reach the socket",
        [QUESTION_REQUEST] = "wants to send a request to",
        [QUESTION_LIMIT] = "wants more of",
    };
    return words[kind];
}

static void say_question(struct tty_front *f, const struct question *q)
{
    struct buf *out = &f->out;
    /* What the command printed last must not colour or hide the question. */
    buf_add(out, STR("\r\n\x1b[0m\x1b(B"));
    AUTO_BUF who = { 0 };
    clean_shown(&who, str_of(q->argv0 && *q->argv0 ? q->argv0 : "the command"), 60);
    buf_addf(out, "postern: %s", buf_text(&who));
    if (q->pid)
        buf_addf(out, " (process %d)", q->pid);
    buf_addf(out, " %s ", wish(q->kind));
    say_object(out, q);
    buf_add(out, STR("\n"));
    say_clean(out, "  command: ", q->text, "\n");
    say_clean(out, "  started by: ", q->tree, "\n");
    say_clean(out, "  why asked: ", q->reason, "\n");
}

static bool can_keep(const struct question *q)
{
    return q->kind != QUESTION_REQUEST && q->kind != QUESTION_LIMIT;
}

static void say_keys(struct tty_front *f, const struct open_question *q)
{
    int64_t left = (q->deadline_ms - f->next_ms) / 1000;
    buf_addf(&f->out, "  allow? [y] once  [r] for this run%s  [n] no   (%lld s) ",
             can_keep(&q->question) ? "  [p] for this project" : "",
             (long long)(left > 0 ? left : 0));
}

/* Shows the oldest open question, when there is one and the terminal is ours. */
static int show_next(struct tty_front *f, int64_t now_ms)
{
    const struct open_question *q = questions_at(prompt_questions(f->front.prompt), 0);
    f->stage = TTY_IDLE;
    if (!q)
        return 0;
    if (!in_foreground(f->fd)) {
        f->stage = TTY_AWAY;
        f->next_ms = now_ms + RETRY_MS;
        return 0;
    }
    if (enter(f) < 0)
        return -1;
    memcpy(f->id, q->id, sizeof f->id);
    f->stage = TTY_GUARDED;
    f->next_ms = now_ms + GUARD_MS;
    say_question(f, &q->question);
    flush_out(f);
    return 0;
}

/* The question is off the terminal: the modes are as they were, and keys typed too much are gone. */
static void leave(struct tty_front *f, const char *word)
{
    buf_addf(&f->out, "%s\n", word);
    flush_out(f);
    buf_empty(&f->out);
    tcflush(f->fd, TCIFLUSH);
    restore(f);
    f->stage = TTY_IDLE;
}

static void tty_show(struct prompt_front *front, const struct open_question *q, int64_t now_ms)
{
    struct tty_front *f = from(front);
    if (f->stage != TTY_IDLE)
        return;          /* its turn comes */
    f->stage = TTY_AWAY; /* shown from tick: nothing here may fail or answer */
    f->next_ms = now_ms;
}

static void tty_close(struct prompt_front *front, const struct open_question *q)
{
    struct tty_front *f = from(front);
    if (!is_shown(f) || strcmp(f->id, q->id) != 0)
        return;
    leave(f, "(closed)");
    f->stage = TTY_AWAY;
    f->next_ms = 0;
}

static int tty_tick(struct prompt_front *front, int64_t now_ms)
{
    struct tty_front *f = from(front);
    if (f->stage == TTY_IDLE || f->stage == TTY_OFFERED || now_ms < f->next_ms)
        return 0;
    if (f->stage == TTY_AWAY)
        return show_next(f, now_ms);
    const struct open_question *q = questions_find(prompt_questions(front->prompt), str_of(f->id));
    tcflush(f->fd, TCIFLUSH);
    say_keys(f, q);
    flush_out(f);
    f->stage = TTY_OFFERED;
    return 0;
}

/* The answer of a key. False for a key that is none. */
static bool read_key(char key, const struct question *q, bool *allow, enum question_scope *scope,
                     const char **word)
{
    *allow = true;
    switch (key) {
    case 'y':
    case 'Y':
        *scope = QUESTION_ONCE;
        *word = "yes, once";
        return true;
    case 'r':
    case 'R':
        *scope = QUESTION_RUN;
        *word = "yes, for this run";
        return true;
    case 'p':
    case 'P':
        *scope = QUESTION_PROJECT;
        *word = "yes, for this project";
        return can_keep(q);
    case 'n':
    case 'N':
    case '\n':
    case '\r':
    case 0x1b: /* Esc, and the head of every cursor key */
    case 0x04:
        *allow = false;
        *scope = QUESTION_ONCE;
        *word = "no";
        return true;
    default:
        return false;
    }
}

static int tty_ready(struct prompt_front *front, short revents, int64_t now_ms)
{
    struct tty_front *f = from(front);
    char keys[64];
    flush_out(f);
    if (revents & (POLLERR | POLLHUP | POLLNVAL))
        return -1;
    if (f->stage != TTY_OFFERED || !(revents & POLLIN))
        return 0;
    ssize_t got = read(f->fd, keys, sizeof keys);
    if (got < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (got <= 0)
        return -1;
    const struct open_question *q = questions_find(prompt_questions(front->prompt), str_of(f->id));
    bool allow;
    enum question_scope scope;
    const char *word;
    if (!read_key(keys[0], &q->question, &allow, &scope, &word)) {
        buf_add_byte(&f->out, '\a');
        flush_out(f);
        return 0;
    }
    char id[sizeof f->id];
    memcpy(id, f->id, sizeof id);
    leave(f, word);
    f->stage = TTY_AWAY;
    f->next_ms = now_ms;
    prompt_answer(front->prompt, str_of(id), allow, scope, STR(""), now_ms);
    return 0;
}

static int tty_fd(const struct prompt_front *front)
{
    return is_shown(from(front)) ? from(front)->fd : -1;
}

static short tty_events(const struct prompt_front *front)
{
    const struct tty_front *f = from(front);
    return (short)((f->stage == TTY_OFFERED ? POLLIN : 0) | (f->out.n ? POLLOUT : 0));
}

static int64_t tty_deadline(const struct prompt_front *front)
{
    const struct tty_front *f = from(front);
    return f->stage == TTY_GUARDED || f->stage == TTY_AWAY ? f->next_ms : -1;
}

static void tty_suspend(struct prompt_front *front)
{
    struct tty_front *f = from(front);
    if (is_shown(f))
        leave(f, "(stopped)");
    f->stage = TTY_AWAY;
    f->next_ms = INT64_MAX; /* until resume */
}

static void tty_resume(struct prompt_front *front, int64_t now_ms)
{
    from(front)->next_ms = now_ms;
}

static bool tty_has_terminal(const struct prompt_front *front)
{
    return is_shown(from(front));
}

static void tty_free(struct prompt_front *front)
{
    struct tty_front *f = from(front);
    if (is_shown(f))
        leave(f, "(the run has ended)");
    fd_drop(&f->fd);
    buf_release(&f->out);
    free(f);
}

static const struct prompt_front_ops tty_ops = {
    .show = tty_show,
    .close = tty_close,
    .fd = tty_fd,
    .events = tty_events,
    .ready = tty_ready,
    .tick = tty_tick,
    .deadline = tty_deadline,
    .suspend = tty_suspend,
    .resume = tty_resume,
    .has_terminal = tty_has_terminal,
    .free = tty_free,
};

int prompt_tty_new(struct prompt *p, int fd, struct prompt_front **out, struct err *e)
{
    if (*out)
        return err_set(e, E_INPUT, 0, "permission prompts have one front only");
    if (!isatty(fd))
        return err_set(e, E_INPUT, 0, "--ask=tty needs a terminal");
    struct tty_front *f = mem_get(sizeof *f);
    f->front = (struct prompt_front){ &tty_ops, p };
    f->fd = fd;
    *out = &f->front;
    return 0;
}
