#include "sandbox/launch.h"

#include "base/fd.h"
#include "base/log.h"
#include "base/pages.h"
#include "sandbox/cgroup_scope.h"
#include "sandbox/confine.h"
#include "sandbox/init.h"
#include "sandbox/standin.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The inner ends of our sockets, until init has them. */
struct inner_ends {
    int boss, orders, report, failure, redirect;
    int ruleset; /* shared: rules are added while init builds */
};

static void inner_drop(struct inner_ends *i)
{
    fd_drop(&i->boss);
    fd_drop(&i->orders);
    fd_drop(&i->report);
    fd_drop(&i->failure);
    fd_drop(&i->redirect);
    fd_drop(&i->ruleset);
}

static int make_pair(int type, int *ours, int *theirs, struct err *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, E_SANDBOX, errno, "make a socket pair");
    *ours = pair[0];
    *theirs = pair[1];
    return 0;
}

/* Most commands never use the network, and the kernel takes a millisecond for the rules. So they are made
 * when the warden sees the first socket that could need them, unless somebody must know now. */
static bool redirect_can_wait(const struct plan *p)
{
    return p->transparent && p->seccomp.notify && !p->flat && !p->required[LAYER_TRANSPARENT] &&
           !p->disabled_layers[LAYER_SECCOMP] && !p->disabled_layers[LAYER_NET];
}

static int make_sockets(struct launch *l, const struct plan *p, struct inner_ends *inner,
                        struct err *e)
{
    int failure[2];
    if (redirect_can_wait(p) && make_pair(SOCK_SEQPACKET, &l->redirect, &inner->redirect, e) < 0)
        return -1;
    if (make_pair(SOCK_SEQPACKET, &l->boss, &inner->boss, e) < 0 ||
        make_pair(SOCK_SEQPACKET, &l->orders, &inner->orders, e) < 0 ||
        make_pair(SOCK_SEQPACKET, &l->report, &inner->report, e) < 0)
        return -1;
    if (pipe2(failure, O_CLOEXEC) < 0)
        return err_set(e, E_SANDBOX, errno, "make a pipe");
    l->failure = failure[0];
    inner->failure = failure[1];
    int room = 1 << 20; /* as much as the host grants: a burst of denials should not be dropped */
    setsockopt(inner->report, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
    /* The warden never waits for us: a full queue drops reports and counts them. */
    if (fcntl(inner->report, F_SETFL, O_NONBLOCK) < 0 || fcntl(l->report, F_SETFL, O_NONBLOCK) < 0)
        return err_set(e, E_SANDBOX, errno, "prepare a socket");
    return 0;
}

/* What a missing right to make namespaces means, and its cure (contract 11). */
static int explain_clone(int os, struct err *e)
{
    static const char *const cures[] = {
        "user namespaces are refused here: by AppArmor (see postern doctor), a container's seccomp "
        "profile, or kernel.unprivileged_userns_clone=0",
        "no more user namespaces: raise user.max_user_namespaces",
    };
    err_set(e, E_SANDBOX, os,
            "layer namespaces: %s; or run without them: --allow-degraded=namespaces",
            os == ENOSPC || os == EUSERS ? cures[1] : cures[0]);
    return -1;
}

/* Born in its v2 group where the kernel can do that (5.7), else moved later. */
static long clone_into(struct launch *l, struct clone_args *how)
{
    AUTO_FD group = cgroup_open(&l->cgroup);
    if (group >= 0) {
        struct clone_args into = *how;
        into.flags |= CLONE_INTO_CGROUP;
        into.cgroup = (uint64_t)group;
        long pid = syscall(SYS_clone3, &into, sizeof into);
        if (pid >= 0) {
            l->inside_v2 = true;
            return pid;
        }
    }
    return syscall(SYS_clone3, how, sizeof *how);
}

static int clone_init(struct launch *l, const struct launch_request *r,
                      const struct seccomp_program *filter, struct inner_ends *inner, struct err *e)
{
    uint64_t spaces = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                      CLONE_NEWUTS | CLONE_NEWCGROUP;
    if (r->plan->disabled_layers[LAYER_NET])
        spaces &= ~(uint64_t)CLONE_NEWNET;
    /* The user and the mount namespace stay: layers mount and net are made in them. */
    if (r->plan->disabled_layers[LAYER_NAMESPACES])
        spaces &= CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET;
    int pidfd = -1;
    struct standin standin;
    l->standin = !r->flat && standin_is_needed();
    if (l->standin && standin_put_on(&standin, e) < 0)
        return err_while(e, "layer namespaces");
    struct clone_args how = { .flags = spaces | CLONE_PIDFD,
                              .pidfd = (uint64_t)(uintptr_t)&pidfd,
                              .exit_signal = SIGCHLD };
    struct init_setup setup = { .plan = r->plan,
                                .filter = filter,
                                .first = r->first,
                                .uid = geteuid(),
                                .gid = getegid(),
                                .standin = l->standin,
                                .terminal = r->terminal,
                                .report_allowed = r->report_allowed,
                                .boss = inner->boss,
                                .orders = inner->orders,
                                .report = inner->report,
                                .failure = inner->failure,
                                .redirect = inner->redirect,
                                .ruleset = inner->ruleset };
    /* Container profiles that refuse namespaces refuse clone3 as a whole. */
    long pid = r->flat ? fork() : clone_into(l, &how);
    int os = errno;
    if (pid != 0 && l->standin)
        standin_take_off(&standin);
    if (pid < 0)
        return r->flat ? err_set(e, E_SANDBOX, os, "start the sandbox") : explain_clone(os, e);
    if (pid == 0)
        pages_see();
    if (pid == 0 && r->flat)
        flat_main(&setup);
    if (pid == 0)
        init_main(&setup);
    l->init = (pid_t)pid;
    l->pidfd = r->flat ? (int)syscall(SYS_pidfd_open, pid, 0) : pidfd;
    if (l->pidfd >= 0)
        return 0;
    err_set(e, E_SANDBOX, errno, "watch the sandbox");
    kill(l->init, SIGKILL);
    waitpid(l->init, NULL, 0);
    return -1;
}

static int begin_groups(struct launch *l, const struct launch_request *r, struct err *e)
{
    char name[64];
    uint32_t random = 0;
    if (r->plan->disabled_layers[LAYER_CGROUP])
        return 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random)
        return err_set(e, E_SANDBOX, errno, "take a random name");
    snprintf(name, sizeof name, CGROUP_PREFIX "%d.%08x", getpid(), random);
    if (cgroup_begin(&l->cgroup, name, e) < 0)
        return err_while(e, "layer cgroup");
    l->cgroup_made = true;
    return 0;
}

