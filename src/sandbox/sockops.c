#include "sandbox/sockops.h"

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/pending.h"
#include "sandbox/reach.h"
#include "sandbox/tracee.h"
#include "sandbox/verdict.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <unistd.h>

static int read_address(struct request *q, uint64_t from, uint32_t length, union address *out)
{
    if (length > sizeof out->room)
        return EINVAL;
    memset(out, 0, sizeof *out);
    return length ? tracee_read(q, from, out, length) : 0;
}

static int domain_of(int socket)
{
    int domain = -1;
    socklen_t n = sizeof domain;
    return getsockopt(socket, SOL_SOCKET, SO_DOMAIN, &domain, &n) < 0 ? -1 : domain;
}

/* The path in the address, or false when it names none (abstract, or another family). */
static bool path_in(const union address *a, uint32_t length, int domain, char path[PATH_MAX])
{
    const size_t before = offsetof(struct sockaddr_un, sun_path);
    if (domain != AF_UNIX || length <= before || a->any.sa_family != AF_UNIX ||
        a->local.sun_path[0] == '\0' || length > sizeof a->local)
        return false;
    size_t n = strnlen(a->local.sun_path, length - before);
    memcpy(path, a->local.sun_path, n);
    path[n] = '\0';
    return true;
}

static bool is_listed(const struct file_rule_path *list, size_t count, struct str path)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(path, str_of(list[i].path)))
            return true;
    return false;
}

static void remember_own(struct warden *w, const struct place *at)
{
    struct stat st;
    if (fstatat(at->parent, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
        return;
    w->own_sockets[w->own_socket_next++ % OWN_SOCKETS] =
        (struct own_socket){ st.st_dev, st.st_ino };
}

static bool is_own(const struct warden *w, const struct stat *st)
{
    for (size_t i = 0; i < OWN_SOCKETS; i++)
        if (w->own_sockets[i].inode == st->st_ino && w->own_sockets[i].device == st->st_dev)
            return true;
    return false;
}

/* Contract 3.7: sockets beneath the allowed write paths, listed ones, and the command's own. */
static int judge_reach(struct request *q, const struct place *at)
{
    struct warden *w = q->w;
    const struct warden_options *o = &w->options;
    struct stat st;
    struct deed d = { .operation = FILE_WRITE, .place = at };
    int os = pathname_of(w, at->object, &d.path);
    if (os || fstat(at->object, &st) < 0)
        return os ? os : errno;
    if (!S_ISSOCK(st.st_mode) || d.path.n == 0 || d.path.text[0] != '/')
        return 0; /* nothing that connect would reach; it says why */
    struct str path = pathname_str(&d.path);
    if (o->all_unix_sockets || is_listed(o->unix_connect, o->unix_connect_count, path) ||
        is_listed(o->unix_bind, o->unix_bind_count, path) || is_own(w, &st))
        return tracee_is_there(q) ? 0 : EINTR;
    if (file_rules_place(o->rules, path) == FILE_OUTSIDE)
        return deed_refuse(q, &d, "network.allowUnixSockets");
    return deed_judge(q, &d);
}

/* Waiting in connect(2) would hold up everybody else, so a blocking socket gets a send timeout of the
 * shortest kind while we connect it. Its file flags are shared with the caller; the timeout is too,
 * but nobody sends on a socket that is not connected. */
static int connect_briefly(int socket, const struct sockaddr *address, socklen_t length)
{
    struct timeval was = { 0 };
    const struct timeval brief = { .tv_usec = 1 };
    socklen_t n = sizeof was;
    if (getsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &was, &n) < 0 ||
        setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &brief, sizeof brief) < 0)
        return errno;
    int os = connect(socket, address, length) < 0 ? errno : 0;
    if (setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &was, sizeof was) < 0 && !os)
        os = errno;
    return os;
}

/* An internet connection is made, or has failed. */
static int attempt_result(struct pending *p)
{
    int os = 0;
    socklen_t n = sizeof os;
    return getsockopt(p->source.fd, SOL_SOCKET, SO_ERROR, &os, &n) < 0 ? errno : os;
}

/* A unix socket whose listener's queue was full. */
static int attempt_local(struct pending *p)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    if (p->object >= 0) {
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d", p->object);
    } else {
        memcpy(&address, p->address, sizeof address);
    }
    int os = connect_briefly(p->source.fd, (struct sockaddr *)&address,
                             p->object >= 0 ? sizeof address : p->address_length);
    return os == EAGAIN ? PENDING_AGAIN : os;
}

