/* asking.h - brings the proxy's questions to a person and the answers back (sandbox contract 8).
 *
 * Glue between the proxy's frames, the questions that are open (sandbox/questions.h) and the one front
 * that this run has: a descriptor, a unix socket, or the caller's terminal. Without a front nobody is
 * asked and everything asked is denied.
 */
#pragma once

#include "base/err.h"
#include "proto/json.h"
#include "role/record.h"
#include "role/supervisor.h"
#include "sandbox/egress_process.h"
#include "sandbox/watch.h"

#include <poll.h>
#include <stddef.h>
#include <stdint.h>

struct asking;

/* Opens the front. Fails with E_INPUT when the socket of --ask=PATH cannot be reached. */
int asking_new(const struct supervision *s, const char *run_id, struct record *record,
               struct asking **out, struct err *e);
void asking_free(struct asking *a);

/* True when there is somebody to ask. */
bool asking_is_possible(const struct asking *a);

/* An "ask" or "cancel" frame of the proxy. */
void asking_frame(struct asking *a, const struct json *frame, struct egress_process *proxy,
                  struct watch *watch, int64_t now_ms);

/* Descriptors to poll; at most `room`. */
size_t asking_polls(const struct asking *a, struct pollfd *out, size_t room);
void asking_ready(struct asking *a, const struct pollfd *ready, struct egress_process *proxy,
                  int64_t now_ms);

/* When asking_tick has something to do; -1 = never. */
int64_t asking_deadline(const struct asking *a);
void asking_tick(struct asking *a, struct egress_process *proxy, int64_t now_ms);
