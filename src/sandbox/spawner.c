#include "sandbox/spawner.h"

#include "base/check.h"
#include "base/fd.h"
#include "sandbox/boss.h"
#include "sandbox/capabilities.h"
#include "sandbox/confine.h"
#include "sandbox/init.h"
#include "sandbox/landlock.h"
#include "sandbox/part.h"
#include "sandbox/warden.h"

#include <errno.h>
#include <linux/capability.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>

struct spawner {
    const struct spawner_setup *setup;
    int orders;
};

static void answer(const struct spawner *s, enum boss_kind kind, int number, uint32_t tag,
                   const char *text)
{
    struct boss_message m = { .kind = kind, .number = number, .tag = tag };
    struct err e;
    m.length = (uint32_t)snprintf(m.body, sizeof m.body, "%s", text);
    if (m.length >= sizeof m.body)
        m.length = sizeof m.body - 1;
    if (boss_send(s->orders, &m, NULL, 0, &e) < 0)
        _exit(125); /* the supervisor is gone, and the sandbox ends with it */
}

/* Starts one command that the supervisor asked for, and wards it. */
static void obey(struct spawner *s, struct warden *w, const struct boss_message *m, const int *fds,
                 size_t fd_count)
{
    struct err e = { 0 };
    struct command c;
    AUTO_FREE char *text = NULL;
    pid_t pid = 0;
    int listener = -1;
    if (m->kind != BOSS_COMMAND || fd_count != 5) {
        answer(s, BOSS_REFUSED, EBADMSG, m->tag, "not an order");
        return;
    }
    /* fds: image, stdin, stdout, stderr, failure pipe of this command */
    if (command_from_image(fds[0], &c, &text, &e) < 0) {
        answer(s, BOSS_REFUSED, e.os, m->tag, e.text);
        return;
    }
    int result = 0;
    for (int i = 0; i < 3 && result == 0; i++)
        result = warden_note_descriptor(w, c.stdio[i] = fds[i + 1], &e);
    c.own_session = true;
    warden_make_ready(w);
    if (result == 0)
        result =
            command_start(s->setup->plan, s->setup->filter, &c, fds[4], -1, &pid, &listener, &e);
    free((void *)c.argv);
    free((void *)c.environment);
    if (result == 0 && listener >= 0 && warden_add(w, listener, &e) < 0)
        result = -1; /* its notified calls fail with ENOSYS: it can do no harm */
    if (result < 0)
        answer(s, BOSS_REFUSED, e.os, m->tag, e.text);
    else
        answer(s, BOSS_STARTED, pid, m->tag, "");
}

static void on_order(struct warden *w, void *ctx)
{
    struct spawner *s = ctx;
    struct boss_message m;
    struct err e = { 0 };
    int fds[BOSS_FDS_MAX];
    size_t fd_count;
    int got = boss_receive(s->orders, &m, fds, &fd_count, &e);
    if (got < 0)
        _exit(0); /* the supervisor has ended: so does everything inside */
    if (got > 0)
        obey(s, w, &m, fds, fd_count);
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
}

/* With setup->life: one descriptor for its events and for orders. */
static void on_either(struct warden *w, void *ctx)
{
    struct spawner *s = ctx;
    const struct spawner_life *life = s->setup->life;
    struct pollfd polls[] = { { .fd = s->orders, .events = POLLIN },
                              { .fd = life->events, .events = POLLIN } };
    if (poll(polls, 2, 0) < 0)
        return; /* EINTR: we are called again */
    if (polls[1].revents)
        life->on_event(life->ctx, *s->setup->first_pid);
    if (polls[0].revents)
        on_order(w, s);
}

static int serve(struct spawner *s, struct warden *w, struct err *e)
{
    const struct spawner_life *life = s->setup->life;
    if (!life)
        return warden_run(w, s->orders, on_order, s, e);
    AUTO_FD both = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = { .events = EPOLLIN };
    if (both < 0 || epoll_ctl(both, EPOLL_CTL_ADD, s->orders, &event) < 0 ||
        epoll_ctl(both, EPOLL_CTL_ADD, life->events, &event) < 0)
        return err_set(e, E_SANDBOX, errno, "wait for orders");
    if (warden_run(w, both, on_either, s, e) < 0)
        return -1;
    life->on_last(life->ctx, *s->setup->first_pid);
    return 0;
}