/* The last place but one (contract 4.1): what we could make by ourselves limits nothing. Nobody is in it
 * yet, because init is born in groups with limits only. */
static void ask_systemd(struct launch *l, const struct plan *p)
{
    struct err e;
    char name[sizeof l->cgroup.name];
    memcpy(name, l->cgroup.name, sizeof name);
    cgroup_remove(&l->cgroup);
    if (cgroup_scope_make(&l->cgroup, name, l->init, &p->limits, getenv("XDG_RUNTIME_DIR"), &e) < 0)
        log_warn("x.limits.useSystemd: %s", e.text);
    else
        l->inside_v2 = true;
}

static int finish_groups(struct launch *l, const struct launch_request *r, struct err *e)
{
    const struct cgroup *c = &l->cgroup;
    if (l->cgroup_made && cgroup_finish(&l->cgroup, &r->plan->limits, e) < 0)
        return err_while(e, "layer cgroup");
    if (l->cgroup_made && r->plan->settings->limits.use_systemd && !c->memory && !c->pids)
        ask_systemd(l, r->plan);
    return 0;
}

static void take_degraded(struct launch *l, const struct boss_message *m)
{
    if (m->number < 0 || m->number >= LAYERS)
        return;
    char *why = l->degraded_why[m->number];
    const size_t n = l->degraded[m->number] ? strlen(why) : 0, room = sizeof l->degraded_why[0];
    l->degraded[m->number] = true;
    snprintf(why + n, room - n, "%s%.*s", n ? "; " : "", (int)m->length, m->body);
}

static void degrade(struct launch *l, enum layer layer, const char *why, const char *more)
{
    const int room = (int)(sizeof l->degraded_why[0] - strlen(more) - 1);
    l->degraded[layer] = true;
    snprintf(l->degraded_why[layer], sizeof l->degraded_why[0], "%.*s%s", room, why, more);
}

/* Without the redirect the addresses that they give out lead nowhere: queries are refused at once. */
static void drop_resolver_listeners(struct launch *l)
{
    size_t kept = 0;
    for (size_t i = 0; i < l->listener_count; i++) {
        struct netns_listener *n = &l->listeners[i];
        if (n->kind == LISTENER_DNS_UDP || n->kind == LISTENER_DNS_TCP)
            fd_drop(&n->fd);
        else
            l->listeners[kept++] = *n;
    }
    l->listener_count = kept;
}

/* At once, or when launch_redirect asks for it. */
static void redirect(struct launch *l, const struct plan *p)
{
    struct err why;
    if (netns_redirect(&p->netns, l->listeners, l->listener_count, &l->control, &why) < 0) {
        degrade(l, LAYER_TRANSPARENT, why.text, "");
        drop_resolver_listeners(l);
    }
    netns_control_drop(&l->control);
}

