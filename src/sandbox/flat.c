#include "sandbox/flat.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/mem.h"
#include "sandbox/confine.h"
#include "sandbox/landlock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 1024, WALK_FDS = 16 };

bool flat_is_needed(const struct plan *p, struct flat *f)
{
    static const enum layer tried[] = { LAYER_NAMESPACES, LAYER_NET, LAYER_MOUNT };
    *f = (struct flat){ 0 };
    if (!p->accepted[LAYER_NAMESPACES])
        return false;
    for (size_t i = 0; i < sizeof tried / sizeof *tried; i++) {
        struct layer_report report;
        layer_check(tried[i], &report);
        if (report.state != LAYER_OFF)
            continue;
        snprintf(f->why, sizeof f->why, "%s", report.why);
        return true;
    }
    return false;
}

static int needs_namespaces(struct err *e, const char *rule, const char *path)
{
    return err_set(e, E_SANDBOX, 0,
                   "layer namespaces is off and %s%s%s cannot be enforced without a mount", rule,
                   path ? ": " : "", path ? path : "");
}

/* Landlock hides what has siblings that nobody can add to; only a mount hides the rest. */
static bool landlock_hides(const struct plan *p, const char *path)
{
    for (size_t i = 0; i < p->hidden_count; i++)
        if (strcmp(p->hidden[i].path, path) == 0)
            return !p->hidden[i].parent_writable && strcmp(path, "/") != 0;
    return false;
}

static int check_mounts(const struct plan *p, struct err *e)
{
    for (size_t i = 0; i < p->mount_count; i++) {
        const struct plan_mount *m = &p->mounts[i];
        bool hides = m->kind == MOUNT_HIDE_DIRECTORY || m->kind == MOUNT_HIDE_FILE;
        /* "built-in" hides for tidiness alone. */
        bool lost = hides && strcmp(m->rule, "built-in") != 0 && !landlock_hides(p, m->path);
        if (lost || m->kind == MOUNT_BIND || m->no_exec)
            return needs_namespaces(e, m->no_exec ? "x.filesystem.noExec" : m->rule, m->path);
    }
    return 0;
}

static int check(const struct plan *p, struct err *e)
{
    const struct settings *s = p->settings;
    if (landlock_abi() == 0 || p->disabled_layers[LAYER_LANDLOCK] ||
        p->disabled_layers[LAYER_SECCOMP])
        return err_set(e, E_SANDBOX, 0,
                       "layers namespaces and landlock are both off: nothing would hold files");
    if (s->filesystem_disabled)
        return needs_namespaces(e, "filesystem.disabled (it leaves the network alone to hold)",
                                NULL);
    if (s->nested_user_namespaces)
        return needs_namespaces(e, "allowNestedUserNamespaces", NULL);
    if (s->seccomp_allow.count)
        return needs_namespaces(e, "x.seccomp.allow", NULL);
    if (p->has_ports)
        return err_set(
            e, E_SANDBOX, 0,
            "layer namespaces is off, and x.network.ports forwards to and from a network "
            "of the sandbox's own: without it, servers of the command listen on the "
            "host's loopback by themselves, and the host's servers stay out of reach; "
            "take the key out, or see postern doctor for how to get namespaces");
    return check_mounts(p, e);
}

/* The directory takes the place of the private tmpfs, in the mounts, the rules and the environment. */
static int make_tmpdir(struct flat *f, struct plan *p, struct err *e)
{
    struct plan_mount *private = NULL;
    for (size_t i = 0; i < p->mount_count; i++)
        if (p->mounts[i].kind == MOUNT_PRIVATE)
    private = &p->mounts[i];
    if (!private)
        return 0;
    struct stat st;
    snprintf(f->tmpdir, sizeof f->tmpdir, "/tmp/postern.%d.XXXXXX", getpid());
    if (!mkdtemp(f->tmpdir)) {
        f->tmpdir[0] = '\0';
        return err_set(e, E_SANDBOX, errno, "make a directory in /tmp for TMPDIR");
    }
    if (lstat(f->tmpdir, &st) < 0)
        return err_set(e, E_SANDBOX, errno, "look at '%s'", f->tmpdir);
    private->kind = MOUNT_WRITE;
    private->path = f->tmpdir;
    private->device = st.st_dev;
    private->inode = st.st_ino;
    p->tmpdir = f->tmpdir;
    p->tmpdir_missing = false;
    return 0;
}