int64_t sockop_deadline(int socket)
{
    struct timeval t = { 0 };
    socklen_t n = sizeof t;
    if (getsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &t, &n) < 0 ||
        (t.tv_sec == 0 && t.tv_usec == 0))
        return 0;
    return warden_now() + (int64_t)t.tv_sec * 1000000000 + (int64_t)t.tv_usec * 1000;
}

/* `object` (owned, or -1) replaces the path in the address. */
static int connect_as_caller(struct request *q, int *socket, int *object, const union address *a,
                             uint32_t length)
{
    struct sockaddr_un local = { .sun_family = AF_UNIX };
    const struct sockaddr *address = &a->any;
    if (*object >= 0) {
        snprintf(local.sun_path, sizeof local.sun_path, "/proc/self/fd/%d", *object);
        address = (const struct sockaddr *)&local;
        length = sizeof local;
    }
    int type = 0;
    socklen_t n = sizeof type;
    bool waits = !(fcntl(*socket, F_GETFL) & O_NONBLOCK) &&
                 getsockopt(*socket, SOL_SOCKET, SO_TYPE, &type, &n) == 0 && type != SOCK_DGRAM;
    if (!waits)
        return connect(*socket, address, length) < 0 ? errno : 0;
    int os = connect_briefly(*socket, address, length);
    bool is_local = a->any.sa_family == AF_UNIX;
    if (os != (is_local ? EAGAIN : EINPROGRESS))
        return os;
    struct pending later = { .q = *q,
                             .object = -1,
                             .deadline = sockop_deadline(*socket),
                             .late = EINPROGRESS,
                             .attempt = is_local ? attempt_local : attempt_result,
                             .address_length = length };
    memcpy(later.address, a, length <= sizeof later.address ? length : 0);
    later.source.fd = fd_take(socket);
    later.object = fd_take(object);
    return pending_add(&later, is_local ? 0 : EPOLLOUT | EPOLLERR | EPOLLHUP);
}

/* A socket beneath a directory that we have overlaid is another inode there than the one its owner has
 * bound: reach through to the host's. */
static int uncover(struct warden *w, struct place *at)
{
    const struct warden_options *o = &w->options;
    struct pathname path;
    struct stat st;
    struct statfs fs;
    if (!o->covered || fstatfs(at->object, &fs) < 0 || fs.f_type != OVERLAYFS_SUPER_MAGIC)
        return 0;
    int os = pathname_of(w, at->object, &path);
    if (os || !path_is_beneath(pathname_str(&path), str_of(o->covered)))
        return os;
    path.text[path.n] = '\0';
    AUTO_FD object = open_without_links(o->covered_fd, path.text + strlen(o->covered) + 1, 0);
    if (object < 0)
        return errno;
    if (fstat(object, &st) < 0 || !S_ISSOCK(st.st_mode))
        return ECONNREFUSED;
    fd_drop(&at->object);
    at->object = fd_take(&object);
    return 0;
}

int sockop_judge(struct request *q, int socket, const union address *a, uint32_t length,
                 int *object)
{
    char path[PATH_MAX];
    AUTO_PLACE at = PLACE_NONE;
    int domain = domain_of(socket);
    if (domain < 0)
        return ENOTSOCK;
    if (!path_in(a, length, domain, path))
        return reach_judge_connect(q, socket, a, length, domain);
    int os = place_find_object(q, AT_FDCWD, path, true, &at);
    if (os || at.object < 0)
        return os ? os : ENOENT;
    if ((os = judge_reach(q, &at)) != 0 || (os = uncover(q->w, &at)) != 0)
        return os;
    *object = fd_take(&at.object);
    return 0;
}

int sockop_connect(struct request *q, int socket, uint64_t address, uint32_t length)
{
    union address a;
    int os = read_address(q, address, length, &a);
    if (os)
        return os;
    AUTO_FD copy = -1;
    AUTO_FD object = -1;
    if ((os = tracee_copy_descriptor(q, socket, &copy)) != 0)
        return os;
    if (!tracee_is_there(q))
        return EINTR;
    os = sockop_judge(q, copy, &a, length, &object);
    return os ? os : connect_as_caller(q, &copy, &object, &a, length);
}

/* Removes what was bound elsewhere than it should. By now the path may lead to yet another place, where the name
 * is a file that nobody may remove; so only a socket is. */
