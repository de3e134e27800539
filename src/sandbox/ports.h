/* ports.h - the sockets of x.network.ports (sandbox contract 4.2), before the proxy has them.
 *
 * "in" forwards are listened for on the host's loopback, by the supervisor; "out" forwards on the
 * loopback inside, by init, which passes the sockets out, together with the dialer (dialer.h) that
 * connections to servers inside need. The egress proxy relays; it gets all of it when it is started,
 * and from then on holds the only copies, so that nothing listens any longer than somebody relays.
 */
#pragma once

#include "base/err.h"
#include "sandbox/boss.h"
#include "sandbox/settings.h"

struct port_socket {
    bool inward;
    struct settings_port_forward forward;
    int fd; /* owned; listening, close-on-exec */
};

/* Two directions, two families each. */
enum { PORT_SOCKETS_MAX = 4 * SETTINGS_FORWARDS_MAX };

struct ports {
    struct port_socket sockets[PORT_SOCKETS_MAX];
    size_t count;
    int dialer;  /* the proxy's end; owned; -1 = none */
    int watched; /* an epoll set of all sockets; owned; -1 = none */
};

void ports_init(struct ports *p);

/* Closes what is still ours. Safe to call twice. */
void ports_release(struct ports *p);

/* Listens on 127.0.0.1 and ::1 of the host for every "in" forward. Fails with E_SANDBOX, naming the port,
 * when one is taken. ::1 is left out where the host has no IPv6. */
int ports_listen_outside(struct ports *p, const struct settings *s, struct err *e);

/* In the new network namespace, before anything else is bound there: listens for every "out" forward,
 * lets the command listen on the inner ports of "in" forwards, makes the dialer. Everything is told to
 * the supervisor over `boss` and closed here; *dialer is the end that stays with init, or -1. */
int ports_make_inside(const struct settings *s, int boss, int *dialer, struct err *e);

/* The supervisor's side of that: takes the descriptors of one BOSS_PORTS message, all of them. */
int ports_take(struct ports *p, const struct boss_message *m, const int *fds, size_t fd_count,
               struct err *e);

/* Makes the set of ports_fd, which is readable when somebody has connected. */
int ports_watch(struct ports *p, struct err *e);
int ports_fd(const struct ports *p);
