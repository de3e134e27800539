/* Streams: each reader is a cursor in a session's log; what several read at the same time is kept
 * ready for all of them (contract 1.8, 3.7, 3.12). */
#include "control/engine-int.h"

#include "base/log.h"
#include "control/event_json.h"
#include "control/log_walk.h"
#include "proto/json_write.h"

#include <stdlib.h>

enum {
    TAIL_BYTES_MAX = 256 << 10, /* of the last events of a session that is read */
    PREVIEW_BYTES_MAX =
        4 << 20, /* of a message that still grows; beyond it readers wait for the end */
    DELTA_BYTES_MAX = 16 << 10,
    HELD_BYTES_MAX = 64 << 20 /* of large events that readers of all sessions take in pieces */
};
#define OPEN_AFTER_END INT64_C(1000000) /* 3.12 rule 5 */

/* An event as it is sent. */
struct frame {
    struct frame *next;
    int64_t seq;
    enum entry_shows shows;
    struct str text; /* behind this structure */
};

/* A message that a model is writing. */
struct preview {
    unsigned number;  /* counts requests */
    bool on, stopped; /* stopped: no more deltas for this one */
    struct id thinking, message;
    struct buf text;
    size_t *starts; /* of its blocks in `text` */
    size_t block_count, block_room;
};

struct hub {
    struct engine *g;
    struct id session;
    struct reader *readers;
    int64_t published; /* the last entry that readers may see */
    struct frame *first, *last;
    size_t tail_bytes;
    struct frame *held; /* one that somebody takes in pieces; NULL: none */
    struct preview preview;
    struct buf deleted; /* session.deleted as it is sent; empty: it lives */
    bool ending, over;  /* the session has ended; and its time is up */
    struct alarm end;
};

struct reader {
    struct hub *hub;
    struct reader *before, *next;
    struct reader_options options;
    const struct reader_events *events;
    void *ctx;
    int64_t seq;      /* taken up to here */
    size_t given;     /* and so many bytes of the event behind it, */
    int64_t given_of; /* which has this number */
    bool drained;     /* nothing was left when it last asked */
    struct alarm kick;
    /* Of the message that grows. */
    unsigned preview; /* number of the request that it follows, or has to pass over */
    bool pass_over, thinking_started, message_started;
    size_t offset;
};

/* --- frames --- */

static void frame_write(struct buf *out, struct str type, struct str id, struct str body)
{
    buf_addf(out, "event: %.*s\nid: %.*s\ndata: ", STR_ARGS(type), STR_ARGS(id));
    buf_add(out, body);
    buf_add(out, STR("\n\n"));
}

static void tail_trim(struct hub *h, size_t most)
{
    while (h->first && h->tail_bytes > most) {
        struct frame *f = h->first;
        h->first = f->next;
        if (!h->first)
            h->last = NULL;
        h->tail_bytes -= sizeof *f + f->text.n;
        free(f);
    }
}

static struct frame *frame_new(int64_t seq, enum entry_shows shows, struct str text)
{
    struct frame *f = mem_get(sizeof *f + text.n);
    char *copy = (char *)(f + 1);
    if (text.n)
        memcpy(copy, text.p, text.n);
    *f = (struct frame){ .seq = seq, .shows = shows, .text = { copy, text.n } };
    return f;
}

static void tail_add(struct hub *h, int64_t seq, enum entry_shows shows, struct str text)
{
    struct frame *f = frame_new(seq, shows, text);
    if (h->last)
        h->last->next = f;
    else
        h->first = f;
    h->last = f;
    h->tail_bytes += sizeof *f + text.n;
    tail_trim(h, TAIL_BYTES_MAX);
}

static void held_drop(struct hub *h)
{
    if (!h->held)
        return;
    h->g->held_bytes -= h->held->text.n;
    free(h->held);
    h->held = NULL;
}

/* A large event is read once for all its pieces. Beyond the bound it is read for each. */
static void held_keep(struct hub *h, int64_t seq, struct str text)
{
    held_drop(h);
    if (text.n > HELD_BYTES_MAX - h->g->held_bytes)
        return;
    h->held = frame_new(seq, ENTRY_PUBLIC, text);
    h->g->held_bytes += text.n;
}

/* --- hubs --- */

struct hub *hub_find(const struct engine *g, const struct id *session)
{
    return table_find(&g->hubs, id_str(session));
}

static void reader_notify(struct reader *r)
{
    if (!r->drained)
        return;
    r->drained = false;
    r->events->ready(r->ctx);
}

static void hub_notify(struct hub *h)
{
    for (struct reader *r = h->readers, *next; r; r = next) {
        next = r->next;
        reader_notify(r);
    }
}

