#include "sandbox/cover.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "sandbox/mounts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/inotify.h>
#include <sys/stat.h>

/* Names that appear in a watched directory, by any way. */
enum { WATCHED = IN_CREATE | IN_MOVED_TO | IN_ATTRIB };

static struct str directory_of(const char *path)
{
    struct str s = str_of(path);
    ptrdiff_t slash = str_last_index(s, '/');
    s.n = slash > 0 ? (size_t)slash : 1;
    return s;
}

int cover_init(struct cover *c, const struct plan *p, int stash, struct err *e)
{
    *c = (struct cover){ .notify = -1, .stash = stash };
    for (size_t i = 0; i < p->hidden_count; i++) {
        const struct plan_hidden *h = &p->hidden[i];
        if (!h->parent_writable)
            continue;
        if (c->notify < 0)
            c->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        AUTO_FREE char *directory = str_dup(directory_of(h->path));
        int watch = c->notify < 0 ? -1 : inotify_add_watch(c->notify, directory, WATCHED);
        if (watch < 0)
            return err_set(e, E_SANDBOX, errno, "layer mount: watch '%s'", directory);
        c->places = mem_grow(c->places, (c->count + 1) * sizeof *c->places);
        c->places[c->count++] = (struct cover_place){ watch, h->path };
    }
    if (c->notify < 0)
        fd_drop(&c->stash);
    return 0;
}

void cover_release(struct cover *c)
{
    fd_drop(&c->notify);
    fd_drop(&c->stash);
    free(c->places);
    c->places = NULL;
    c->count = 0;
}

bool cover_is_needed(const struct cover *c)
{
    return c->notify >= 0;
}

int cover_fd(const struct cover *c)
{
    return c->notify;
}

/* Our cover is a mount of its own; what the host has put there is on the directory's device. */
static bool is_open_again(const char *path)
{
    struct stat now, around;
    AUTO_FREE char *directory = str_dup(directory_of(path));
    return lstat(path, &now) == 0 && stat(directory, &around) == 0 && now.st_dev == around.st_dev;
}

static bool cover_place(const struct cover *c, const struct cover_place *at)
{
    struct err e;
    if (!is_open_again(at->path))
        return false;
    if (mounts_cover(c->stash, at->path, &e) < 0) {
        log_error("%s", e.text);
        _exit(125);
    }
    return true;
}

bool cover_next(struct cover *c, char *path, size_t room)
{
    for (;;) {
        if (c->at >= c->used) {
            ssize_t n = read(c->notify, c->waiting, sizeof c->waiting);
            if (n <= 0)
                return false;
            c->used = (size_t)n;
            c->at = 0;
        }
        struct inotify_event event;
        memcpy(&event, c->waiting + c->at, sizeof event);
        const char *name = event.len ? c->waiting + c->at + sizeof event : "";
        c->at += sizeof event + event.len;
        bool covered = false;
        for (size_t i = 0; i < c->count; i++) {
            struct str whole = str_of(c->places[i].path);
            struct str last = str_skip(whole, (size_t)str_last_index(whole, '/') + 1);
            bool meant = (event.mask & IN_Q_OVERFLOW) ||
                         (event.wd == c->places[i].watch && str_eq(last, str_of(name)));
            if (meant && cover_place(c, &c->places[i])) {
                snprintf(path, room, "%s", c->places[i].path);
                covered = true;
            }
        }
        if (covered)
            return true;
    }
}
