#include "role/granting.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "sandbox/hostfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A wish that a person is thinking about. */
struct open_wish {
    struct wish wish;
    struct open_wish *next;
};

struct granting {
    const struct plan *plan;
    struct asking *asking;
    struct record *record;
    struct watch *watch;
    int socket;
    struct open_wish *open; /* owned; bounded by those who may wait for questions */
};

struct granting *granting_new(const struct plan *plan, struct asking *asking, struct record *record,
                              struct watch *watch, int socket)
{
    struct granting *g = mem_get(sizeof *g);
    *g = (struct granting){
        .plan = plan, .asking = asking, .record = record, .watch = watch, .socket = socket
    };
    return g;
}

void granting_free(struct granting *g)
{
    while (g && g->open) {
        struct open_wish *dead = g->open;
        g->open = dead->next;
        free(dead);
    }
    free(g);
}

/* One line for the log and, for a denial, among the violations. */
static void record(struct granting *g, const struct wish *w, int os, const char *rule)
{
    struct warden_report r = { .pid = w->pid, .os = os };
    snprintf(r.call, sizeof r.call, "%s", w->call);
    snprintf(r.rule, sizeof r.rule, "%s", rule);
    snprintf(r.argv0, sizeof r.argv0, "%s", w->argv0);
    snprintf(r.object, sizeof r.object, "%.*s", (int)sizeof r.object - 1, w->path);
    record_call(g->record, &r);
}

static void answer(struct granting *g, const struct wish *w, int os, int fd)
{
    struct wish_answer a = { .id = w->id, .os = os };
    int failed = wish_send(g->socket, &a, sizeof a, fd);
    if (failed) /* the warden reads as fast as it can; the sandbox has ended, or nearly */
        log_debug("answer to the wish for '%s': %s", w->path, strerrordesc_np(failed));
}

static void grant(struct granting *g, const struct wish *w)
{
    AUTO_FD fd = -1;
    int os = hostfile_open(g->plan, w, &fd);
    record(g, w, os, "permission prompt");
    answer(g, w, os, fd);
}

static void deny(struct granting *g, const struct wish *w, const char *reason)
{
    AUTO_BUF rule = { 0 };
    buf_addf(&rule, "permission prompt: %s", reason && *reason ? reason : "denied");
    record(g, w, EACCES, buf_text(&rule));
    answer(g, w, EACCES, -1);
}

static void on_decided(void *ctx, uint64_t id, bool allow, const char *reason)
{
    struct granting *g = ctx;
    struct open_wish **at = &g->open;
    while (*at && (*at)->wish.id != id)
        at = &(*at)->next;
    if (!*at)
        return;
    struct open_wish *decided = *at;
    *at = decided->next;
    if (allow)
        grant(g, &decided->wish);
    else
        deny(g, &decided->wish, reason);
    free(decided);
}

/* The pid that /proc shows for a pidfd; 0 when its process has ended. */
static pid_t pid_outside(int process)
{
    char path[48], text[512];
    int pid = 0;
    snprintf(path, sizeof path, "/proc/self/fdinfo/%d", process);
    AUTO_FD fd = process < 0 ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    text[n > 0 ? n : 0] = '\0';
    const char *line = strstr(text, "\nPid:\t");
    return line && sscanf(line, "\nPid:\t%d", &pid) == 1 && pid > 0 ? pid : 0;
}

static void take_back(struct granting *g, uint32_t id)
{
    struct open_wish **at = &g->open;
    while (*at && (*at)->wish.id != id)
        at = &(*at)->next;
    if (!*at)
        return;
    struct open_wish *dead = *at;
    *at = dead->next;
    free(dead);
    if (g->asking)
        asking_cancel(g->asking, id);
}

void granting_take(struct granting *g, const struct wish *w, int process, int64_t now_ms)
{
    AUTO_FD caller = process;
    const char *rule, *reason;
    if (w->kind == WISH_CANCEL) {
        take_back(g, w->id);
        return;
    }
    if (w->kind != WISH_OPEN)
        return;
    if (!g->asking) {
        deny(g, w, "the command runs as another user than we");
        return;
    }
    int os = hostfile_check(g->plan, w, &rule);
    if (os) {
        if (rule)
            record(g, w, os, rule);
        answer(g, w, os, -1);
        return;
    }
    struct watch_process who = { 0 };
    pid_t pid = pid_outside(caller);
    bool known = pid && watch_describe(g->watch, pid, now_ms, &who);
    const bool writes = wish_writes(w);
    struct question question = {
        .kind = writes ? QUESTION_FILE_WRITE : QUESTION_FILE_READ,
        .path = w->path,
        .access = !writes                              ? "read"
                  : (w->flags & O_ACCMODE) == O_WRONLY ? "write"
                                                       : "read and write",
        .method = w->call,
        .pid = known ? who.pid : (int)w->pid,
        .argv0 = known ? who.argv0 : "",
        .text = known ? who.text : NULL,
        .tree = known ? who.tree : "",
        .reason = writes ? "it lies outside filesystem.allowWrite"
                         : "the home directory is hidden (x.filesystem.hideHome)",
    };
    struct asking_waiter waiter = { w->id, on_decided, g };
    switch (asking_file(g->asking, &question, &waiter, now_ms, &reason)) {
    case QUESTIONS_ALLOWED:
        grant(g, w);
        return;
    case QUESTIONS_DENIED:
        deny(g, w, reason);
        return;
    case QUESTIONS_WAIT:
        break;
    }
    struct open_wish *open = mem_get(sizeof *open);
    *open = (struct open_wish){ .wish = *w, .next = g->open };
    g->open = open;
}
