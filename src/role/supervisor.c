#include "role/supervisor.h"

#include "base/buf.h"
#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/pages.h"
#include "proto/json.h"
#include "role/asking.h"
#include "role/denials.h"
#include "role/frame.h"
#include "role/granting.h"
#include "role/layering.h"
#include "role/overrun.h"
#include "role/record.h"
#include "role/signalling.h"
#include "role/steering.h"
#include "sandbox/egress_process.h"
#include "sandbox/env.h"
#include "sandbox/launch.h"
#include "sandbox/pty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

/* UNREADABLE: contract 1.2, for a control channel that fails. */
enum { UNREADABLE_GRACE_MS = 2000, WALL_GRACE_MS = 5000, DRAIN_MS = 2000, POLLS_MAX = 48 };

struct supervisor {
    const struct supervision *asked;
    struct launch launch;
    struct ports ports; /* of x.network.ports, until the proxy has them */
    struct egress_process proxy;
    bool proxy_failed;
    struct record record;
    struct denials denials;
    struct watch watch;
    struct asking *asking;
    struct granting *granting; /* NULL: nobody is asked about files */
    struct steering *steering; /* --control-fd */
    struct pty *pty;
    struct signalling signals;
    bool ended;  /* the first command has ended */
    bool failed; /* the sandbox has, and has said why */
    int wait_status;
    struct rusage usage;
    int64_t wall_at, wall_kill_at; /* 0 = none */
    bool wall_hit, disk_hit;
    bool has_pages; /* see pages.h */
};

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void kill_everything(struct supervisor *s)
{
    launch_kill(&s->launch);
}

/* Before the proxy has the listeners, and whenever the warden asks for it. */
static void redirect(struct supervisor *s)
{
    if (launch_redirect(&s->launch, s->asked->plan))
        record_degraded(&s->record, LAYER_TRANSPARENT, s->launch.degraded_why[LAYER_TRANSPARENT],
                        s->asked->plan->accepted[LAYER_TRANSPARENT]);
}

static void start_proxy(struct supervisor *s)
{
    const struct supervision *a = s->asked;
    struct err e;
    redirect(s);
    struct egress_start how = {
        .program = a->engine,
        .settings = steering_settings(s->steering, a),
        .profile = a->profile,
        .token = a->token,
        .ask = asking_is_possible(s->asking),
        .strict = a->strict,
        .transparent = a->plan->transparent && !s->launch.degraded[LAYER_TRANSPARENT],
        .listeners = s->launch.listeners,
        .listener_count = s->launch.listener_count,
        .ports = &s->ports,
        .environment = a->environment,
    };
    log_debug("egress proxy: started for the first connection");
    if (egress_process_start(&s->proxy, &how, &e) < 0) {
        record_degraded(&s->record, LAYER_PROXY, e.text, true);
        s->proxy_failed = true;
    }
    /* The proxy has its own copies now; a refused connection is clearer than one that hangs. */
    for (size_t i = 0; i < s->launch.listener_count; i++)
        fd_drop(&s->launch.listeners[i].fd);
    s->launch.listener_count = 0;
    ports_release(&s->ports);
}

static void take_net(struct supervisor *s, const struct json *frame)
{
    const char *host = frame_text(frame, "host"), *method = frame_text(frame, "method");
    const char *decision = frame_text(frame, "decision");
    struct watch_process who;
    bool denied = !decision || strcmp(decision, "allow") != 0;
    uint16_t client = frame_port(frame, "client_port");
    bool known = denied && client && watch_port_owner(&s->watch, client, now_ms(), &who);
    struct net_report report = {
        .denied = denied,
        .host = host ? host : "",
        .method = method ? method : "",
        .rule = frame_text(frame, "rule"),
        .reason = frame_text(frame, "reason"),
        .violation = frame_text(frame, "violation"),
        .port = frame_port(frame, "port"),
        .who = known ? &who : NULL,
    };
    record_net(&s->record, &report);
}

