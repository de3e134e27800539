#include "sandbox/questions.h"

#include "egress/clean.h"

#include <stdio.h>
#include <stdlib.h>

enum { REASON_MAX = 500, MINUTE_MS = 60000 };

struct waiter {
    uint64_t name;
    struct waiter *next;
};

struct item {
    struct open_question open;
    struct buf key;
    struct waiter *waiters; /* owned */
};

struct kept {
    struct buf key;
    bool allow;
    int64_t until_ms; /* INT64_MAX: the whole run */
    char *reason;     /* owned; of a denial */
};

struct questions {
    struct questions_hooks hooks;
    char *run_id; /* owned */
    int64_t patience_ms;
    uint64_t number;                        /* of the last question */
    struct item *items[QUESTIONS_OPEN_MAX]; /* owned; oldest first */
    size_t open;
    size_t waiting;    /* waiters of all items */
    struct kept *kept; /* owned */
    size_t kept_count;
    int64_t asked[QUESTIONS_PER_MINUTE]; /* when the last ones were asked; a ring */
    size_t asked_count;
    bool shut;
};

static const char *const kind_names[] = {
    [QUESTION_NETWORK] = "network",       [QUESTION_FILE_READ] = "file-read",
    [QUESTION_FILE_WRITE] = "file-write", [QUESTION_UNIX_SOCKET] = "unix-socket",
    [QUESTION_REQUEST] = "request",       [QUESTION_LIMIT] = "limit",
};
static const char *const scope_names[] = {
    [QUESTION_ONCE] = "once",
    [QUESTION_RUN] = "run",
    [QUESTION_PROJECT] = "project",
};

static int find_name(const char *const *names, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(name, str_of(names[i])))
            return (int)i;
    return -1;
}

const char *question_kind_name(enum question_kind kind)
{
    return kind_names[kind];
}

int question_kind_find(struct str name)
{
    return find_name(kind_names, QUESTION_KINDS, name);
}

const char *question_scope_name(enum question_scope scope)
{
    return scope_names[scope];
}

int question_scope_find(struct str name)
{
    return find_name(scope_names, QUESTION_SCOPES, name);
}

void question_object(struct buf *out, const struct question *q)
{
    bool bare_ipv6 = q->host && strchr(q->host, ':') && q->host[0] != '[';
    if (q->host && (q->kind == QUESTION_NETWORK || q->kind == QUESTION_REQUEST))
        buf_addf(out, bare_ipv6 ? "[%s]:%u" : "%s:%u", q->host, q->port);
    if (q->path)
        buf_add(out, str_of(q->path));
    if (q->kind == QUESTION_LIMIT && q->access)
        buf_add(out, str_of(q->access));
}

const char *question_forbidden(const struct question *q, const struct egress_policy *policy,
                               bool *allowed)
{
    struct host host;
    struct err e;
    *allowed = false;
    if (q->denied)
        return q->reason ? q->reason : "a rule denies it";
    if (q->kind != QUESTION_NETWORK && q->kind != QUESTION_REQUEST)
        return NULL;
    if (!q->host || host_parse(str_of(q->host), &host, &e) < 0)
        return "malformed host";
    struct egress_verdict verdict = egress_policy_judge(policy, &host, q->port, true);
    *allowed = verdict.decision == EGRESS_ALLOW;
    if (verdict.decision == EGRESS_DENY)
        return verdict.reason;
    for (size_t i = 0;
         verdict.decision == EGRESS_ASK && host.is_ip && i < policy->denied_address_count; i++)
        if (ip_block_has(&policy->denied_addresses[i], &host.ip))
            return "host is on the deny list";
    return NULL;
}

/* What makes two questions identical: not how it is to be done, except where that is the question. Texts are joined by NUL, which none of them holds. */
static void key_of(struct buf *key, const struct question *q)
{
    const char *method = q->kind == QUESTION_REQUEST ? q->method : NULL;
    const char *access = q->kind == QUESTION_LIMIT ? q->access : NULL;
    const char *parts[] = { q->host, q->path, access, method };
    buf_addf(key, "%d %u", (int)q->kind, q->port);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        buf_add_byte(key, '\0');
        buf_add(key, str_of(parts[i]));
    }
}

static const char *copy(const char *text)
{
    return text ? str_dup(str_of(text)) : NULL;
}

static void copy_question(struct question *to, const struct question *from)
{
    *to = *from;
    to->host = copy(from->host);
    to->path = copy(from->path);
    to->access = copy(from->access);
    to->method = copy(from->method);
    to->argv0 = copy(from->argv0);
    to->text = copy(from->text);
    to->tree = copy(from->tree);
    to->reason = copy(from->reason);
}

static void item_free(struct item *item)
{
    const struct question *q = &item->open.question;
    const char *texts[] = { q->host,  q->path, q->access, q->method,
                            q->argv0, q->text, q->tree,   q->reason };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        free((char *)texts[i]);
    while (item->waiters) {
        struct waiter *dead = item->waiters;
        item->waiters = dead->next;
        free(dead);
    }
    buf_release(&item->key);
    free(item);
}

