/* user_bus.h - one connection to the caller's own D-Bus, `$XDG_RUNTIME_DIR/bus`.
 *
 * For one call or two at the start of a run: it blocks, with one deadline for everything. No library and no
 * helper program; what the bus says is read by proto/dbus.h.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "proto/dbus.h"

struct user_bus {
    int fd;           /* owned; -1 = none */
    int64_t deadline; /* ms, CLOCK_MONOTONIC */
    uint32_t serial;  /* of the last call */
    struct buf in;    /* read and not used */
};

/* Connects, and says hello. `runtime_dir` is $XDG_RUNTIME_DIR, or NULL for /run/user/UID. Fails with
 * E_MISSING when there is no bus, E_DENIED when it is not the caller's or root's. */
int user_bus_open(struct user_bus *b, const char *runtime_dir, int64_t patience_ms, struct err *e);
void user_bus_close(struct user_bus *b);

/* One call, whose serial is filled in here; waits for its answer and drops everything else. An error
 * that comes back is E_IO, with its name and text, or E_MISSING when nobody has the destination's name. */
int user_bus_call(struct user_bus *b, struct dbus_call *call, struct err *e);
