/* landlock_audit.h - what Landlock refused, as the kernel's audit log tells it (contract 10.2).
 *
 * Joins the log's readers by a multicast socket, beside an audit daemon. The kernel gives that to
 * CAP_AUDIT_READ in the initial user, pid and network namespaces only; elsewhere there is no such
 * source, and nothing is weaker for it. The log is that of the whole machine: of it are kept the denials of
 * domains that a process of our sandbox made.
 */
#pragma once

#include "base/err.h"
#include "proto/kernel_audit.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { LANDLOCK_AUDIT_STATE_MAX = 120 };

struct landlock_audit;

/* Joins. NULL when the log cannot be had; then `state` says "off: why". */
struct landlock_audit *landlock_audit_new(char state[LANDLOCK_AUDIT_STATE_MAX]);

/* Hears whether auditing is on, which landlock_audit_new has asked: waits until the kernel's thread has
 * answered, at most 50 ms. False when it is off. `state` says "on", "off: why", or that we may not know. */
bool landlock_audit_is_on(struct landlock_audit *l, char state[LANDLOCK_AUDIT_STATE_MAX]);

/* Whose denials are wanted: those of the sandbox with this init (a pid of the host) and of the command that
 * introduces itself on `orders` (boss.h), of which a copy is kept until then. */
void landlock_audit_watch(struct landlock_audit *l, pid_t init, int orders);

void landlock_audit_free(struct landlock_audit *l); /* NULL is fine */

/* To be polled for POLLIN; -1 for NULL. */
int landlock_audit_fd(const struct landlock_audit *l);

/* When a denial has waited long enough for its call: CLOCK_MONOTONIC in ms, or -1. */
int64_t landlock_audit_deadline(const struct landlock_audit *l);

/* Reads one record. False when there is none now. */
bool landlock_audit_read(struct landlock_audit *l, int64_t now_ms);

struct landlock_denial {
    const struct kernel_audit
        *record;      /* borrowed until the next call; pid, os, comm, exe of the call */
    pid_t pid_inside; /* 0 = unknown */
};

/* The next denial of ours that is complete, has waited long enough, or (`all`) whatever there is. */
bool landlock_audit_next(struct landlock_audit *l, int64_t now_ms, bool all,
                         struct landlock_denial *out);

/* True once after the kernel dropped records because we were too slow. */
bool landlock_audit_lost(struct landlock_audit *l);
