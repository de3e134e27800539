#include "role/denials.h"

#include <poll.h>

enum {
    RECORDS_PER_TURN = 256, /* the rest waits for the next turn of the loop */
    TURNS_LAST = 16,
    LAST_MS = 20, /* for the call of a denial that is already here */
};

void denials_open(struct denials *d, bool wanted)
{
    d->source = wanted ? landlock_audit_new(d->state) : NULL;
}

void denials_begin(struct denials *d, const struct launch *l)
{
    if (!d->source)
        return;
    if (landlock_audit_is_on(d->source, d->state))
        landlock_audit_watch(d->source, l->init, l->orders);
    else
        denials_release(d);
}

int denials_fd(const struct denials *d)
{
    return landlock_audit_fd(d->source);
}

int64_t denials_deadline(const struct denials *d)
{
    return landlock_audit_deadline(d->source);
}

static void write_down(struct denials *d, struct record *r, int64_t now, bool all)
{
    struct landlock_denial denial;
    while (landlock_audit_next(d->source, now, all, &denial))
        record_landlock(r, &denial);
}

static bool take(struct denials *d, struct record *r, int64_t now)
{
    for (int i = 0; i < RECORDS_PER_TURN; i++) {
        if (!landlock_audit_read(d->source, now))
            return false;
        write_down(d, r, now, false);
    }
    return true;
}

void denials_tick(struct denials *d, struct record *r, int64_t now)
{
    if (!d->source)
        return;
    take(d, r, now);
    write_down(d, r, now, false);
    if (landlock_audit_lost(d->source))
        record_landlock_lost(r);
}

void denials_finish(struct denials *d, struct record *r, int64_t now)
{
    if (!d->source)
        return;
    for (int i = 0; i < TURNS_LAST; i++) {
        if (take(d, r, now))
            continue;
        struct pollfd p = { .fd = denials_fd(d), .events = POLLIN };
        if (denials_deadline(d) < 0 || poll(&p, 1, LAST_MS) <= 0)
            break;
    }
    write_down(d, r, now, true);
    denials_tick(d, r, now);
    denials_release(d);
}

void denials_release(struct denials *d)
{
    landlock_audit_free(d->source);
    d->source = NULL;
}