bool launch_redirect(struct launch *l, const struct plan *p)
{
    const bool was = l->degraded[LAYER_TRANSPARENT];
    if (l->redirect < 0)
        return false;
    if (l->control.netfilter >= 0)
        redirect(l, p);
    if (send(l->redirect, "", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug("redirect: %s", strerrordesc_np(errno)); /* the sandbox has just ended */
    fd_drop(&l->redirect);
    return !was && l->degraded[LAYER_TRANSPARENT];
}

/* One message while the inside is being built. 1 = go on, -1 = it failed. */
static int take_building(struct launch *l, const struct launch_request *r, bool *ready,
                         struct err *e)
{
    struct boss_message m;
    int fds[BOSS_FDS_MAX];
    size_t fd_count;
    if (boss_receive(l->boss, &m, fds, &fd_count, e) < 0)
        return err_set(e, E_SANDBOX, 0, "the sandbox ended while it was being built");
    if (m.kind == BOSS_LISTENERS && m.length == fd_count && fd_count <= NETNS_LISTENERS_MAX) {
        for (size_t i = 0; i < fd_count; i++)
            l->listeners[i] =
                (struct netns_listener){ (enum netns_listener_kind)m.body[i], fds[i] };
        l->listener_count = fd_count;
        return 1;
    }
    if (m.kind == BOSS_PORTS)
        return ports_take(r->ports, &m, fds, fd_count, e) < 0 ? -1 : 1;
    if (m.kind == BOSS_CONTROL && fd_count == 2) {
        l->control = (struct netns_control){ fds[0], fds[1] };
        if (l->redirect < 0)
            redirect(l, r->plan);
        return 1;
    }
    if (m.kind == BOSS_PTY && fd_count == 1) {
        l->pty = fds[0];
        return 1;
    }
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
    *ready = m.kind == BOSS_READY;
    if (*ready)
        return 1;
    if (m.kind == BOSS_DEGRADED)
        return take_degraded(l, &m), 1;
    if (m.kind == BOSS_FAILED) {
        err_set(e, E_SANDBOX, 0, "%.*s", (int)m.length, m.body);
        e->os = m.number;
        return -1;
    }
    return err_set(e, E_BUG, 0, "unexpected message %u while building", m.kind);
}

/* A receiver that has ended is no failure here: it has said why, a warden on the failure pipe, init on
 * its socket. */
static int send_order(int socket, const struct boss_message *m, const int *fds, size_t fd_count,
                      struct err *e)
{
    if (boss_send(socket, m, fds, fd_count, e) == 0)
        return 0;
    return e->os == EPIPE || e->os == ECONNRESET ? 0 : -1;
}

/* Lets init in to its groups and start the warden, once it has built the inside. */
static int enter(struct launch *l, struct err *e)
{
    const struct cgroup *c = &l->cgroup;
    struct boss_message m = { .kind = BOSS_ENTER,
                              .number = (c->memory ? 0 : BOSS_NO_MEMORY_GROUP) |
                                        (c->pids ? 0 : BOSS_NO_PIDS_GROUP) |
                                        (c->cpu ? 0 : BOSS_NO_CPU_GROUP) };
    int doors[CGROUP_PLACES];
    size_t count = 0;
    if (cgroup_doors(c, l->inside_v2, doors, &count, e) < 0)
        return err_while(e, "layer cgroup");
    int result = send_order(l->boss, &m, doors, count, e);
    while (count)
        close(doors[--count]);
    return result;
}

static int order(struct launch *l, enum boss_kind kind, struct err *e)
{
    struct boss_message m = { .kind = kind };
    return send_order(l->orders, &m, NULL, 0, e);
}

static int build(struct launch *l, const struct launch_request *r, struct inner_ends *inner,
                 struct err *e)
{
    AUTO_FD ruleset = fd_take(&inner->ruleset);
    inner_drop(inner); /* so that the end of init is the end of our sockets */
    bool ready = false;
    if (finish_groups(l, r, e) < 0 || enter(l, e) < 0 ||
        confine_allow_host(r->plan, ruleset, e) < 0 || order(l, BOSS_RULES, e) < 0)
        return -1;
    while (!ready)
        if (take_building(l, r, &ready, e) < 0)
            return -1;
    if (l->degraded[LAYER_TRANSPARENT]) /* it could not even be begun */
        drop_resolver_listeners(l);
    return 0;
}

int launch_go(struct launch *l, struct err *e)
{
    return order(l, BOSS_GO, e);
}

/* A run without namespaces brings its listeners along; what it lacks is said each time. */
static int take_flat(struct launch *l, const struct flat *f, struct err *e)
{
    l->flat = true;
    for (size_t i = 0; i < f->listener_count; i++) {
        int fd = fcntl(f->listeners[i].fd, F_DUPFD_CLOEXEC, 3);
        if (fd < 0)
            return err_set(e, E_SANDBOX, errno, "hand the listeners on");
        l->listeners[l->listener_count++] = (struct netns_listener){ f->listeners[i].kind, fd };
    }
    degrade(l, LAYER_NAMESPACES, f->why, "; processes and IPC of the host can be seen");
    degrade(l, LAYER_NET,
            "the host's network; only the filter and the warden keep the command off it", "");
    degrade(l, LAYER_MOUNT, "no mounts; files are held by Landlock and by name alone", "");
    return 0;
}

int launch_start(struct launch *l, const struct launch_request *r, struct err *e)
{
    *l = LAUNCH_NONE;
    CLEANUP(inner_drop) struct inner_ends inner = { -1, -1, -1, -1, -1, -1 };
    /* A caller that ignores SIGCHLD would have us and init never learn of an end. */
    struct sigaction usual = { .sa_handler = SIG_DFL };
    struct seccomp_program filter;
    if (sigaction(SIGCHLD, &usual, NULL) < 0)
        return err_set(e, E_SANDBOX, errno, "watch children");
    if (seccomp_program_get(&r->plan->seccomp, &filter, e) < 0)
        return -1;
    int result =
        (r->flat && take_flat(l, r->flat, e) < 0) || make_sockets(l, r->plan, &inner, e) < 0 ||
                confine_open(r->plan, &inner.ruleset, e) < 0 || begin_groups(l, r, e) < 0 ||
                clone_init(l, r, &filter, &inner, e) < 0 || build(l, r, &inner, e) < 0
            ? -1
            : 0;
    seccomp_program_release(&filter);
    if (l->standin)
        degrade(l, LAYER_NAMESPACES, STANDIN_WHY, "");
    if (result < 0)
        launch_end(l);
    return result;
}

int launch_failure(struct launch *l, struct command_failure *out)
{
    if (l->failure < 0)
        return 0;
    ssize_t n;
    do
        n = read(l->failure, out, sizeof *out);
    while (n < 0 && errno == EINTR);
    fd_drop(&l->failure);
    out->text[sizeof out->text - 1] = '\0';
    return n == (ssize_t)sizeof *out;
}

int launch_command(struct launch *l, const struct command *c, int failure, uint32_t *tag,
                   struct err *e)
{
    AUTO_FD image = command_image(c, e);
    if (image < 0)
        return -1;
    int fds[5] = { image, c->stdio[0], c->stdio[1], c->stdio[2], failure };
    struct boss_message m = { .kind = BOSS_COMMAND, .tag = ++l->next_tag };
    *tag = m.tag;
    return boss_send(l->orders, &m, fds, 5, e);
}

int launch_signal(struct launch *l, pid_t pid, int number, struct err *e)
{
    struct boss_message m = { .kind = BOSS_SIGNAL, .number = number, .tag = (uint32_t)pid };
    return boss_offer(l->boss, &m, e);
}

void launch_kill(const struct launch *l)
{
    /* The keeper ends the rest before itself; init takes the rest with it. */
    syscall(SYS_pidfd_send_signal, l->pidfd, l->flat ? SIGTERM : SIGKILL, NULL, 0);
    if (l->flat)
        syscall(SYS_pidfd_send_signal, l->pidfd, SIGCONT, NULL, 0);
    if (l->standin)
        shutdown(l->boss, SHUT_RDWR); /* root without CAP_KILL: init ends with its socket, too */
}

void launch_end(struct launch *l)
{
    if (l->pidfd >= 0 && l->init > 0) {
        siginfo_t info;
        launch_kill(l);
        while (waitid(P_PIDFD, (id_t)l->pidfd, &info, WEXITED) < 0 && errno == EINTR)
            continue;
        l->init = 0;
    }
    fd_drop(&l->pidfd);
    fd_drop(&l->boss);
    fd_drop(&l->orders);
    fd_drop(&l->report);
    fd_drop(&l->failure);
    fd_drop(&l->pty);
    fd_drop(&l->redirect);
    netns_control_drop(&l->control);
    for (size_t i = 0; i < l->listener_count; i++)
        fd_drop(&l->listeners[i].fd);
    l->listener_count = 0;
    if (l->cgroup_made)
        cgroup_remove(&l->cgroup);
    l->cgroup_made = false;
}