static void wait_for_order(int orders, enum boss_kind kind)
{
    if (boss_wait(orders, kind) < 0)
        _exit(0); /* the supervisor has ended: so does everything inside */
}

int spawner_wait_for_rules(const struct plan *p, int ruleset, int orders, struct err *e)
{
    if (confine_allow_inside(p, ruleset, e) < 0)
        return -1;
    wait_for_order(orders, BOSS_RULES);
    return 0;
}

static int confine(const struct spawner_setup *setup, struct err *e)
{
    if (confine_warden(setup->plan, setup->ruleset, e) < 0)
        return -1;
    if (setup->ruleset >= 0)
        close(setup->ruleset);
    if (!setup->plan->disabled_layers[LAYER_CAPABILITIES] &&
        capabilities_drop(1ull << CAP_SYS_PTRACE, e) < 0)
        return -1;
    if (prctl(PR_SET_DUMPABLE, part_is_off(PART_DUMPABLE)) < 0)
        return err_set(e, E_SANDBOX, errno, "close the warden to inspection");
    return 0;
}

static int make_warden(const struct spawner_setup *setup, struct warden **out, struct err *e)
{
    const struct plan *p = setup->plan;
    struct stat covers = { 0 }, scratch = { 0 };
    if (p->seccomp.every_open && !p->flat && !p->disabled_layers[LAYER_MOUNT] &&
        (stat("/dev", &covers) < 0 || stat("/dev/shm", &scratch) < 0))
        return err_set(e, E_SANDBOX, errno, "look at /dev");
    static const struct landlock_wants unix_rights = { .files = LL_RESOLVE_UNIX };
    struct warden_options options = {
        .rules = &p->rules,
        .unix_connect = p->unix_connect,
        .unix_bind = p->unix_bind,
        .unix_connect_count = p->unix_connect_count,
        .unix_bind_count = p->unix_bind_count,
        .all_unix_sockets = p->settings->all_unix_sockets,
        .unix_datagrams = landlock_granted(landlock_abi(), unix_rights).files != 0,
        .unseen_datagrams = p->seccomp.allow != NULL,
        .host_network = p->flat,
        .network = p->flat ? NULL : &p->netns,
        .forwards = p->settings->ports_out,
        .forward_count = p->settings->ports_out_count,
        .proxy_ports = { p->http_port, p->socks_port },
        .covered = setup->covered,
        .covered_fd = setup->covered_fd,
        .redirect = setup->redirect,
        .foreign_proc = setup->foreign_proc,
        .judge_reads = p->seccomp.every_open,
        .ask_files = p->ask_files,
        .own_devices = { covers.st_dev, scratch.st_dev },
        .nested_user_namespaces = p->settings->nested_user_namespaces,
        .no_setid = p->settings->no_setid,
        .disk_quota = p->settings->limits.disk_quota,
        .report = setup->report,
        .report_allowed = setup->report_allowed,
    };
    return warden_new(&options, out, e);
}

static int start_first(const struct spawner_setup *setup, struct warden *w, struct err *e)
{
    const struct command *first = setup->first;
    int listener = -1;
    for (int i = 0; i < 3; i++)
        if (warden_note_descriptor(w, first->stdio[i] < 0 ? i : first->stdio[i], e) < 0)
            return -1;
    if (command_start(setup->plan, setup->filter, first, setup->failure, setup->orders,
                      setup->first_pid, &listener, e) < 0)
        return -1;
    if (first->terminal)
        close(first->stdio[0]);
    return listener >= 0 ? warden_add(w, listener, e) : 0;
}

int spawner_run(const struct spawner_setup *setup, struct err *e)
{
    struct spawner s = { setup, setup->orders };
    const struct plan *p = setup->plan;
    CHECK(p->flat || p->disabled_layers[LAYER_NAMESPACES] || gettid() == SECCOMP_WARDEN_PID);
    struct warden *w = NULL;
    if (confine(setup, e) < 0 || make_warden(setup, &w, e) < 0)
        return -1;
    if (!setup->first)
        wait_for_order(s.orders, BOSS_GO);
    else if (start_first(setup, w, e) < 0)
        return -1;
    close(setup->failure);
    if (stdio_drop(e) < 0)
        return -1;
    return serve(&s, w,
                 e); /* what it has used goes with the process, which has nothing more to do */
}