struct questions *questions_new(const char *run_id, int64_t patience_ms,
                                const struct questions_hooks *hooks)
{
    struct questions *q = mem_get(sizeof *q);
    q->hooks = *hooks;
    q->run_id = str_dup((struct str){ run_id, strnlen(run_id, 24) });
    q->patience_ms = patience_ms ? patience_ms : QUESTIONS_PATIENCE_MS;
    return q;
}

static void kept_release(struct kept *k)
{
    buf_release(&k->key);
    free(k->reason);
}

void questions_free(struct questions *q)
{
    if (!q)
        return;
    for (size_t i = 0; i < q->open; i++)
        item_free(q->items[i]);
    for (size_t i = 0; i < q->kept_count; i++)
        kept_release(&q->kept[i]);
    free(q->kept);
    free(q->run_id);
    free(q);
}

static struct kept *kept_find(struct questions *q, struct str key)
{
    for (size_t i = 0; i < q->kept_count; i++)
        if (str_eq(buf_str(&q->kept[i].key), key))
            return &q->kept[i];
    return NULL;
}

/* Drops what has run out; when all places are taken, the answer that runs out first. */
static void kept_make_room(struct questions *q, int64_t now_ms)
{
    size_t first = 0, n = 0;
    for (size_t i = 0; i < q->kept_count; i++) {
        if (q->kept[i].until_ms <= now_ms)
            kept_release(&q->kept[i]);
        else
            q->kept[n++] = q->kept[i];
    }
    q->kept_count = n;
    if (n < QUESTIONS_KEPT_MAX)
        return;
    for (size_t i = 1; i < n; i++)
        if (q->kept[i].until_ms < q->kept[first].until_ms)
            first = i;
    kept_release(&q->kept[first]);
    q->kept[first] = q->kept[--q->kept_count];
}

static void keep(struct questions *q, struct str key, bool allow, const char *reason,
                 int64_t until_ms, int64_t now_ms)
{
    struct kept *k = kept_find(q, key);
    if (!k) {
        kept_make_room(q, now_ms);
        q->kept = mem_grow(q->kept, (q->kept_count + 1) * sizeof *q->kept);
        k = &q->kept[q->kept_count++];
        *k = (struct kept){ 0 };
        buf_add(&k->key, key);
    }
    free(k->reason);
    k->reason = str_dup(str_of(reason));
    k->allow = allow;
    k->until_ms = until_ms;
}

void questions_remember(struct questions *q, const struct question *question, bool allow)
{
    AUTO_BUF key = { 0 };
    key_of(&key, question);
    const struct kept *was = kept_find(q, buf_str(&key));
    /* Of two kept answers the denial counts. */
    if (!was || was->allow)
        keep(q, buf_str(&key), allow, "denied for this project", INT64_MAX, 0);
}

static void add_waiter(struct questions *q, struct item *item, uint64_t name)
{
    struct waiter *w = mem_get(sizeof *w);
    *w = (struct waiter){ .name = name, .next = item->waiters };
    item->waiters = w;
    item->open.waiting++;
    q->waiting++;
}

/* True when one more may be asked in this minute. */
static bool take_turn(struct questions *q, int64_t now_ms)
{
    int64_t *oldest = &q->asked[q->asked_count % QUESTIONS_PER_MINUTE];
    if (q->asked_count >= QUESTIONS_PER_MINUTE && now_ms - *oldest < MINUTE_MS)
        return false;
    *oldest = now_ms;
    q->asked_count++;
    return true;
}

static struct item *open_item(struct questions *q, const struct question *question, struct str key,
                              int64_t now_ms)
{
    struct item *item = mem_get(sizeof *item);
    snprintf(item->open.id, sizeof item->open.id, "%s-%llu", q->run_id,
             (unsigned long long)++q->number);
    copy_question(&item->open.question, question);
    item->open.asked_ms = now_ms;
    item->open.deadline_ms = now_ms + q->patience_ms;
    buf_add(&item->key, key);
    q->items[q->open++] = item;
    return item;
}

enum questions_result questions_ask(struct questions *q, const struct question *question,
                                    uint64_t waiter, int64_t now_ms, const char **reason)
{
    AUTO_BUF key = { 0 };
    key_of(&key, question);
    *reason = NULL;
    const struct kept *known = kept_find(q, buf_str(&key));
    if (known && known->until_ms > now_ms) {
        *reason = known->allow ? NULL : known->reason;
        return known->allow ? QUESTIONS_ALLOWED : QUESTIONS_DENIED;
    }
    *reason = q->shut ? "permission prompt failed" : "too many permission prompts";
    if (q->shut || q->waiting >= QUESTIONS_WAITERS_MAX)
        return QUESTIONS_DENIED;
    for (size_t i = 0; i < q->open; i++)
        if (str_eq(buf_str(&q->items[i]->key), buf_str(&key))) {
            add_waiter(q, q->items[i], waiter);
            return QUESTIONS_WAIT;
        }
    if (q->open >= QUESTIONS_OPEN_MAX || !take_turn(q, now_ms))
        return QUESTIONS_DENIED;
    struct item *item = open_item(q, question, buf_str(&key), now_ms);
    add_waiter(q, item, waiter);
    q->hooks.show(q->hooks.ctx, &item->open);
    return QUESTIONS_WAIT;
}