static void take_frame(void *ctx, struct str text)
{
    struct supervisor *s = ctx;
    struct err e;
    AUTO_JSON frame = NULL;
    if (json_parse(text, &frame, &e) < 0) {
        log_debug("egress proxy: a frame that is no JSON: %s", e.text);
        return;
    }
    const char *kind = frame_text(frame, "t");
    if (!kind)
        return;
    if (strcmp(kind, "net") == 0) {
        take_net(s, frame);
    } else if (strcmp(kind, "ask") == 0 || strcmp(kind, "cancel") == 0) {
        asking_frame(s->asking, frame, &s->watch, now_ms());
    } else if (strcmp(kind, "totals") == 0) {
        s->record.bytes_out = frame_number(frame, "bytes_out");
        s->record.bytes_in = frame_number(frame, "bytes_in");
        s->record.connections = frame_number(frame, "connections");
    }
}

static void serve_proxy(struct supervisor *s)
{
    struct err e;
    struct str json;
    if (egress_process_ready(&s->proxy, &e) < 0) {
        record_degraded(&s->record, LAYER_PROXY, e.text, true);
        s->proxy_failed = true;
        return;
    }
    while (egress_process_next(&s->proxy, &json))
        take_frame(s, json);
}

/* Messages of init: everything about the command's life. False when nothing more is to be waited for. */
static bool read_boss(struct supervisor *s)
{
    struct boss_message m;
    struct err e;
    int fds[BOSS_FDS_MAX];
    size_t fd_count;
    if (boss_receive(s->launch.boss, &m, fds, &fd_count, &e) < 0)
        return false;
    for (size_t i = 0; i < fd_count; i++)
        close(fds[i]);
    if (m.kind == BOSS_EXITED && m.tag == 0) {
        s->ended = true;
        s->wait_status = m.number;
        s->usage = m.usage;
    } else if (m.kind == BOSS_COVERED) {
        record_covered(&s->record, (struct str){ m.body, m.length });
    } else if (m.kind == BOSS_FAILED) {
        log_error("%.*s", (int)m.length, m.body);
        s->failed = true;
    }
    /* With the first command init ends too: what is left to do can be done meanwhile. */
    return !s->ended || s->asked->flat || s->asked->plan->settings->last_process;
}

static void take_report(struct supervisor *s, struct warden_report *report)
{
    report->call[sizeof report->call - 1] = report->rule[sizeof report->rule - 1] = '\0';
    report->argv0[sizeof report->argv0 - 1] = '\0';
    record_call(&s->record, report);
}

static void take_wish(struct supervisor *s, struct wish *wish, int process)
{
    wish->call[sizeof wish->call - 1] = wish->argv0[sizeof wish->argv0 - 1] = '\0';
    wish->path[sizeof wish->path - 1] = '\0';
    granting_take(s->granting, wish, process, now_ms());
}

static void take_excess(struct supervisor *s, const struct warden_excess *excess)
{
    if (!s->disk_hit)
        overrun_of_quota(&s->record, excess);
    s->disk_hit = true;
    kill_everything(s);
}

/* Reports, wishes and the end of the warden's patience, told apart by their size. */
static void read_reports(struct supervisor *s)
{
    union {
        struct warden_report report;
        struct wish wish;
        struct warden_excess excess;
    } m;
    for (int i = 0; i < 256; i++) { /* the rest waits for the next turn of the loop */
        int fd;
        ssize_t n = wish_receive(s->launch.report, &m, sizeof m, &fd);
        if (n == 0) {
            fd_drop(&s->launch.report);
            return;
        }
        if (n == (ssize_t)sizeof m.wish && s->granting)
            take_wish(s, &m.wish, fd_take(&fd));
        else if (n == (ssize_t)sizeof m.report)
            take_report(s, &m.report);
        else if (n == (ssize_t)sizeof m.excess)
            take_excess(s, &m.excess);
        fd_drop(&fd);
        if (n < 0)
            return;
    }
}

static int64_t earlier(int64_t a, int64_t b)
{
    if (a < 0)
        return b;
    return b < 0 || a < b ? a : b;
}

