#include "role/asking.h"

#include "base/buf.h"
#include "base/log.h"
#include "proto/json_write.h"
#include "role/frame.h"
#include "sandbox/prompt.h"

#include <stdlib.h>

struct asking {
    const struct supervision *asked;
    const struct egress_policy *policy;
    struct record *record;
    struct egress_process *proxy;
    struct project_rules *rules;
    struct prompt *prompt;
    struct asking_waiter files; /* who waits for all questions about files */
    bool possible;
};

/* Marks the numbers of those who ask about files; the proxy counts its own from 1. */
static const uint64_t FILE_WAITER = 1ull << 63;

static void send_answer(struct asking *a, uint64_t id, bool allow, const char *reason)
{
    AUTO_BUF b = { 0 };
    struct err e;
    json_write_object(&b);
    json_member_text(&b, "t", "answer");
    json_member_u64(&b, "id", id);
    json_member_bool(&b, "allow", allow);
    if (reason && *reason)
        json_member_text(&b, "reason", reason);
    json_write_object_end(&b);
    if (egress_process_put(a->proxy, buf_str(&b), &e) < 0)
        log_debug("answer %llu: %s", (unsigned long long)id, e.text); /* the loop sees its end */
}

static void on_decided(void *ctx, uint64_t waiter, bool allow, const char *reason)
{
    const struct asking *a = ctx;
    if (waiter & FILE_WAITER)
        a->files.decided(a->files.ctx, waiter & ~FILE_WAITER, allow, reason);
    else
        send_answer(ctx, waiter, allow, reason);
}

static void on_answered(void *ctx, const struct question *question, bool allow,
                        enum question_scope scope, const char *reason)
{
    struct asking *a = ctx;
    AUTO_BUF object = { 0 }, b = { 0 }, detail = { 0 };
    const bool about_file =
        question->kind == QUESTION_FILE_READ || question->kind == QUESTION_FILE_WRITE;
    question_object(&object, question);
    json_write_object(&b);
    json_member_text(&b, "scope", question_scope_name(scope));
    if (*reason)
        json_member_text(&b, "reason", reason);
    json_write_object_end(&b);
    buf_add(&detail, (struct str){ b.p + 1, b.n - 2 });
    struct audit_event event = { .kind = AUDIT_PROMPT,
                                 .denied = !allow,
                                 .layer = about_file ? "seccomp" : "proxy",
                                 .pid_inside = question->pid,
                                 .argv0 = question->argv0,
                                 .object = buf_str(&object),
                                 .detail_json = buf_text(&detail) };
    audit_write(a->record->audit, &event);
}

static int open_rules(struct asking *a, struct err *e)
{
    const struct file_rules *r = &a->asked->plan->rules;
    const char **roots = mem_array(r->write_root_count + 1, sizeof *roots);
    for (size_t i = 0; i < r->write_root_count; i++)
        roots[i] = r->write_roots[i].path;
    struct project_rules_options options = { .folder = a->asked->rules_directory,
                                             .project = a->asked->plan->cwd,
                                             .write_roots = roots,
                                             .write_root_count = r->write_root_count };
    int result = a->asked->rules_directory ? project_rules_open(&options, &a->rules, e) : 0;
    free(roots);
    return result;
}

static int open_front(struct asking *a, struct err *e)
{
    const struct supervision *s = a->asked;
    int result = 0;
    if (s->ask_fd >= 0)
        result = prompt_use_fd(a->prompt, s->ask_fd, e);
    else if (s->ask_socket)
        result = prompt_use_socket(a->prompt, s->ask_socket, e);
    else if (s->ask_tty)
        result = prompt_use_tty(a->prompt, -1, e);
    else
        return 0;
    a->possible = result == 0 && !s->plan->settings->egress.strict_allowlist;
    return result;
}

int asking_new(const struct supervision *s, const char *run_id, struct record *record,
               struct egress_process *proxy, struct asking **out, struct err *e)
{
    struct asking *a = mem_get(sizeof *a);
    *out = a;
    *a = (struct asking){
        .asked = s, .policy = &s->plan->settings->egress, .record = record, .proxy = proxy
    };
    if (open_rules(a, e) < 0)
        return -1;
    struct prompt_options options = {
        .run_id = run_id,
        .rules = a->rules,
        .hooks = { .decided = on_decided, .answered = on_answered, .ctx = a },
    };
    a->prompt = prompt_new(&options);
    return open_front(a, e);
}

void asking_free(struct asking *a)
{
    if (!a)
        return;
    prompt_free(a->prompt);
    project_rules_free(a->rules);
    free(a);
}

bool asking_is_possible(const struct asking *a)
{
    return a->possible;
}

void asking_frame(struct asking *a, const struct json *frame, struct watch *watch, int64_t now_ms)
{
    const char *kind = frame_text(frame, "t"), *why = NULL;
    uint64_t id = frame_number(frame, "id");
    if (id & FILE_WAITER)
        return;
    if (kind && strcmp(kind, "cancel") == 0) {
        prompt_cancel(a->prompt, id);
        return;
    }
    struct watch_process who = { 0 };
    uint16_t client = frame_port(frame, "client_port");
    bool known = client && watch_port_owner(watch, client, now_ms, &who);
    struct question question = {
        .kind = QUESTION_NETWORK,
        .host = frame_text(frame, "host"),
        .port = frame_port(frame, "port"),
        .method = frame_text(frame, "method"),
        .access = "connect",
        .pid = known ? who.pid : 0,
        .argv0 = known ? who.argv0 : "",
        .text = known ? who.text : a->asked->command_text,
        .tree = known ? who.tree : "",
        .reason = "host is not on the allow list",
    };
    if (!question.host) {
        send_answer(a, id, false, "permission prompt failed");
        return;
    }
    enum questions_result result = prompt_ask(a->prompt, &question, a->policy, id, now_ms, &why);
    if (result != QUESTIONS_WAIT)
        send_answer(a, id, result == QUESTIONS_ALLOWED, why);
}

enum questions_result asking_file(struct asking *a, const struct question *question,
                                  const struct asking_waiter *waiter, int64_t now_ms,
                                  const char **reason)
{
    struct question q = *question;
    if (!q.text)
        q.text = a->asked->command_text;
    a->files = *waiter;
    if (!a->possible)
        return *reason = "nobody can be asked", QUESTIONS_DENIED;
    return prompt_ask(a->prompt, &q, a->policy, waiter->id | FILE_WAITER, now_ms, reason);
}

void asking_cancel(struct asking *a, uint32_t id)
{
    prompt_cancel(a->prompt, id | FILE_WAITER);
}

int asking_fd(const struct asking *a)
{
    return prompt_fd(a->prompt);
}

short asking_events(const struct asking *a)
{
    return prompt_events(a->prompt);
}

void asking_ready(struct asking *a, short revents, int64_t now_ms)
{
    prompt_ready(a->prompt, revents, now_ms);
}

int64_t asking_deadline(const struct asking *a)
{
    return prompt_deadline(a->prompt);
}

void asking_tick(struct asking *a, int64_t now_ms)
{
    prompt_tick(a->prompt, now_ms);
}

bool asking_has_terminal(const struct asking *a)
{
    return prompt_has_terminal(a->prompt);
}

void asking_suspend(struct asking *a)
{
    prompt_suspend(a->prompt);
}

void asking_resume(struct asking *a, int64_t now_ms)
{
    prompt_resume(a->prompt, now_ms);
}

void asking_set_policy(struct asking *a, const struct egress_policy *policy)
{
    a->policy = policy;
}