/* What is ours alone: not the host's whole /dev, as it is with mounts. */
static int replace_private_roots(const struct flat *f, struct plan *p, struct err *e)
{
    size_t n = 0;
    struct file_rule_path *roots = arena_get(&p->arena, (CONFINE_DEVICES + 1) * sizeof *roots);
    if (!roots)
        return err_set(e, E_BUSY, 0, "too many paths");
    for (size_t i = 0; i < CONFINE_DEVICES; i++)
        roots[n++] = (struct file_rule_path){ confine_devices[i], "built-in" };
    if (f->tmpdir[0])
        roots[n++] = (struct file_rule_path){ f->tmpdir, "built-in TMPDIR" };
    p->rules.private_roots = roots;
    p->rules.private_root_count = n;
    return 0;
}

/* What the mounts of a usual run cover. Names there are no secret: the directories can be listed. */
static void hide_machine(struct plan *p)
{
    static const char *const places[] = { "/dev", "/sys/kernel/debug", "/sys/kernel/tracing",
                                          "/sys/kernel/security", "/sys/fs/bpf" };
    enum { N = sizeof places / sizeof *places };
    p->hidden = mem_grow(p->hidden, (p->hidden_count + N) * sizeof *p->hidden);
    for (size_t i = 0; i < N; i++)
        p->hidden[p->hidden_count++] = (struct plan_hidden){ .path = places[i] };
}

/* A port of the kernel's choice on 127.0.0.1. */
static int listen_somewhere(struct flat *f, enum netns_listener_kind kind, uint16_t *port,
                            struct err *e)
{
    /* Without SO_REUSEADDR and SO_REUSEPORT: nobody shares the port. */
    AUTO_FD fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
    socklen_t size = sizeof at;
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) < 0 || listen(fd, BACKLOG) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &size) < 0)
        return err_set(e, E_SANDBOX, errno, "layer net: listen on 127.0.0.1");
    *port = ntohs(at.sin_port);
    f->listeners[f->listener_count++] = (struct netns_listener){ kind, fd_take(&fd) };
    return 0;
}

int flat_prepare(struct flat *f, struct plan *p, struct err *e)
{
    if (check(p, e) < 0 || listen_somewhere(f, LISTENER_HTTP, &p->http_port, e) < 0 ||
        listen_somewhere(f, LISTENER_SOCKS, &p->socks_port, e) < 0 || make_tmpdir(f, p, e) < 0 ||
        replace_private_roots(f, p, e) < 0)
        return -1;
    hide_machine(p);
    p->flat = true;
    p->transparent = p->netns.transparent = p->resolver = p->netns.resolver = false;
    p->seccomp.without_namespaces = true;
    return 0;
}

void flat_turn_away(const struct flat *f)
{
    for (size_t i = 0; i < f->listener_count; i++)
        for (int fd; (fd = accept4(f->listeners[i].fd, NULL, NULL, SOCK_CLOEXEC)) >= 0;)
            close(fd);
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)walk;
    /* The command may have taken rights away; what still cannot be removed is left and said. */
    if (type == FTW_D || type == FTW_DNR)
        chmod(path, 0700);
    return 0;
}

static int remove_for_good(const char *path, const struct stat *st, int type, struct FTW *walk)
{
    (void)st;
    (void)type;
    (void)walk;
    return remove(path) < 0 ? errno : 0;
}

void flat_release(struct flat *f)
{
    while (f->listener_count > 0)
        fd_drop(&f->listeners[--f->listener_count].fd);
    if (!f->tmpdir[0])
        return;
    int os = nftw(f->tmpdir, remove_for_good, WALK_FDS, FTW_PHYS | FTW_MOUNT | FTW_DEPTH);
    if (os) {
        nftw(f->tmpdir, remove_entry, WALK_FDS, FTW_PHYS | FTW_MOUNT);
        os = nftw(f->tmpdir, remove_for_good, WALK_FDS, FTW_PHYS | FTW_MOUNT | FTW_DEPTH);
    }
    if (os)
        log_warn("'%s' could not be removed: %s", f->tmpdir, strerrordesc_np(os));
    f->tmpdir[0] = '\0';
}
