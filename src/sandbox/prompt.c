#include "sandbox/prompt-int.h"

#include "base/fd.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>

struct prompt {
    struct questions *questions; /* owned */
    struct prompt_front *front;  /* owned; NULL = nobody can be asked */
    struct prompt_hooks hooks;
    struct project_rules *rules;
    int64_t patience_ms, now_ms;
    bool refusal_said;
    bool answering; /* a person's answer is being handed out */
    bool silent;    /* the question closes because nobody waits: no answer to record */
};

static void on_show(void *ctx, const struct open_question *q)
{
    struct prompt *p = ctx;
    p->front->ops->show(p->front, q, p->now_ms);
}

static void on_close(void *ctx, const struct open_question *q)
{
    struct prompt *p = ctx;
    if (p->front && p->front->ops->close)
        p->front->ops->close(p->front, q);
    if (!p->silent && !p->answering)
        p->hooks.answered(p->hooks.ctx, &q->question, false, QUESTION_ONCE,
                          "no answer, or one that is none");
}

static void on_decided(void *ctx, uint64_t waiter, bool allow, const char *reason)
{
    struct prompt *p = ctx;
    p->hooks.decided(p->hooks.ctx, waiter, allow, reason);
}

static void on_rule(void *ctx, const struct question *question, bool allow)
{
    questions_remember(ctx, question, allow);
}

struct prompt *prompt_new(const struct prompt_options *o)
{
    struct prompt *p = mem_get(sizeof *p);
    p->hooks = o->hooks;
    p->rules = o->rules;
    p->patience_ms = o->patience_ms ? o->patience_ms : QUESTIONS_PATIENCE_MS;
    struct questions_hooks hooks = { on_show, on_close, on_decided, p };
    p->questions = questions_new(o->run_id, p->patience_ms, &hooks);
    if (p->rules)
        project_rules_each(p->rules, on_rule, p->questions);
    return p;
}

void prompt_free(struct prompt *p)
{
    if (!p)
        return;
    if (p->front)
        p->front->ops->free(p->front);
    questions_free(p->questions);
    free(p);
}

/* The channel is gone: nobody can be asked for the rest of the run. */
static void drop_front(struct prompt *p, int64_t now_ms)
{
    log_warn(
        "the channel for permission prompts is gone: what is not allowed is denied from now on");
    struct prompt_front *front = p->front;
    p->front = NULL;
    p->now_ms = now_ms;
    questions_shut(p->questions, now_ms);
    front->ops->free(front);
}

int prompt_use_fd(struct prompt *p, int fd, struct err *e)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0)
        return err_set(e, E_INPUT, errno, "descriptor %d for permission prompts", fd);
    if ((flags & O_ACCMODE) != O_RDWR || (flags & O_PATH))
        return err_set(e, E_INPUT, 0,
                       "descriptor %d for permission prompts must be open for reading and writing",
                       fd);
    if (fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        return err_set(e, E_IO, errno, "descriptor %d for permission prompts", fd);
    return prompt_json_new(p, fd, &p->front, e);
}

/* Somebody else's socket must not answer for the caller. */
static int check_peer(int fd, struct err *e)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) < 0)
        return err_set(e, E_IO, errno, "look at who listens");
    if (peer.uid != geteuid() && peer.uid != 0)
        return err_set(e, E_INPUT, 0, "it belongs to user %u, not to you", (unsigned)peer.uid);
    return 0;
}

int prompt_use_socket(struct prompt *p, const char *path, struct err *e)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof at.sun_path)
        return err_set(e, E_INPUT, 0, "--ask: '%s' is no path of a socket", path);
    memcpy(at.sun_path, path, n);
    AUTO_FD fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&at, sizeof at) < 0)
        return err_set(e, E_INPUT, errno, "--ask: connect to '%s'", path);
    if (check_peer(fd, e) < 0)
        return err_while(e, "--ask: '%s'", path);
    if (prompt_json_new(p, fd, &p->front, e) < 0)
        return -1;
    fd_take(&fd);
    return 0;
}

