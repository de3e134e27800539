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
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A wish that a person is thinking about. */
struct open_wish {
    struct wish wish;
    pid_t pid;                /* of who asks, outside; 0 = unknown */
    enum question_kind asked; /* now; reading comes before writing */
    bool own; /* it shows what this run has written, so nobody is asked about reading */
    struct open_wish *next;
};

enum { MADE_MAX = 64 };
static const char asked_rule[] = "permission prompt";

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct granting {
    const struct plan *plan;
    struct asking *asking;
    struct record *record;
    struct watch *watch;
    int socket;
    struct open_wish *open; /* owned; bounded by those who may wait for questions */
    /* Files that were not there before a yes, by O_PATH descriptors (owned): what is in them the command
     * has written. Held, so that no other file gets their inode. The oldest goes first. */
    int made[MADE_MAX];
    unsigned made_count;
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
    for (unsigned i = 0; g && i < MADE_MAX && i < g->made_count; i++)
        fd_drop(&g->made[i]);
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

static void remember_made(struct granting *g, int fd)
{
    char path[32];
    int *slot = &g->made[g->made_count % MADE_MAX];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int held = open(path, O_PATH | O_CLOEXEC);
    if (held < 0)
        return; /* then reading it is asked about */
    if (g->made_count++ >= MADE_MAX)
        close(*slot);
    *slot = held;
}

static bool was_made(const struct granting *g, const struct stat *st)
{
    struct stat made;
    for (unsigned i = 0; i < MADE_MAX && i < g->made_count; i++)
        if (fstat(g->made[i], &made) == 0 && made.st_ino == st->st_ino && made.st_dev == st->st_dev)
            return true;
    return false;
}

/* `own`: nobody was asked about reading, because the run has made the file; it has to be that one still. */
static void grant(struct granting *g, const struct wish *w, bool own, const char *rule)
{
    AUTO_FD fd = -1;
    bool made;
    struct stat st;
    int os = hostfile_open(g->plan, w, &fd, &made);
    if (!os && own && !made && (fstat(fd, &st) < 0 || !was_made(g, &st)))
        os = EACCES;
    if (!os && made)
        remember_made(g, fd);
    record(g, w, os, rule);
    answer(g, w, os, os ? -1 : fd);
}

static void deny(struct granting *g, const struct wish *w, const char *reason)
{
    AUTO_BUF rule = { 0 };
    buf_addf(&rule, "permission prompt: %s", reason && *reason ? reason : "denied");
    record(g, w, EACCES, buf_text(&rule));
    answer(g, w, EACCES, -1);
}

static bool is_own(const struct granting *g, const struct wish *w)
{
    struct stat st;
    return lstat(w->path, &st) == 0 && S_ISREG(st.st_mode) && was_made(g, &st);
}

/* Would the descriptor show what somebody else has written and what is hidden here? */
static bool reads_hidden(const struct granting *g, const struct wish *w)
{
    static const struct file_facts none = { 0 };
    const bool fresh =
        (w->flags & O_TRUNC) || (w->flags & (O_CREAT | O_EXCL)) == (O_CREAT | O_EXCL);
    return (w->flags & O_ACCMODE) != O_WRONLY && !fresh &&
           file_rules_judge_read(&g->plan->rules, str_of(w->path), &none).kind == FILE_DENIED;
}

static void on_decided(void *ctx, uint64_t id, bool allow, const char *reason);

static enum questions_result ask(struct granting *g, const struct wish *w, pid_t pid,
                                 enum question_kind kind, const char **reason)
{
    struct watch_process who = { 0 };
    bool known = pid && watch_describe(g->watch, pid, now(), &who);
    const bool writes = kind == QUESTION_FILE_WRITE;
    const bool both = writes && (w->flags & O_ACCMODE) != O_WRONLY && !reads_hidden(g, w);
    struct question question = {
        .kind = kind,
        .path = w->path,
        .access = both     ? "read and write"
                  : writes ? "write"
                           : "read",
        .method = w->call,
        .pid = known ? who.pid : (int)w->pid,
        .argv0 = known ? who.argv0 : "",
        .text = known ? who.text : NULL,
        .tree = known ? who.tree : "",
        .reason = writes ? "it lies outside filesystem.allowWrite"
                         : "the home directory is hidden (x.filesystem.hideHome)",
    };
    struct asking_waiter waiter = { w->id, on_decided, g };
    return asking_file(g->asking, &question, &waiter, now(), reason);
}

/* Asks `kind` and, when that is known already, what comes after it. Reading what is hidden is a question of
 * its own: a yes to writing must not open it. */
static void pursue(struct granting *g, const struct wish *w, pid_t pid, enum question_kind kind,
                   bool own)
{
    const char *reason;
    for (;;) {
        switch (ask(g, w, pid, kind, &reason)) {
        case QUESTIONS_ALLOWED:
            if (kind == QUESTION_FILE_READ && wish_writes(w)) {
                kind = QUESTION_FILE_WRITE;
                continue;
            }
            grant(g, w, own, asked_rule);
            return;
        case QUESTIONS_DENIED:
            deny(g, w, reason);
            return;
        case QUESTIONS_WAIT: {
            struct open_wish *open = mem_get(sizeof *open);
            *open = (struct open_wish){
                .wish = *w, .pid = pid, .asked = kind, .own = own, .next = g->open
            };
            g->open = open;
            return;
        }
        }
    }
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
    if (!allow)
        deny(g, &decided->wish, reason);
    else if (decided->asked == QUESTION_FILE_READ && wish_writes(&decided->wish))
        pursue(g, &decided->wish, decided->pid, QUESTION_FILE_WRITE, decided->own);
    else
        grant(g, &decided->wish, decided->own, asked_rule);
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
    const char *rule;
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
    const bool reads = reads_hidden(g, w), own = reads && is_own(g, w);
    if (own && !wish_writes(w))
        grant(g, w, true, "made by this run");
    else
        pursue(g, w, pid_outside(caller), reads && !own ? QUESTION_FILE_READ : QUESTION_FILE_WRITE,
               own);
}
