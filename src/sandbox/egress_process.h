/* egress_process.h - the supervisor's end of the egress proxy.
 *
 * The proxy is a process of its own, because it parses hostile bytes. It is started when the first
 * connection arrives at a listener, which exists since before the command did, so an idle sandbox pays
 * nothing for it. What it says is checked like any peer's; when it ends, its listeners stay closed and
 * connections are refused.
 */
#pragma once

#include "base/err.h"
#include "sandbox/channel.h"
#include "sandbox/netns.h"
#include "sandbox/ports.h"

#include <stdbool.h>
#include <sys/types.h>

struct egress_process {
    pid_t pid;
    struct channel channel;
    bool running;
};

struct egress_start {
    const char *program;           /* absolute path of postern-engine */
    struct str settings;           /* the settings file's text, "" for the built-in defaults */
    const char *profile;           /* or NULL */
    const char *token;             /* hex; goes over the channel only */
    bool ask, strict, transparent; /* what the plan decided */
    const struct netns_listener *listeners; /* borrowed: the proxy gets copies */
    size_t listener_count;
    const struct ports *ports; /* borrowed, too */
    char *const *environment;  /* the caller's; only proxy variables are handed on */
};

void egress_process_init(struct egress_process *p);
int egress_process_start(struct egress_process *p, const struct egress_start *how, struct err *e);

/* For poll; -1 when it does not run. */
int egress_process_fd(const struct egress_process *p);
short egress_process_events(const struct egress_process *p);

/* Reads and writes what is due. -1 when the proxy has ended or broke the protocol (it is stopped). */
int egress_process_ready(struct egress_process *p, struct err *e);

/* The next frame, as channel_next. */
bool egress_process_next(struct egress_process *p, struct str *json);

/* Queues one frame. */
int egress_process_put(struct egress_process *p, struct str json, struct err *e);

/* Asks for the totals, then waits for the end (bounded, then kills). Frames that arrive meanwhile go
 * to `frame`. */
void egress_process_finish(struct egress_process *p, void (*frame)(void *ctx, struct str json),
                           void *ctx);