static int poll_timeout(const struct supervisor *s, int64_t now)
{
    int64_t at = earlier(audit_deadline(s->record.audit), denials_deadline(&s->denials));
    at = earlier(at, asking_deadline(s->asking));
    at = earlier(at, s->wall_kill_at ? s->wall_kill_at : s->wall_at ? s->wall_at : -1);
    if (at < 0)
        return -1;
    return at <= now ? 0 : at - now > 60000 ? 60000 : (int)(at - now);
}

static void run_timers(struct supervisor *s, int64_t now)
{
    denials_tick(&s->denials, &s->record, now);
    audit_tick(s->record.audit);
    asking_tick(s->asking, now);
    if (s->wall_kill_at && now >= s->wall_kill_at) {
        kill_everything(s);
        s->wall_kill_at = s->wall_at = 0;
    } else if (s->wall_at && now >= s->wall_at && !s->wall_hit) {
        s->wall_hit = true;
        record_limit(&s->record, LIMIT_WALL, 1, "the command has had its time");
        signalling_send(&s->signals, SIGTERM);
        s->wall_kill_at = now + WALL_GRACE_MS;
    }
}

/* Who is polled for what; filled anew each turn, so interest is computed in one place. */
enum poll_owner {
    P_SIGNALS,
    P_BOSS,
    P_REPORT,
    P_REDIRECT,
    P_PROXY,
    P_LISTENER,
    P_ASKING,
    P_STEERING,
    P_DENIALS,
    P_PTY
};

struct polls {
    struct pollfd fds[POLLS_MAX];
    enum poll_owner owner[POLLS_MAX];
    nfds_t count, pty_at;
};

static void want(struct polls *p, enum poll_owner owner, int fd, short events)
{
    if (fd < 0 || events == 0 || p->count == POLLS_MAX - PTY_POLLS)
        return;
    p->fds[p->count] = (struct pollfd){ .fd = fd, .events = events };
    p->owner[p->count++] = owner;
}

static void fill_polls(struct supervisor *s, struct polls *p)
{
    p->count = 0;
    want(p, P_SIGNALS, s->signals.fd, POLLIN);
    want(p, P_BOSS, s->launch.boss, POLLIN);
    want(p, P_REPORT, s->launch.report, POLLIN);
    want(p, P_REDIRECT, s->launch.redirect, POLLIN);
    if (s->proxy.running)
        want(p, P_PROXY, egress_process_fd(&s->proxy), egress_process_events(&s->proxy));
    else if (!s->proxy_failed)
        for (size_t i = 0; i < s->launch.listener_count; i++)
            want(p, P_LISTENER, s->launch.listeners[i].fd, POLLIN);
    for (size_t i = 0; s->asked->flat && s->proxy_failed && i < s->asked->flat->listener_count; i++)
        want(p, P_LISTENER, s->asked->flat->listeners[i].fd, POLLIN);
    want(p, P_LISTENER, ports_fd(&s->ports), POLLIN); /* gone once the proxy has the sockets */
    want(p, P_ASKING, asking_fd(s->asking), asking_events(s->asking));
    want(p, P_STEERING, steering_fd(s->steering), POLLIN);
    want(p, P_DENIALS, denials_fd(&s->denials), POLLIN);
    p->pty_at = p->count;
    if (!s->pty)
        return;
    pty_polls(s->pty, p->fds + p->count);
    for (size_t i = 0; i < PTY_POLLS; i++)
        p->owner[p->count++] = P_PTY;
}