static void hub_over(struct alarm *t, void *ctx)
{
    struct hub *h = ctx;
    h->over = true;
    hub_notify(h);
}

static void hub_free(struct hub *h)
{
    alarms_drop(&h->g->alarms, &h->end);
    table_drop(&h->g->hubs, id_str(&h->session));
    tail_trim(h, 0);
    held_drop(h);
    buf_release(&h->preview.text);
    free(h->preview.starts);
    buf_release(&h->deleted);
    free(h);
}

static void hub_end(struct hub *h)
{
    if (h->ending)
        return;
    h->ending = true;
    engine_alarm(h->g, &h->end, engine_now(h->g) + OPEN_AFTER_END);
}

static void preview_clear(struct preview *p)
{
    p->on = p->stopped = false;
    p->thinking = p->message = (struct id){ 0 };
    buf_empty(&p->text);
    p->block_count = 0;
}

void hub_publish(struct hub *h, const struct batch *b, int64_t seq)
{
    for (size_t i = 0; i < b->note_count; i++) {
        const struct note *n = &b->notes[i];
        const enum entry_shows shows = event_type_shows(n->type);
        AUTO_BUF text = { 0 };
        if (b->removed && n->type != EVENT_SESSION_DELETED)
            continue; /* the log is gone with them */
        if (shows != ENTRY_INTERNAL)
            frame_write(&text, str_of(event_type_name(n->type)), id_str(&n->id),
                        (struct str){ b->texts.p + n->body, n->body_size });
        if (n->type == EVENT_SESSION_DELETED) {
            buf_add(&h->deleted, buf_str(&text));
            continue;
        }
        tail_add(h, seq + (int64_t)i, shows, buf_str(&text));
        h->published = seq + (int64_t)i;
        if (n->type == EVENT_MODEL_REQUEST_END)
            preview_clear(&h->preview);
        if (n->type == EVENT_SESSION_STATUS_TERMINATED)
            hub_end(h);
    }
    hub_notify(h);
}

/* --- messages that grow --- */

void hub_preview_begin(struct hub *h)
{
    preview_clear(&h->preview);
    h->preview.number++;
    h->preview.on = true;
}

void hub_preview_thinking(struct hub *h, const struct id *event)
{
    if (!h->preview.on)
        return;
    h->preview.thinking = *event;
    hub_notify(h);
}

void hub_preview_text(struct hub *h, const struct id *event, size_t block, struct str part)
{
    struct preview *p = &h->preview;
    if (!p->on || p->stopped)
        return;
    if (block > p->block_count || p->text.n + part.n > PREVIEW_BYTES_MAX) {
        p->stopped = true; /* somebody came to it late, or it is too long: stop rather than skip */
        return;
    }
    if (block == p->block_count) {
        if (p->block_count == p->block_room) {
            p->block_room = p->block_room ? 2 * p->block_room : 4;
            p->starts = mem_grow(p->starts, p->block_room * sizeof *p->starts);
        }
        p->starts[p->block_count++] = p->text.n;
    }
    p->message = *event;
    buf_add(&p->text, part);
    hub_notify(h);
}

static void start_write(struct buf *out, const char *type, const struct id *event)
{
    AUTO_BUF json = { 0 };
    json_write_object(&json);
    json_member_text(&json, "type", "event_start");
    json_write_key(&json, STR("event"));
    json_write_object(&json);
    json_member_text(&json, "type", type);
    json_member_str(&json, "id", id_str(event));
    json_write_object_end(&json);
    json_write_object_end(&json);
    buf_add(out, STR("event: event_start\ndata: "));
    buf_add(out, buf_str(&json));
    buf_add(out, STR("\n\n"));
}

static void delta_write(struct buf *out, const struct id *event, size_t block, struct str part)
{
    AUTO_BUF json = { 0 };
    json_write_object(&json);
    json_member_text(&json, "type", "event_delta");
    json_member_str(&json, "event_id", id_str(event));
    json_write_key(&json, STR("delta"));
    json_write_object(&json);
    json_member_text(&json, "type", "content_delta");
    json_member_u64(&json, "index", block);
    json_write_key(&json, STR("content"));
    json_write_object(&json);
    json_member_text(&json, "type", "text");
    json_member_str(&json, "text", part);
    for (size_t i = 0; i < 3; i++)
        json_write_object_end(&json);
    buf_add(out, STR("event: event_delta\ndata: "));
    buf_add(out, buf_str(&json));
    buf_add(out, STR("\n\n"));
}

/* At most DELTA_BYTES_MAX, and whole characters. */
static struct str piece_of(struct str text)
{
    size_t n = text.n;
    if (n > DELTA_BYTES_MAX)
        for (n = DELTA_BYTES_MAX; n > 0 && ((unsigned char)text.p[n] & 0xc0) == 0x80; n--)
            ;
    return (struct str){ text.p, n };
}

