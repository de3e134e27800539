#include "sandbox/audit.h"

#include "base/check.h"
#include "sandbox/audit-int.h"

#include <errno.h>
#include <stdlib.h>

enum {
    FOLDS = 64,        /* different recent events that are remembered */
    FOLD_MS = 1000,    /* contract 10.2: equal events within 1 s */
    DENIALS_MAX = 200, /* different ones in a second; T27: a flood must not fill the disk */
    OBJECT_MAX = 4096, /* bytes */
    TEXT_MAX = 512,    /* bytes of the other texts */
};

/* A record that stands in the log, and how many equal events came since. */
struct fold {
    char *body; /* owned; the members that make two events equal */
    size_t n;
    int64_t since_ms;
    uint64_t more;
};

struct audit {
    struct audit_sink sinks[2]; /* the file, the descriptor */
    char *run;                  /* owned; escaped */
    uint64_t seq, events;
    struct fold folds[FOLDS];
    int64_t window_ms; /* the second in which `denials` are counted */
    unsigned denials;
    audit_clock *clock;
    struct err failure; /* of the first record that could not be written */
    bool failed;
};

static const char *const kind_names[] = {
    [AUDIT_START] = "start",       [AUDIT_NET] = "net",       [AUDIT_REQUEST] = "request",
    [AUDIT_FILE] = "file",         [AUDIT_UNIX] = "unix",     [AUDIT_SYSCALL] = "syscall",
    [AUDIT_LIMIT] = "limit",       [AUDIT_PROMPT] = "prompt", [AUDIT_CONFIG] = "config",
    [AUDIT_DEGRADED] = "degraded", [AUDIT_END] = "end",
};

/* One UTF-8 character from the front: its value, or -1 and one byte when it is none. */
static int32_t take_character(struct str *s)
{
    unsigned char first = (unsigned char)s->p[0];
    size_t n = first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    if (n > s->n || !str_is_utf8((struct str){ s->p, n })) {
        *s = str_skip(*s, 1);
        return -1;
    }
    int32_t value = n == 1 ? first : first & (0xff >> (n + 1));
    for (size_t i = 1; i < n; i++)
        value = value << 6 | (s->p[i] & 0x3f);
    *s = str_skip(*s, n);
    return value;
}

/* The inside of a JSON string, in ASCII: no byte of a hostile name reaches a terminal as it is. */
static void add_escaped(struct buf *out, struct str text)
{
    while (text.n) {
        int32_t c = take_character(&text);
        if (c == '"' || c == '\\')
            buf_addf(out, "\\%c", (char)c);
        else if (c >= 0x20 && c < 0x7f)
            buf_add_byte(out, (char)c);
        else if (c > 0xffff)
            buf_addf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                     0xdc00 + ((c - 0x10000) & 0x3ff));
        else
            buf_addf(out, "\\u%04x", c < 0 ? 0xfffd : c);
    }
}

/* A member, unless the text is NULL. */
static void add_text(struct buf *out, const char *name, const char *text)
{
    if (!text)
        return;
    buf_addf(out, ",\"%s\":\"", name);
    add_escaped(out, (struct str){ text, strnlen(text, TEXT_MAX) });
    buf_add_byte(out, '"');
}

static void add_subject(struct buf *out, const struct audit_event *event)
{
    if (!event->pid_inside && !event->pid_outside && !event->exe && !event->argv0)
        return;
    AUTO_BUF inner = { 0 };
    if (event->pid_inside)
        buf_addf(&inner, ",\"pid\":%d", event->pid_inside);
    if (event->pid_outside)
        buf_addf(&inner, ",\"pid_outside\":%d", event->pid_outside);
    add_text(&inner, "exe", event->exe);
    add_text(&inner, "argv0", event->argv0);
    buf_add(out, STR(",\"subject\":{"));
    buf_add(out, str_skip(buf_str(&inner), 1));
    buf_add_byte(out, '}');
}

