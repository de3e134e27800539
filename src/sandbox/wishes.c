#include "sandbox/wishes.h"

#include "base/fd.h"
#include "sandbox/disk_quota.h"
#include "sandbox/handover.h"
#include "sandbox/pending.h"
#include "sandbox/tracee.h"
#include "sandbox/verdict.h"
#include "sandbox/wish.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The process has ended, or the call was looked at once more: the answer comes another way. */
static int attempt(struct pending *p)
{
    return p->source.fd >= 0 ? EINTR : PENDING_AGAIN;
}

static void take_back(struct pending *p)
{
    struct wish cancel = { .kind = WISH_CANCEL, .id = p->wish };
    /* Without room the question stays until somebody answers it; nobody hears the answer. */
    (void)wish_send(p->q.w->options.report, &cancel, sizeof cancel, -1);
}

int wishes_open(struct request *q, struct str path, int flags, mode_t mode)
{
    struct warden *w = q->w;
    struct wish wish = { .kind = WISH_OPEN,
                         .id = ++w->last_wish ? w->last_wish : ++w->last_wish,
                         .pid = (uint32_t)tracee_tgid(q),
                         .flags = flags,
                         .mode = mode,
                         .umask = tracee_umask(q) };
    if (path.n >= sizeof wish.path)
        return ENAMETOOLONG;
    memcpy(wish.path, path.p, path.n);
    snprintf(wish.call, sizeof wish.call, "%s", q->name);
    warden_read_comm(q, wish.argv0, sizeof wish.argv0);
    AUTO_FD process = (int)syscall(SYS_pidfd_open, tracee_tgid(q), 0);
    if (process < 0 || !tracee_is_there(q))
        return EINTR;
    if (wish_send(w->options.report, &wish, sizeof wish, process) != 0)
        return EACCES;
    struct pending later = { .source.fd = fd_take(&process),
                             .q = *q,
                             .object = -1,
                             .flags = flags,
                             .wish = wish.id,
                             .gone = take_back,
                             .attempt = attempt };
    return pending_add(&later, EPOLLIN);
}

/* What a person lets the command write outside the write roots counts as well. */
static int count(struct warden *w, int fd)
{
    struct stat st;
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || (flags & O_ACCMODE) == O_RDONLY || fstat(fd, &st) < 0)
        return flags < 0 ? errno : 0;
    int os = disk_quota_room(w->quota);
    return os ? os : disk_quota_open(w->quota, fd, st.st_blocks);
}

static void on_answer(struct warden *w, struct source *s, uint32_t events)
{
    struct wish_answer answer;
    int received;
    ssize_t n = wish_receive(s->fd, &answer, sizeof answer, &received);
    AUTO_FD fd = received;
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
        warden_unwatch(w, s); /* the supervisor has ended, and the sandbox ends with it */
        return;
    }
    struct pending *p = n == (ssize_t)sizeof answer ? pending_of_wish(w, answer.id) : NULL;
    if (!p)
        return; /* taken back meanwhile */
    p->gone = NULL;
    int os = answer.os ? answer.os : fd < 0 ? EACCES : 0;
    if (!os && w->quota)
        os = count(w, fd);
    pending_settle(p, os ? os : handover_give(&p->q, fd, p->flags));
}

int wishes_watch(struct warden *w)
{
    w->answers = (struct source){ w->options.report, on_answer };
    return warden_watch(w, &w->answers, EPOLLIN);
}

/* Cuts the last component off `path`; false when it is none that a hidden directory could hold. */
static bool cut_last(char *path, char **name)
{
    char *slash = strrchr(path, '/');
    *name = slash ? slash + 1 : path;
    if (!**name || strcmp(*name, ".") == 0 || strcmp(*name, "..") == 0)
        return false;
    return true;
}

bool wishes_find_hidden(struct request *q, int dirfd, const char *path, struct pathname *out)
{
    static const struct file_facts none = { 0 };
    char prefix[PATH_MAX], rest[PATH_MAX] = "", longer[PATH_MAX], *name;
    snprintf(prefix, sizeof prefix, "%s", path);
    for (;;) {
        if (!cut_last(prefix, &name))
            return false;
        if ((size_t)snprintf(longer, sizeof longer, "/%s%s", name, rest) >= sizeof longer)
            return false;
        memcpy(rest, longer, sizeof rest);
        while (name > prefix && name[-1] == '/')
            name--;
        bool is_root = name == prefix && path[0] == '/';
        *name = '\0';
        AUTO_PLACE at = PLACE_NONE;
        const char *where = is_root ? "/" : prefix[0] ? prefix : ".";
        int os = place_find_object(q, dirfd, where, true, &at);
        if (os == ENOENT || (!os && at.object < 0)) {
            if (is_root || !prefix[0])
                return false;
            continue;
        }
        if (os || pathname_of(q->w, at.object, out) != 0 || out->n == 0 || out->text[0] != '/')
            return false;
        if (out->n == 1)
            out->n = 0;
        size_t n = strlen(rest);
        if (out->n + n >= sizeof out->text)
            return false;
        memcpy(out->text + out->n, rest, n);
        out->n += n;
        struct file_verdict v =
            file_rules_judge_read(q->w->options.rules, pathname_str(out), &none);
        return v.kind == FILE_DENIED && v.askable;
    }
}