static void preview_write(struct reader *r, struct buf *out, size_t room)
{
    const struct preview *p = &r->hub->preview;
    if (r->preview != p->number) {
        r->preview = p->number;
        r->pass_over = r->thinking_started = r->message_started = false;
        r->offset = 0;
    }
    if (!p->on || r->pass_over)
        return;
    if (r->options.thinking_deltas && !r->thinking_started && !id_is_none(&p->thinking)) {
        start_write(out, "agent.thinking", &p->thinking);
        r->thinking_started = true;
    }
    if (!r->options.message_deltas || id_is_none(&p->message))
        return;
    if (!r->message_started)
        start_write(out, "agent.message", &p->message);
    r->message_started = true;
    for (size_t block = 0; block < p->block_count && out->n < room; block++) {
        const size_t end = block + 1 < p->block_count ? p->starts[block + 1] : p->text.n;
        while (r->offset >= p->starts[block] && r->offset < end && out->n < room) {
            struct str part = piece_of((struct str){ p->text.p + r->offset, end - r->offset });
            delta_write(out, &p->message, block, part);
            r->offset += part.n;
        }
    }
}

static bool preview_waits(const struct reader *r)
{
    const struct preview *p = &r->hub->preview;
    return r->options.message_deltas && p->on && !r->pass_over && r->preview == p->number &&
           r->offset < p->text.n;
}

/* --- readers --- */

static enum entry_shows shows_to(const struct reader *r)
{
    return r->options.extensions ? ENTRY_EXTENSION : ENTRY_PUBLIC;
}

/* What fits of an event that was written before up to r->given. True: it is given whole. */
static bool piece_write(struct reader *r, struct buf *out, size_t room, struct str frame)
{
    struct str rest = str_skip(frame, r->given);
    const bool whole = rest.n <= room - out->n;
    rest.n = whole ? rest.n : room - out->n;
    buf_add(out, rest);
    r->given = whole ? 0 : r->given + rest.n;
    return whole;
}

/* From the events that are kept ready. False: they begin behind the reader. */
static bool tail_write(struct reader *r, struct buf *out, size_t room)
{
    const struct frame *f = r->hub->first;
    if (!f || f->seq > r->seq + 1)
        return false;
    for (; f && out->n < room; f = f->next) {
        if (f->seq <= r->seq)
            continue;
        if (f->shows <= shows_to(r) && !piece_write(r, out, room, f->text)) {
            r->given_of = f->seq;
            break;
        }
        r->seq = f->seq;
    }
    return true;
}

/* The next piece of the event that is held. False: another one is. */
static bool held_write(struct reader *r, struct buf *out, size_t room)
{
    struct hub *h = r->hub;
    if (r->given == 0 || !h->held || h->held->seq != r->given_of)
        return false;
    if (piece_write(r, out, room, h->held->text)) {
        r->seq = h->held->seq;
        held_drop(h);
    }
    return true;
}

static int store_write(struct reader *r, struct buf *out, size_t room)
{
    struct hub *h = r->hub;
    struct log_walk w;
    struct err e = { 0 };
    const struct entry *entry = NULL;
    const int64_t until = h->first ? h->first->seq - 1 : h->published;
    log_walk_begin(&w, h->g->parts.store, &h->session, r->seq, shows_to(r));
    log_walk_little(&w);
    while (out->n < room && (entry = log_walk_next(&w, &e)) != NULL && entry->seq <= until) {
        AUTO_BUF frame = { 0 };
        frame_write(&frame, entry->type, id_str(&entry->id), entry->body);
        if (!piece_write(r, out, room, buf_str(&frame))) {
            r->given_of = entry->seq;
            held_keep(h, entry->seq, buf_str(&frame));
            break;
        }
        r->seq = entry->seq;
    }
    if (!w.failed && out->n < room && r->seq < until)
        r->seq = until; /* what is left is nothing that it may see */
    log_walk_end(&w);
    if (w.failed)
        log_error("session %s: read the log for a stream: %s", h->session.text, e.text);
    return w.failed ? -1 : 0;
}

enum reader_state reader_next(struct reader *r, struct buf *out, size_t room)
{
    struct hub *h = r->hub;
    if (h->deleted.n) {
        if (!r->given) /* else it stands in an event whose rest is gone */
            buf_add(out, buf_str(&h->deleted));
        return READER_OVER;
    }
    while (r->seq < h->published && out->n < room)
        if (!held_write(r, out, room) && !tail_write(r, out, room) && store_write(r, out, room) < 0)
            return READER_OVER; /* it comes back and finds what it missed */
    if (r->seq < h->published)
        return READER_MORE;
    preview_write(r, out, room);
    if (preview_waits(r))
        return READER_MORE;
    if (h->over || h->g->stopping)
        return READER_OVER;
    r->drained = true;
    return READER_EMPTY;
}

