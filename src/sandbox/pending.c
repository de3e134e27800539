#include "sandbox/pending.h"

#include "base/fd.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/epoll.h>

/* Each is a blocked thread of the command; more than any limit of processes lets it have. */
enum { PENDING_MAX = 4096 };
static const int64_t first_wait = 1000 * 1000, longest_wait = 50 * 1000 * 1000;

static void finish(struct warden *w, struct pending *p, int result)
{
    struct pending **at = &w->pending;
    while (*at != p)
        at = &(*at)->next;
    *at = p->next;
    w->pending_count--;
    if (p->gone)
        p->gone(p);
    if (result != REQUEST_ANSWERED)
        notify_answer(&w->notify, &p->q.call, 0, result);
    if (p->source.ready)
        warden_unwatch(w, &p->source);
    fd_drop(&p->source.fd);
    fd_drop(&p->object);
    if (p->drop)
        p->drop(p->job);
    free(p);
}

static void on_ready(struct warden *w, struct source *s, uint32_t events)
{
    struct pending *p = (struct pending *)s;
    int result = notify_is_valid(&p->q.call) ? p->attempt(p) : REQUEST_ANSWERED;
    if (result != PENDING_AGAIN)
        finish(w, p, result);
}

int pending_add(struct pending *model, uint32_t events)
{
    struct warden *w = model->q.w;
    if (w->pending_count >= PENDING_MAX) {
        fd_drop(&model->source.fd);
        fd_drop(&model->object);
        if (model->drop)
            model->drop(model->job);
        return EAGAIN;
    }
    struct pending *p = mem_get(sizeof *p);
    *p = *model;
    p->next = w->pending;
    w->pending = p;
    w->pending_count++;
    /* Also what waits for a descriptor is looked at now and then: its caller may have been killed. */
    p->wait = events ? longest_wait * 10 : first_wait;
    p->next_try = warden_now() + p->wait;
    p->source.ready = events ? on_ready : NULL;
    int os = events ? warden_watch(w, &p->source, events) : 0;
    if (os) {
        p->source.ready = NULL;
        finish(w, p, os);
    }
    return REQUEST_ANSWERED;
}

struct pending *pending_of_wish(struct warden *w, uint32_t wish)
{
    for (struct pending *p = w->pending; p; p = p->next)
        if (p->wish == wish)
            return p;
    return NULL;
}

void pending_settle(struct pending *p, int result)
{
    finish(p->q.w, p, result);
}

size_t pending_wake(struct warden *w, dev_t device, ino_t inode, int access_mode)
{
    size_t woken = 0;
    for (struct pending *p = w->pending, *next; p; p = next) {
        next = p->next;
        if (p->inode != inode || p->device != device || (p->flags & O_ACCMODE) != access_mode)
            continue;
        int result = notify_is_valid(&p->q.call) ? p->attempt(p) : REQUEST_ANSWERED;
        if (result == PENDING_AGAIN)
            continue;
        finish(w, p, result);
        woken++;
    }
    return woken;
}

int pending_run(struct warden *w)
{
    if (!w->pending)
        return -1;
    int64_t now = warden_now(), soonest = INT64_MAX;
    for (struct pending *p = w->pending, *next; p; p = next) {
        next = p->next;
        if (p->next_try <= now) {
            int result = REQUEST_ANSWERED;
            if (notify_is_valid(&p->q.call))
                result = p->source.ready ? PENDING_AGAIN : p->attempt(p);
            if (result == PENDING_AGAIN && p->deadline && now >= p->deadline)
                result = p->late;
            if (result != PENDING_AGAIN) {
                finish(w, p, result);
                continue;
            }
            if (!p->source.ready && p->wait < longest_wait)
                p->wait *= 2;
            p->next_try = now + p->wait;
        }
        if (p->next_try < soonest)
            soonest = p->next_try;
    }
    if (!w->pending)
        return -1;
    return (int)((soonest - now) / 1000000) + 1;
}

void pending_free(struct warden *w)
{
    while (w->pending)
        finish(w, w->pending, EINTR);
}