int prompt_use_tty(struct prompt *p, int fd, struct err *e)
{
    AUTO_FD own = -1;
    if (fd < 0) {
        own = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
        if (own < 0)
            return err_set(e, E_INPUT, errno, "--ask=tty: open /dev/tty");
    }
    if (prompt_tty_new(p, fd < 0 ? own : fd, &p->front, e) < 0)
        return -1;
    fd_take(&own);
    return 0;
}

enum questions_result prompt_ask(struct prompt *p, const struct question *question,
                                 const struct egress_policy *policy, uint64_t waiter,
                                 int64_t now_ms, const char **reason)
{
    bool allowed;
    p->now_ms = now_ms;
    *reason = question_forbidden(question, policy, &allowed);
    if (*reason)
        return QUESTIONS_DENIED;
    if (allowed)
        return QUESTIONS_ALLOWED;
    if (!p->front)
        questions_shut(p->questions, now_ms);
    return questions_ask(p->questions, question, waiter, now_ms, reason);
}

void prompt_cancel(struct prompt *p, uint64_t waiter)
{
    p->silent = true;
    questions_cancel(p->questions, waiter);
    p->silent = false;
}

/* Keeps an answer for the project; what cannot be kept holds for the run, and that is said. */
static void persist(struct prompt *p, const struct question *question, bool allow)
{
    struct err e;
    if (p->rules && project_rules_refusal(p->rules)) {
        if (!p->refusal_said)
            log_warn("%s; the answer holds for this run", project_rules_refusal(p->rules));
        p->refusal_said = true;
    } else if (p->rules && project_rules_add(p->rules, question, allow, time(NULL), &e) < 0) {
        log_warn("%s; the answer holds for this run", e.text);
    }
}

bool prompt_answer(struct prompt *p, struct str id, bool allow, enum question_scope scope,
                   struct str reason, int64_t now_ms)
{
    const struct open_question *q = questions_find(p->questions, id);
    if (!q)
        return false;
    if (scope == QUESTION_PROJECT)
        persist(p, &q->question, allow);
    AUTO_BUF why = { 0 };
    buf_add(&why, allow ? STR("") : reason);
    p->hooks.answered(p->hooks.ctx, &q->question, allow, scope, buf_text(&why));
    p->now_ms = now_ms;
    p->answering = true;
    questions_answer(p->questions, id, allow, scope, reason, now_ms);
    p->answering = false;
    return true;
}

void prompt_malformed(struct prompt *p, int64_t now_ms)
{
    log_warn(
        "permission prompt: the answer is malformed or to no question; what was asked is denied");
    p->now_ms = now_ms;
    questions_fail(p->questions, now_ms);
}

const struct questions *prompt_questions(const struct prompt *p)
{
    return p->questions;
}

int64_t prompt_patience(const struct prompt *p)
{
    return p->patience_ms;
}

int prompt_fd(const struct prompt *p)
{
    return p->front ? p->front->ops->fd(p->front) : -1;
}

short prompt_events(const struct prompt *p)
{
    return p->front ? p->front->ops->events(p->front) : 0;
}

void prompt_ready(struct prompt *p, short revents, int64_t now_ms)
{
    if (p->front && revents && p->front->ops->ready(p->front, revents, now_ms) < 0)
        drop_front(p, now_ms);
}

int64_t prompt_deadline(const struct prompt *p)
{
    int64_t questions = questions_deadline(p->questions);
    int64_t front = p->front ? p->front->ops->deadline(p->front) : -1;
    return questions < 0 || (front >= 0 && front < questions) ? front : questions;
}

void prompt_tick(struct prompt *p, int64_t now_ms)
{
    p->now_ms = now_ms;
    questions_tick(p->questions, now_ms);
    if (p->front && p->front->ops->tick(p->front, now_ms) < 0)
        drop_front(p, now_ms);
}

bool prompt_has_terminal(const struct prompt *p)
{
    return p->front && p->front->ops->has_terminal && p->front->ops->has_terminal(p->front);
}

void prompt_suspend(struct prompt *p)
{
    if (p->front && p->front->ops->suspend)
        p->front->ops->suspend(p->front);
}

void prompt_resume(struct prompt *p, int64_t now_ms)
{
    if (p->front && p->front->ops->resume)
        p->front->ops->resume(p->front, now_ms);
}