bool reader_in_event(const struct reader *r)
{
    return r->given > 0;
}

static void kick(struct alarm *t, void *ctx)
{
    reader_notify(ctx);
}

/* The last entry that is published to readers that come now. */
static int64_t last_of(const struct engine *g, const struct id *session, struct err *e)
{
    const struct actor *a = table_find(&g->actors, id_str(session));
    if (a && a->s)
        return a->seq;
    return g->parts.store->ops->last_seq(g->parts.store, session, e);
}

static struct hub *hub_of(struct engine *g, const struct id *session, struct err *e)
{
    struct hub *h = hub_find(g, session);
    if (h)
        return h;
    int64_t last = last_of(g, session, e);
    if (last < 0)
        return NULL;
    h = mem_get(sizeof *h);
    h->g = g;
    h->session = *session;
    h->published = last;
    h->end = (struct alarm){ .fire = hub_over, .ctx = h };
    table_put(&g->hubs, id_str(&h->session), h);
    return h;
}

/* Where the reader begins. -1 with *e. */
static int64_t begin_of(struct engine *g, const struct id *session, const struct id *last_event,
                        int64_t published, struct err *e)
{
    struct store *store = g->parts.store;
    struct entry entry;
    if (id_is_none(last_event))
        return published;
    AUTO_ARENA arena;
    arena_init(&arena, 256 << 20);
    int found = store->ops->entry(store, session, last_event, &entry, &arena, e);
    if (found == 0)
        return err_set(e, E_MISSING, 0, "the session has no event %s", last_event->text);
    return found < 0 ? -1 : entry.seq;
}

/* 1 when the session has ended, 0 when it has not, -1 with *e. */
static int has_ended(struct engine *g, const struct id *session, struct err *e)
{
    struct record record;
    AUTO_ARENA arena;
    arena_init(&arena, 64 << 20);
    int found =
        g->parts.store->ops->get(g->parts.store, RECORD_SESSION, session, &record, &arena, e);
    if (found == 0)
        return err_set(e, E_MISSING, 0, "session %s does not exist", session->text);
    return found < 0 ? -1 : str_eq(record.state, STR("terminated"));
}

struct reader *reader_open(struct engine *g, const struct id *session,
                           const struct reader_options *options, const struct reader_events *events,
                           void *ctx, struct err *e)
{
    int ended = has_ended(g, session, e);
    struct hub *h = ended < 0 ? NULL : hub_of(g, session, e);
    int64_t from = h ? begin_of(g, session, &options->last_event, h->published, e) : -1;
    if (from < 0) {
        if (h && !h->readers)
            hub_free(h);
        return NULL;
    }
    struct reader *r = mem_get(sizeof *r);
    r->hub = h;
    r->options = *options;
    r->events = events;
    r->ctx = ctx;
    r->seq = from;
    r->preview = h->preview.number;
    r->pass_over = true;
    r->drained = true;
    r->kick = (struct alarm){ .fire = kick, .ctx = r };
    r->next = h->readers;
    if (r->next)
        r->next->before = r;
    h->readers = r;
    g->counters.readers++;
    if (ended)
        hub_end(h);
    if (r->seq < h->published || h->over || g->stopping)
        engine_alarm(g, &r->kick, engine_now(g));
    return r;
}

void reader_close(struct reader *r)
{
    if (!r)
        return;
    struct hub *h = r->hub;
    alarms_drop(&h->g->alarms, &r->kick);
    h->g->counters.readers--;
    if (r->before)
        r->before->next = r->next;
    else
        h->readers = r->next;
    if (r->next)
        r->next->before = r->before;
    free(r);
    if (!h->readers)
        hub_free(h);
}

/* --- the end --- */

void hubs_stop(struct engine *g)
{
    struct hub *h;
    for (size_t at = 0; (h = table_next(&g->hubs, &at)) != NULL;)
        for (struct reader *r = h->readers; r; r = r->next)
            engine_alarm(g, &r->kick, engine_now(g));
}

void hubs_free(struct engine *g)
{
    while (g->hubs.count) {
        size_t at = 0;
        struct hub *h = table_next(&g->hubs, &at);
        while (h->readers) {
            struct reader *r = h->readers;
            h->readers = r->next;
            alarms_drop(&g->alarms, &r->kick);
            free(r);
        }
        hub_free(h);
    }
    table_release(&g->hubs);
}