static void take_back(struct request *q, const char *path)
{
    AUTO_PLACE at = PLACE_NONE;
    struct stat st;
    if (place_find_parent(q, AT_FDCWD, path, &at) == 0 &&
        fstatat(at.parent, at.name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISSOCK(st.st_mode))
        unlinkat(at.parent, at.name, 0);
}

/* Makes the socket's name. A caller reads its address back (getsockname), so the path is bound as it
 * is spelled, from where the caller stands. The kernel walks it once more for that; what was made must
 * then be found under the parent that was judged. Only the way through /proc/self is not the same for
 * us: there the last name is bound, from that parent. */
static int bind_name(struct request *q, int socket, const struct place *at, const char *path)
{
    struct warden *w = q->w;
    struct sockaddr_un address = { .sun_family = AF_UNIX };
    struct stat st;
    const bool as_spelled = !at->through_self && !w->options.nested_user_namespaces;
    const char *name = as_spelled ? path : at->name;
    size_t n = strlen(name);
    CHECK(n < sizeof address.sun_path); /* the path came in such an address */
    memcpy(address.sun_path, name, n);
    AUTO_FD start = -1;
    int os = as_spelled ? tracee_open_start(q, AT_FDCWD, path[0] == '/', &start) : 0;
    if (os || !tracee_is_there(q))
        return os ? os : EINTR;
    /* What is found afterwards must be what we have made. */
    if (fstatat(at->parent, at->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return EADDRINUSE;
    warden_set_umask(w, tracee_umask(q));
    if (fchdir(as_spelled ? start : at->parent) < 0)
        return errno;
    socklen_t length = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + 1);
    os = bind(socket, (struct sockaddr *)&address, length) < 0 ? errno : 0;
    if (!os && fstatat(at->parent, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        take_back(q, path); /* somebody outside has put another directory in the way */
        os = EACCES;
    }
    if (fchdir(w->start) < 0) /* where the next command is to begin */
        os = os ? os : errno;
    return os;
}

static int bind_path(struct request *q, int socket, const char *path)
{
    struct warden *w = q->w;
    AUTO_PLACE at = PLACE_NONE;
    int os = place_find_parent(q, AT_FDCWD, path, &at);
    if (os)
        return os;
    if (!at.is_plain)
        return EADDRINUSE;
    struct deed d = { .operation = FILE_CREATE, .place = &at };
    os = pathname_of_place(w, &at, &d.path);
    bool listed =
        !os && is_listed(w->options.unix_bind, w->options.unix_bind_count, pathname_str(&d.path));
    if (!os && !listed)
        os = deed_judge(q, &d);
    if (!os && d.verdict.kind != FILE_ALLOWED)
        os = deed_refuse(q, &d, d.verdict.rule);
    if (os)
        return os == EEXIST ? EADDRINUSE : os;
    if ((os = bind_name(q, socket, &at, path)) != 0)
        return os;
    if (!listed && !deed_still_stands(q, &d)) {
        unlinkat(at.parent, at.name, 0);
        return deed_refuse(q, &d, d.verdict.rule);
    }
    remember_own(w, &at);
    deed_done(q, &d);
    return 0;
}

int sockop_bind(struct request *q, int socket, uint64_t address, uint32_t length)
{
    union address a;
    char path[PATH_MAX];
    int os = read_address(q, address, length, &a);
    if (os)
        return os;
    AUTO_FD copy = -1;
    if ((os = tracee_copy_descriptor(q, socket, &copy)) != 0)
        return os;
    if (!tracee_is_there(q))
        return EINTR;
    int domain = domain_of(copy);
    if (domain < 0)
        return ENOTSOCK;
    if (path_in(&a, length, domain, path))
        return bind_path(q, copy, path);
    if ((os = reach_judge_bind(q, &a, length, domain)) != 0)
        return os;
    if (bind(copy, &a.any, length) < 0)
        return errno;
    reach_note_port(q->w, copy);
    return 0;
}

/* A socket that was never bound gets a port now; on the host's network it would listen on every
 * address of the machine. */
int sockop_listen(struct request *q, int socket, int backlog)
{
    union address a = { 0 };
    socklen_t length = sizeof a;
    AUTO_FD copy = -1;
    int os = tracee_copy_descriptor(q, socket, &copy);
    if (os)
        return os;
    if (!tracee_is_there(q))
        return EINTR;
    int domain = domain_of(copy);
    if (domain < 0)
        return ENOTSOCK;
    if (domain ==
        AF_UNIX) { /* the kernel notes who listens; nothing but numbers in the arguments */
        notify_continue(&q->w->notify, &q->call);
        return REQUEST_ANSWERED;
    }
    if (getsockname(copy, &a.any, &length) < 0)
        return errno;
    if ((os = reach_judge_bind(q, &a, length, domain)) != 0)
        return os;
    if (listen(copy, backlog) < 0)
        return errno;
    reach_note_port(q->w, copy);
    return 0;
}
