#include "sandbox/egress_process.h"

#include "base/fd.h"
#include "proto/json_write.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

_Static_assert(NETNS_LISTENERS_MAX + PORT_SOCKETS_MAX + 1 <= CHANNEL_FDS_MAX,
               "room for every socket");

enum { FINISH_MS = 2000, CHANNEL_FD = 3 };

void egress_process_init(struct egress_process *p)
{
    *p = (struct egress_process){ .channel = { .fd = -1 } };
}

/* The proxy variables of the caller and nothing else: no loader variables, no secrets. */
static char **proxy_environment(char *const *caller)
{
    static const char *const names[] = { "HTTP_PROXY=",  "http_proxy=", "HTTPS_PROXY=",
                                         "https_proxy=", "NO_PROXY=",   "no_proxy=" };
    char **out = mem_array(sizeof names / sizeof *names + 1, sizeof *out);
    size_t n = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (char *const *at = caller; at && *at; at++)
            if (strncmp(*at, names[i], strlen(names[i])) == 0) {
                out[n++] = *at;
                break;
            }
    return out;
}

static _Noreturn void become_proxy(const struct egress_start *how, int channel, char **environment)
{
    char *const argv[] = { (char *)how->program, (char *)"egress", NULL };
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    int null = open("/dev/null", O_RDWR);
    /* Our own ends first to a safe number, then in their places. */
    int safe = fcntl(channel, F_DUPFD, 64);
    if (null < 0 || safe < 0 || dup2(null, 0) < 0 || dup2(null, 1) < 0 ||
        dup2(safe, CHANNEL_FD) < 0 ||
        syscall(SYS_close_range, (unsigned)CHANNEL_FD + 1, ~0u, 0) < 0)
        _exit(125);
    execve(how->program, argv, environment);
    _exit(127);
}

/* The sockets of x.network.ports, behind the listeners. */
static size_t add_ports(struct buf *b, const struct ports *ports, int *fds)
{
    size_t n = 0;
    json_write_key(b, STR("ports"));
    json_write_array(b);
    for (size_t i = 0; i < ports->count; i++) {
        const struct port_socket *at = &ports->sockets[i];
        json_write_object(b);
        json_member_text(b, "way", at->inward ? "in" : "out");
        json_member_u64(b, "outer", at->forward.outer);
        json_member_u64(b, "inner", at->forward.inner);
        json_write_object_end(b);
        fds[n++] = at->fd;
    }
    json_write_array_end(b);
    json_member_bool(b, "dialer", ports->dialer >= 0);
    if (ports->dialer >= 0)
        fds[n++] = ports->dialer;
    return n;
}

static int send_config(struct egress_process *p, const struct egress_start *how, struct err *e)
{
    AUTO_BUF b = { 0 };
    int fds[CHANNEL_FDS_MAX];
    json_write_object(&b);
    json_member_text(&b, "t", "config");
    json_member_str(&b, "settings", how->settings);
    json_member_bool(&b, "strict", how->strict);
    if (how->profile)
        json_member_text(&b, "profile", how->profile);
    json_member_text(&b, "token", how->token);
    json_member_bool(&b, "ask", how->ask);
    json_member_bool(&b, "transparent", how->transparent);
    json_write_key(&b, STR("listeners"));
    json_write_array(&b);
    for (size_t i = 0; i < how->listener_count; i++) {
        json_write_text(&b, netns_listener_name(how->listeners[i].kind));
        fds[i] = how->listeners[i].fd;
    }
    json_write_array_end(&b);
    size_t count = how->listener_count + add_ports(&b, how->ports, fds + how->listener_count);
    json_write_object_end(&b);
    int result = channel_put(&p->channel, buf_str(&b), fds, count, e);
    mem_wipe(b.p, b.n);
    return result < 0 ? -1 : channel_flush(&p->channel, e);
}

int egress_process_start(struct egress_process *p, const struct egress_start *how, struct err *e)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return err_set(e, E_SANDBOX, errno, "layer proxy: make a socket pair");
    AUTO_FD theirs = pair[1];
    char **environment = proxy_environment(how->environment);
    p->pid = fork();
    if (p->pid == 0)
        become_proxy(how, theirs, environment);
    free(environment);
    if (p->pid < 0) {
        close(pair[0]);
        return err_set(e, E_SANDBOX, errno, "layer proxy: fork");
    }
    channel_init(&p->channel, pair[0]);
    p->running = true;
    return send_config(p, how, e) < 0 ? err_while(e, "layer proxy: start '%s'", how->program) : 0;
}

static void stop(struct egress_process *p)
{
    int status;
    if (p->pid > 0) {
        kill(p->pid, SIGKILL);
        while (waitpid(p->pid, &status, 0) < 0 && errno == EINTR)
            continue;
    }
    if (p->running)
        channel_release(&p->channel);
    egress_process_init(p);
}

int egress_process_fd(const struct egress_process *p)
{
    return p->running ? p->channel.fd : -1;
}

short egress_process_events(const struct egress_process *p)
{
    return (short)(POLLIN | (p->channel.out.n ? POLLOUT : 0));
}

int egress_process_ready(struct egress_process *p, struct err *e)
{
    if (channel_flush(&p->channel, e) < 0 || channel_fill(&p->channel, e) < 0) {
        stop(p);
        return err_while(e, "layer proxy: the egress proxy has ended");
    }
    return 0;
}

bool egress_process_next(struct egress_process *p, struct str *json)
{
    return p->running && channel_next(&p->channel, json);
}

int egress_process_put(struct egress_process *p, struct str json, struct err *e)
{
    if (!p->running)
        return 0;
    return channel_put(&p->channel, json, NULL, 0, e) < 0 ? -1 : channel_flush(&p->channel, e);
}

static int64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void egress_process_finish(struct egress_process *p, void (*frame)(void *ctx, struct str json),
                           void *ctx)
{
    struct err e;
    int64_t deadline = now_ms() + FINISH_MS;
    if (!p->running)
        return;
    bool alive = egress_process_put(p, STR("{\"t\":\"finish\"}"), &e) == 0;
    while (alive && now_ms() < deadline) {
        struct pollfd at = { .fd = p->channel.fd, .events = egress_process_events(p) };
        if (poll(&at, 1, (int)(deadline - now_ms())) <= 0)
            continue;
        alive = channel_flush(&p->channel, &e) == 0 && channel_fill(&p->channel, &e) >= 0;
        struct str json;
        while (channel_next(&p->channel, &json))
            frame(ctx, json);
    }
    stop(p);
}