/* Names are bytes: what JSON cannot say stands in object_hex as well. */
static void add_object(struct buf *out, struct str object)
{
    if (!object.n)
        return;
    bool cut = object.n > OBJECT_MAX;
    if (cut)
        object.n = OBJECT_MAX;
    buf_add(out, STR(",\"object\":\""));
    add_escaped(out, object);
    buf_add(out, cut ? STR("\",\"object_cut\":true") : STR("\""));
    if (cut || str_is_utf8(object))
        return;
    buf_add(out, STR(",\"object_hex\":\""));
    for (size_t i = 0; i < object.n; i++)
        buf_addf(out, "%02x", (unsigned char)object.p[i]);
    buf_add_byte(out, '"');
}

/* Everything that makes two events equal: all but time, number, count and chain. */
static void add_body(struct buf *out, const struct audit_event *event)
{
    buf_addf(out, ",\"kind\":\"%s\",\"decision\":\"%s\"", kind_names[event->kind],
             event->denied ? "deny" : "allow");
    add_text(out, "layer", event->layer);
    add_text(out, "rule", event->rule);
    add_subject(out, event);
    add_object(out, event->object);
    if (event->os)
        buf_addf(out, ",\"errno\":%d", event->os);
    if (event->racy)
        buf_add(out, STR(",\"racy\":true"));
    if (event->ignored)
        buf_add(out, STR(",\"ignored\":true"));
    size_t detail = event->detail_json ? strlen(event->detail_json) : 0;
    if (out->n + detail > AUDIT_RECORD_MAX - 1024)
        buf_add(out, STR(",\"detail_cut\":true"));
    else if (detail)
        buf_addf(out, ",%s", event->detail_json);
}

