#include "stream.h"

#include "judge.h"

static void connect(void *arg);

static void disconnect(struct stream *s)
{
    reader_close(s->reader);
    s->reader = NULL;
    buf_empty(&s->part);
}

static void try_later(struct stream *s, int64_t delay)
{
    struct world *w = s->w;
    if (s->waiting || s->over)
        return;
    s->waiting = true;
    agenda_put(&w->agenda, w->agenda.now + delay, (struct task){ .run = connect, .arg = s });
}

/* The next event of the log that is shown; NULL at the end. */
static const struct logged *expected(struct stream *s, const struct view *v)
{
    while (s->read < v->log_count && !v->log[s->read].shown)
        s->read++;
    return s->read < v->log_count ? &v->log[s->read] : NULL;
}

static void take_id(struct stream *s, struct str text)
{
    struct view *v = judge_view(s->w->judge, &s->session);
    const struct logged *l = expected(s, v);
    struct id id;
    if (!id_read(text, &id))
        world_fail(s->w, "%s: the stream has an event without a name", s->session.text);
    else if (l && id_eq(&l->id, &id))
        s->read++;
    else if (!v->deleted)
        world_fail(s->w, "%s: the stream brings %s, the log %s", s->session.text, id.text,
                   l ? l->id.text : "nothing");
    s->last = id;
}

/* A large event comes in pieces: what has no end of line yet waits. */
static void take(struct stream *s, struct str text)
{
    ptrdiff_t end;
    buf_add(&s->part, text);
    struct str rest = buf_str(&s->part);
    for (; (end = str_index(rest, '\n')) >= 0; rest = str_skip(rest, (size_t)end + 1)) {
        struct str line = { rest.p, (size_t)end };
        if (str_starts(line, STR("id: ")))
            take_id(s, str_skip(line, 4));
    }
    AUTO_BUF left = { 0 };
    buf_add(&left, rest);
    buf_empty(&s->part);
    buf_add(&s->part, buf_str(&left));
}

static void read_on(void *arg)
{
    struct stream *s = arg;
    struct world *w = s->w;
    AUTO_BUF out = { 0 };
    enum reader_state state = READER_MORE;
    s->waiting = false;
    if (!s->reader)
        return;
    judge_read(w->judge);
    while (state == READER_MORE && !w->failure[0]) {
        buf_empty(&out);
        state = reader_next(s->reader, &out, 2000);
        take(s, buf_str(&out));
    }
    world_note(w, "stream of %s: %s%s", s->session.text, s->last.text,
               state == READER_OVER ? ", over" : "");
    if (state != READER_OVER)
        return;
    disconnect(s);
    const struct view *v = judge_view(w->judge, &s->session);
    bool ended = v->s->status == SESSION_TERMINATED;
    if (!v->deleted && !ended && !w->parking)
        world_fail(w, "%s: the stream ends and the session does not", s->session.text);
    s->over = v->deleted || (ended && stream_is_complete(s));
    try_later(s, SECOND);
}

static void ready(void *ctx)
{
    struct stream *s = ctx;
    struct world *w = s->w;
    if (s->waiting)
        return;
    s->waiting = true;
    /* Readers are slow now and then. */
    int64_t delay = dice_chance(&w->dice, 50) ? dice_between(&w->dice, SECOND, 30 * SECOND) : 0;
    agenda_put(&w->agenda, w->agenda.now + delay, (struct task){ .run = read_on, .arg = s });
}

static void connect(void *arg)
{
    static const struct reader_events events = { ready };
    struct stream *s = arg;
    struct world *w = s->w;
    struct err e = { 0 };
    s->waiting = false;
    if (s->reader || s->over)
        return;
    const struct view *v = judge_view(w->judge, &s->session);
    if (v->deleted) {
        s->over = true;
        return;
    }
    const struct logged *first = expected(s, v);
    if (!world_is_up(w) || w->parking || (id_is_none(&s->last) && !first)) {
        try_later(s, dice_between(&w->dice, 100 * MILLISECOND, 2 * SECOND));
        return;
    }
    if (id_is_none(&s->last)) {
        s->last = first->id;
        s->read++;
    }
    const struct reader_options options = { .message_deltas = dice_chance(&w->dice, 500),
                                            .thinking_deltas = dice_chance(&w->dice, 500),
                                            .last_event = s->last };
    w->tally->readers_resumed++;
    world_note(w, "stream of %s behind %s", s->session.text, s->last.text);
    s->reader = reader_open(w->engine, &s->session, &options, &events, s, &e);
    if (!s->reader) {
        if (e.kind != E_MISSING || !judge_view(w->judge, &s->session)->deleted)
            world_fail(w, "%s: the stream does not open: %s", s->session.text, e.text);
        return;
    }
    ready(s);
}

void stream_open(struct stream *s, struct world *w, const struct id *session)
{
    *s = (struct stream){ .w = w, .session = *session };
    try_later(s, 0);
}

void stream_cut(struct stream *s)
{
    if (!s->w)
        return;
    disconnect(s);
    s->waiting = false;
    try_later(s, dice_between(&s->w->dice, 100 * MILLISECOND, 3 * SECOND));
}

bool stream_is_complete(const struct stream *s)
{
    const struct view *v = s->w ? judge_view(s->w->judge, &s->session) : NULL;
    if (!v || v->deleted)
        return v != NULL;
    for (size_t i = s->read; i < v->log_count; i++)
        if (v->log[i].shown)
            return false;
    return true;
}

void stream_release(struct stream *s)
{
    buf_release(&s->part);
}
