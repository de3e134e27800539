/* denials.h - what Landlock refused, from the kernel's audit log into ours (contract 10.2).
 *
 * Glue of the supervisor's loop around landlock_audit.h. Without an audit log of ours, or where the
 * kernel's may not be read, it does nothing; no layer is weaker for that.
 */
#pragma once

#include "role/record.h"
#include "sandbox/landlock_audit.h"

struct denials {
    struct landlock_audit *source;        /* NULL = none */
    char state[LANDLOCK_AUDIT_STATE_MAX]; /* for the start record: "on", "off: why" */
};

/* Before the sandbox is built, so that no domain of it is missed. */
void denials_open(struct denials *d, bool wanted);

/* Before the command goes. */
void denials_begin(struct denials *d, const struct launch *l);

int denials_fd(const struct denials *d); /* to be polled for POLLIN; -1 = none */
int64_t denials_deadline(const struct denials *d);

/* Writes what is there, a bounded number at a time. Cheap when there is nothing: called in each turn. */
void denials_tick(struct denials *d, struct record *r, int64_t now_ms);

/* After the sandbox has ended: what the kernel has still to say of it. */
void denials_finish(struct denials *d, struct record *r, int64_t now_ms);

void denials_release(struct denials *d);