/* Takes item i out of the list; the caller frees it. */
static struct item *take_item(struct questions *q, size_t i)
{
    struct item *item = q->items[i];
    memmove(&q->items[i], &q->items[i + 1], (q->open - i - 1) * sizeof *q->items);
    q->open--;
    q->waiting -= item->open.waiting;
    return item;
}

/* Tells everybody who waits. The item is out of the list before, so a hook may ask again. */
static void decide(struct questions *q, size_t i, bool allow, const char *reason)
{
    struct item *item = take_item(q, i);
    q->hooks.close(q->hooks.ctx, &item->open);
    for (const struct waiter *w = item->waiters; w; w = w->next)
        q->hooks.decided(q->hooks.ctx, w->name, allow, reason);
    item_free(item);
}

/* A denial that no person gave; kept like one, so that a retry does not ask at once. */
static void deny(struct questions *q, size_t i, const char *reason, int64_t now_ms)
{
    keep(q, buf_str(&q->items[i]->key), false, reason, now_ms + QUESTIONS_DENIAL_MS, now_ms);
    decide(q, i, false, reason);
}

void questions_cancel(struct questions *q, uint64_t waiter)
{
    for (size_t i = 0; i < q->open; i++) {
        struct item *item = q->items[i];
        struct waiter **at = &item->waiters;
        while (*at && (*at)->name != waiter)
            at = &(*at)->next;
        if (!*at)
            continue;
        struct waiter *dead = *at;
        *at = dead->next;
        free(dead);
        item->open.waiting--;
        q->waiting--;
        if (!item->waiters)
            decide(q, i, false, "");
        return;
    }
}

static ptrdiff_t index_of(const struct questions *q, struct str id)
{
    for (size_t i = 0; i < q->open; i++)
        if (str_eq(str_of(q->items[i]->open.id), id))
            return (ptrdiff_t)i;
    return -1;
}

bool questions_was_asked(const struct questions *q, struct str id)
{
    struct str prefix = str_of(q->run_id);
    uint64_t number;
    if (!str_starts(id, prefix) || !str_starts(str_skip(id, prefix.n), STR("-")))
        return false;
    return str_to_u64(str_skip(id, prefix.n + 1), &number) && number >= 1 && number <= q->number;
}

const struct open_question *questions_find(const struct questions *q, struct str id)
{
    ptrdiff_t i = index_of(q, id);
    return i < 0 ? NULL : &q->items[i]->open;
}

bool questions_answer(struct questions *q, struct str id, bool allow, enum question_scope scope,
                      struct str reason, int64_t now_ms)
{
    ptrdiff_t i = index_of(q, id);
    if (i < 0)
        return false;
    AUTO_BUF clean = { 0 };
    clean_text(&clean, reason, REASON_MAX);
    const char *why = allow ? "" : clean.n ? buf_text(&clean) : "user denied";
    /* A yes for once is for those who wait now; a no for once also holds off the next tries. */
    if (scope != QUESTION_ONCE)
        keep(q, buf_str(&q->items[i]->key), allow, why, INT64_MAX, now_ms);
    else if (!allow)
        keep(q, buf_str(&q->items[i]->key), false, why, now_ms + QUESTIONS_DENIAL_MS, now_ms);
    decide(q, (size_t)i, allow, why);
    return true;
}

void questions_fail(struct questions *q, int64_t now_ms)
{
    /* Not those that a hook asks meanwhile. */
    for (size_t n = q->open; n > 0 && q->open > 0; n--)
        deny(q, 0, "permission prompt failed", now_ms);
}

void questions_shut(struct questions *q, int64_t now_ms)
{
    q->shut = true;
    questions_fail(q, now_ms);
}

int64_t questions_deadline(const struct questions *q)
{
    int64_t first = -1;
    for (size_t i = 0; i < q->open; i++)
        if (first < 0 || q->items[i]->open.deadline_ms < first)
            first = q->items[i]->open.deadline_ms;
    return first;
}

void questions_tick(struct questions *q, int64_t now_ms)
{
    /* All have the same patience: the oldest runs out first. */
    while (q->open > 0 && q->items[0]->open.deadline_ms <= now_ms)
        deny(q, 0, "nobody answered the permission prompt", now_ms);
}

const struct open_question *questions_at(const struct questions *q, size_t i)
{
    return i < q->open ? &q->items[i]->open : NULL;
}