static int64_t now_ms(const struct audit *a)
{
    struct timespec now = { 0 };
    a->clock(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* RFC 3339 with nanoseconds, in UTC. */
static void add_time(const struct audit *a, struct buf *out)
{
    struct timespec now = { 0 };
    struct tm utc = { 0 };
    a->clock(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    buf_addf(out, "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ", utc.tm_year + 1900, utc.tm_mon + 1,
             utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec, now.tv_nsec);
}

static void put_record(struct audit *a, struct str body, uint64_t count)
{
    AUTO_BUF line = { 0 };
    buf_add(&line, STR(AUDIT_HEAD));
    add_time(a, &line);
    buf_addf(&line, "\",\"run\":\"%s\",\"seq\":%llu", a->run, (unsigned long long)++a->seq);
    buf_add(&line, body);
    buf_addf(&line, ",\"count\":%llu", (unsigned long long)count);
    for (size_t i = 0; i < sizeof a->sinks / sizeof *a->sinks; i++) {
        struct err e = { 0 };
        if (audit_sink_put(&a->sinks[i], buf_str(&line), &e) == 0 || a->failed)
            continue;
        a->failed = true;
        a->failure = e;
    }
}

static void fold_end(struct audit *a, struct fold *f)
{
    if (f->more)
        put_record(a, (struct str){ f->body, f->n }, f->more);
    free(f->body);
    *f = (struct fold){ 0 };
}

/* Ends the folds that are a second old, or all. */
static void fold_end_old(struct audit *a, int64_t now, bool all)
{
    for (size_t i = 0; i < FOLDS; i++)
        if (a->folds[i].body && (all || now - a->folds[i].since_ms >= FOLD_MS))
            fold_end(a, &a->folds[i]);
}

static struct fold *fold_find(struct audit *a, struct str body)
{
    for (size_t i = 0; i < FOLDS; i++)
        if (a->folds[i].body && str_eq((struct str){ a->folds[i].body, a->folds[i].n }, body))
            return &a->folds[i];
    return NULL;
}

/* Writes the record and remembers it, in place of the oldest one. */
static void fold_start(struct audit *a, struct str body, int64_t now)
{
    struct fold *place = &a->folds[0];
    for (size_t i = 0; i < FOLDS && place->body; i++)
        if (!a->folds[i].body || a->folds[i].since_ms < place->since_ms)
            place = &a->folds[i];
    fold_end(a, place);
    put_record(a, body, 1);
    *place = (struct fold){ .body = str_dup(body), .n = body.n, .since_ms = now };
}

/* Counts a denial; true when this second has had its share of different ones. */
static bool is_flood(struct audit *a, const struct audit_event *event, int64_t now)
{
    if (!event->denied)
        return false;
    if (now - a->window_ms >= FOLD_MS || now < a->window_ms) {
        a->window_ms = now;
        a->denials = 0;
    }
    return a->denials++ >= DENIALS_MAX;
}

void audit_write(struct audit *a, const struct audit_event *event)
{
    a->events++;
    if (a->sinks[0].fd < 0 && a->sinks[1].fd < 0)
        return;
    int64_t now = now_ms(a);
    AUTO_BUF body = { 0 };
    add_body(&body, event);
    fold_end_old(a, now, event->kind == AUDIT_END);
    struct fold *same = fold_find(a, buf_str(&body));
    if (!same && is_flood(a, event, now)) {
        buf_empty(&body);
        buf_addf(&body, ",\"kind\":\"%s\",\"decision\":\"deny\",\"flood\":true",
                 kind_names[event->kind]);
        same = fold_find(a, buf_str(&body));
    }
    if (same)
        same->more++;
    else
        fold_start(a, buf_str(&body), now);
}

bool audit_ok(const struct audit *a)
{
    return !a->failed;
}

uint64_t audit_count(const struct audit *a)
{
    return a->events;
}

int64_t audit_deadline(const struct audit *a)
{
    int64_t first = -1;
    for (size_t i = 0; i < FOLDS; i++)
        if (a->folds[i].more && (first < 0 || a->folds[i].since_ms + FOLD_MS < first))
            first = a->folds[i].since_ms + FOLD_MS;
    return first;
}

void audit_tick(struct audit *a)
{
    fold_end_old(a, now_ms(a), false);
}

bool audit_is_kept(const struct audit *a)
{
    return a->sinks[0].fd >= 0 || a->sinks[1].fd >= 0;
}

void audit_set_clock(struct audit *a, audit_clock *clock)
{
    a->clock = clock;
}

static void audit_free(struct audit *a)
{
    for (size_t i = 0; i < sizeof a->sinks / sizeof *a->sinks; i++)
        audit_sink_release(&a->sinks[i]);
    for (size_t i = 0; i < FOLDS; i++)
        free(a->folds[i].body);
    free(a->run);
    free(a);
}

int audit_open(const char *path, int fd, const char *run_id, struct audit **out, struct err *e)
{
    struct audit *a = mem_get(sizeof *a);
    AUTO_BUF run = { 0 };
    add_escaped(&run, (struct str){ run_id, strnlen(run_id, TEXT_MAX) });
    a->run = buf_take(&run);
    a->clock = clock_gettime;
    audit_sink_init(&a->sinks[0]);
    audit_sink_init(&a->sinks[1]);
    if ((path && audit_sink_open(&a->sinks[0], path, e) < 0) ||
        (fd >= 0 && audit_sink_take(&a->sinks[1], fd, e) < 0)) {
        bool of_path = path && a->sinks[0].fd < 0;
        audit_free(a);
        e->kind = E_INPUT; /* whatever failed: the caller named a place that cannot be used */
        return of_path ? err_while(e, "audit log '%s'", path) : err_while(e, "audit log");
    }
    *out = a;
    return 0;
}

int audit_close(struct audit *a, struct err *e)
{
    if (!a)
        return 0;
    fold_end_old(a, 0, true);
    int result = 0;
    if (a->failed) {
        *e = a->failure;
        result = err_while(e, "audit log");
    }
    audit_free(a);
    return result;
}
