#include "core/session-int.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void decision_init(struct decision *d)
{
    *d = (struct decision){ 0 };
    arena_init(&d->arena, SIZE_MAX / 2); /* what goes in is bounded by the facts */
}

void decision_release(struct decision *d)
{
    for (size_t i = 0; i < d->owned_count; i++)
        free(d->owned[i]);
    free(d->owned);
    free(d->events);
    free(d->effects);
    free(d->answers);
    arena_release(&d->arena);
    decision_init(d);
}

/* Room for one more item of `size` bytes behind `count`. */
static void *grow(void *items, size_t count, size_t *room, size_t size)
{
    if (count < *room)
        return items;
    *room = *room ? *room * 2 : 16;
    return mem_grow(items, *room * size);
}

struct id say(struct deciding *x, struct event event)
{
    struct decision *d = x->d;
    if (id_is_none(&event.id))
        event.id = id_make("sevt_", x->random);
    /* History order is ascending processed_at (3.4), whatever the clock does. */
    event.at = x->now > x->s->last_at ? x->now : x->s->last_at + 1;
    d->events = grow(d->events, d->event_count, &d->event_room, sizeof *d->events);
    d->events[d->event_count++] = event;
    session_apply(x->s, &event);
    return event.id;
}

/* The session may forget the text before the effect is carried out. */
static struct str keep(struct decision *d, struct str s)
{
    char *to = arena_dup(&d->arena, s);
    CHECK(to);
    return (struct str){ to, s.n };
}

void want(struct deciding *x, struct effect effect)
{
    struct decision *d = x->d;
    effect.name = keep(d, effect.name);
    effect.input = keep(d, effect.input);
    d->effects = grow(d->effects, d->effect_count, &d->effect_room, sizeof *d->effects);
    d->effects[d->effect_count++] = effect;
}

void answer(struct deciding *x, struct id id)
{
    x->d->answers[x->d->answer_count++] = id;
}

struct str text(struct deciding *x, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    CHECK(n >= 0);
    char *to = arena_get(&x->d->arena, (size_t)n + 1);
    CHECK(to);
    va_start(ap, fmt);
    vsnprintf(to, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return (struct str){ to, (size_t)n };
}

bool queue_take(struct deciding *x, enum event_type type, struct event *out)
{
    struct session *s = x->s;
    struct decision *d = x->d;
    for (size_t i = 0; i < s->queue_count; i++) {
        struct queued *q = &s->queue[i];
        if (type != EVENT_NONE && q->event.type != type)
            continue;
        *out = q->event;
        d->owned = grow(d->owned, d->owned_count, &d->owned_room, sizeof *d->owned);
        d->owned[d->owned_count++] = mem_take(&q->texts);
        return true;
    }
    return false;
}
