/* steering.h - live updates of the settings from --control-fd (sandbox contract 6).
 *
 * Glue between the reader of the descriptor (sandbox/control.h), the proxy, which applies the new
 * rules to the next connection, the questions that are asked, and the limits of the control group.
 */
#pragma once

#include "base/err.h"
#include "role/asking.h"
#include "role/record.h"
#include "role/supervisor.h"
#include "sandbox/egress_process.h"
#include "sandbox/launch.h"

struct steering;

/* What an update reaches; all borrowed. */
struct steered {
    struct asking *asking;
    struct egress_process *proxy;
    struct record *record;
    struct launch *launch;
};

/* NULL in *out when there is no --control-fd. Takes the descriptor over. */
int steering_new(const struct supervision *s, const struct steered *steered, struct steering **out,
                 struct err *e);
void steering_free(struct steering *s);

/* -1 when there is nothing to read any more. NULL is fine. */
int steering_fd(const struct steering *s);

/* Reads and applies. -1 only when the channel failed before its first line: then the command is ended
 * (contract 1.2). */
int steering_ready(struct steering *s, struct err *e);

/* True after that failure: the run ends with status 1. */
bool steering_failed(const struct steering *s);

/* The settings in force: what the proxy is started with. */
struct str steering_settings(const struct steering *s, const struct supervision *asked);