/* One turn of the loop. False when the sandbox is gone. */
static bool turn(struct supervisor *s)
{
    struct polls p;
    struct err e;
    int64_t now = now_ms();
    fill_polls(s, &p);
    const int timeout = poll_timeout(s, now), idle = pages_timeout(s->has_pages, timeout);
    const int ready = poll(p.fds, p.count, idle);
    CHECK(ready >= 0 || errno == EINTR);
    if (ready == 0 && idle != timeout) {
        pages_give_back();
        s->has_pages = false;
    }
    now = now_ms();
    bool alive = true, start = false, pty = false;
    for (nfds_t i = 0; i < p.count; i++) {
        if (!p.fds[i].revents)
            continue;
        switch (p.owner[i]) {
        case P_SIGNALS:
            signalling_take(&s->signals, now);
            break;
        case P_BOSS:
            alive = read_boss(s);
            break;
        case P_REPORT:
            read_reports(s);
            break;
        case P_REDIRECT:
            redirect(s);
            break;
        case P_PROXY:
            serve_proxy(s);
            break;
        case P_LISTENER:
            start = true;
            break;
        case P_ASKING:
            asking_ready(s->asking, p.fds[i].revents, now);
            break;
        case P_STEERING:
            if (steering_ready(s->steering, &e) < 0) {
                log_error("%s", e.text);
                signalling_send(&s->signals, SIGTERM);
                s->wall_kill_at = now + UNREADABLE_GRACE_MS;
            }
            break;
        case P_DENIALS: /* run_timers takes them */
            break;
        case P_PTY:
            pty = true;
            break;
        }
    }
    if (pty && pty_ready(s->pty, p.fds + p.pty_at) == PTY_HUNG_UP)
        signalling_send(&s->signals, SIGHUP);
    if (pty)
        signalling_typed(&s->signals, now);
    if (s->pty)
        pty_hold(s->pty, asking_has_terminal(s->asking));
    if (start && s->proxy_failed && s->asked->flat)
        flat_turn_away(s->asked->flat);
    else if (start && !s->proxy.running && !s->proxy_failed)
        start_proxy(s);
    run_timers(s, now);
    return alive;
}

static int exit_status(const struct supervisor *s)
{
    const bool by_signal = signalling_wants_end(&s->signals);
    int status =
        WIFSIGNALED(s->wait_status) ? 128 + WTERMSIG(s->wait_status) : WEXITSTATUS(s->wait_status);
    if (steering_failed(s->steering))
        return 1;
    if (s->failed)
        return err_exit_code(E_SANDBOX);
    if (s->wall_hit)
        return 124;
    if (s->disk_hit)
        return 137;
    if (s->signals.killed || (!s->ended && by_signal))
        status = 128 + s->signals.last;
    else if (!s->ended)
        status = 137; /* killed with the sandbox: memory limit, or init was killed from outside */
    if (by_signal && s->asked->compat_exit && status == 128 + s->signals.last)
        return 0;
    return status;
}

/* What the command said it could not do: not found, not executable, or a layer that could not be
 * finished. -1 with *e for the last. */
static int explain_failure(struct supervisor *s, int *status, struct err *e)
{
    struct command_failure f;
    if (!launch_failure(&s->launch, &f))
        return 0;
    if (f.stage == 1) {
        err_set(e, E_SANDBOX, 0, "%s", f.text);
        return -1;
    }
    *status = f.os == ENOENT || f.os == ENOTDIR ? 127 : 126;
    fprintf(stderr, "postern: %s: %s\n", f.text,
            *status == 127 && !strchr(f.text, '/') ? "command not found" : strerrordesc_np(f.os));
    return 0;
}

/* What the command printed last still has to reach the caller's terminal; a stuck one is given up. */
static void drain_terminal(struct supervisor *s)
{
    int64_t until = now_ms() + DRAIN_MS;
    while (s->pty && !pty_drained(s->pty) && now_ms() < until) {
        struct pollfd polls[PTY_POLLS];
        pty_polls(s->pty, polls);
        if (poll(polls, PTY_POLLS, (int)(until - now_ms())) > 0 &&
            pty_ready(s->pty, polls) != PTY_ON)
            return;
    }
}

static int finish(struct supervisor *s, struct err *e)
{
    int status = exit_status(s);
    struct err why;
    drain_terminal(s);
    if (s->launch.report >= 0)
        read_reports(s);
    egress_process_finish(&s->proxy, take_frame, s);
    int result = explain_failure(s, &status, e);
    struct cgroup_usage usage = { 0 };
    cgroup_usage(&s->launch.cgroup, &usage);
    overrun_of_groups(&s->record, &usage);
    if (s->ended && !s->wall_hit && !s->disk_hit && !s->signals.killed) {
        struct overrun_end end = { s->wait_status, s->usage, s->launch.cgroup.cpu };
        overrun_of_processes(&s->record, s->asked->plan, &end);
    }
    launch_end(&s->launch);
    denials_finish(&s->denials, &s->record, now_ms());
    record_end(&s->record, status, &s->usage, usage.memory_peak);
    if (s->pty)
        pty_free(s->pty);
    s->signals.pty = s->pty = NULL;
    if (violations_print(s->record.violations, &s->asked->violations, &why) < 0)
        log_debug("violations: %s", why.text);
    return result < 0 ? -1 : status;
}

static void release(struct supervisor *s)
{
    struct err e;
    egress_process_finish(&s->proxy, take_frame, s);
    launch_end(&s->launch);
    ports_release(&s->ports);
    if (s->pty)
        pty_free(s->pty);
    granting_free(s->granting);
    asking_free(s->asking);
    steering_free(s->steering);
    violations_free(s->record.violations);
    denials_release(&s->denials);
    if (audit_close(s->record.audit, &e) < 0)
        log_error("audit log: %s", e.text);
    fd_drop(&s->signals.fd);
}

static int open_parts(struct supervisor *s, struct err *e)
{
    const struct supervision *a = s->asked;
    char run_id[ENV_TOKEN_ROOM];
    if (env_new_token(run_id, e) < 0 ||
        audit_open(a->audit_file, a->audit_fd, run_id, &s->record.audit, e) < 0 ||
        violations_new(a->plan->settings->ignore_violations_json, str_of(a->command_text),
                       &s->record.violations, e) < 0 ||
        asking_new(a, run_id, &s->record, &s->proxy, &s->asking, e) < 0)
        return -1;
    denials_open(&s->denials, a->plan->audited);
    struct steered steered = { s->asking, &s->proxy, &s->record, &s->launch };
    if (steering_new(a, &steered, &s->steering, e) < 0)
        return -1;
    s->signals.asking = s->asking;
    return signalling_open(&s->signals, e);
}

/* The command has its own copies of the caller's pipes; ours would keep them open when it closes them. */
static int release_pipes(struct err *e)
{
    AUTO_FD null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        return err_set(e, E_SANDBOX, errno, "let go of the caller's pipes");
    return 0;
}

int supervise(const struct supervision *asked, struct err *e)
{
    CLEANUP(release) struct supervisor s = { .asked = asked, .has_pages = true };
    const struct plan *p = asked->plan;
    s.launch = LAUNCH_NONE;
    s.signals = (struct signalling){ .launch = &s.launch, .watch = &s.watch, .fd = -1 };
    egress_process_init(&s.proxy);
    ports_init(&s.ports);
    signalling_block();
    if (open_parts(&s, e) < 0 || ports_listen_outside(&s.ports, p->settings, e) < 0)
        return -1;
    struct launch_request request = {
        .plan = p,
        .flat = asked->flat,
        .first = asked->command,
        .ports = &s.ports,
        .terminal = asked->terminal,
        .report_allowed = asked->audit_file || asked->audit_fd >= 0,
    };
    if (launch_start(&s.launch, &request, e) < 0 || ports_watch(&s.ports, e) < 0)
        return -1;
    watch_init(&s.watch, s.launch.init);
    if (p->ask_files)
        s.granting = granting_new(p, s.launch.standin ? NULL : s.asking, &s.record, &s.watch,
                                  s.launch.report);
    if (layering_judge(&s.launch, p, s.proxy_failed, e) < 0)
        return -1;
    denials_begin(&s.denials, &s.launch);
    record_start(&s.record, p, &s.launch, asked->command->argv[0], s.denials.state);
    layering_record(&s.launch, p, &s.record);
    if (s.launch.pty >= 0) {
        if (pty_new(STDIN_FILENO, STDOUT_FILENO, s.launch.pty, &s.pty, e) < 0)
            return -1;
        s.launch.pty = -1; /* the relay's now */
        s.signals.pty = s.pty;
    }
    if (launch_go(&s.launch, e) < 0 || (!asked->terminal && release_pipes(e) < 0))
        return -1;
    if (p->settings->limits.wall_seconds && p->settings->limits.wall_seconds != UINT64_MAX)
        s.wall_at = now_ms() + (int64_t)p->settings->limits.wall_seconds * 1000;
    while (turn(&s))
        continue;
    return finish(&s, e);
}
