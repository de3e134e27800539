/* violations.h - what was refused, for the block at the end of a run (contract 10.1 and 10.3).
 *
 * The last 100 lines are kept; the audit log has everything. Names come from hostile places: no line
 * holds a control, zero-width or bidi character, "<" or ">", so nothing can end the block early or
 * forge a line (T27).
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { VIOLATIONS_KEPT = 100 };

/* Where the block goes. */
enum violations_place { VIOLATIONS_NONE, VIOLATIONS_STDERR, VIOLATIONS_FD };

struct violations_target {
    enum violations_place place;
    int fd; /* with VIOLATIONS_FD; borrowed */
};

/* Reads the value of --violations: "stderr", "none", "fd:N"; N must be an open, writable descriptor
 * from 3 on. NULL gives the default: stderr when that is no terminal, else none. */
int violations_target_parse(const char *text, struct violations_target *out, struct err *e);

struct violations;

/* `ignore_json` is the map of ignoreViolations or NULL; `command` is the text its keys are looked for
 * in. Fails with E_INPUT when the map is none (the settings have checked it before). */
int violations_new(const char *ignore_json, struct str command, struct violations **out,
                   struct err *e);
void violations_free(struct violations *v);

/* Appends "deny WHAT OBJECT (REASON)", cleaned; REASON may be empty, then nothing stands behind
 * OBJECT. A URL as OBJECT has its query and fragment cut. */
void violation_line(struct buf *out, const char *what, struct str object, struct str reason);

/* Keeps one line; it is cleaned once more, so it may come from the proxy. Returns true when
 * ignoreViolations suppresses it: then it is not kept, and the audit record says `ignored`. */
bool violations_add(struct violations *v, struct str line);

/* How many lines there were that were not suppressed. */
uint64_t violations_count(const struct violations *v);

/* Writes the block, or nothing when there is no line. A reader that takes nothing for two seconds is
 * given up: E_BUSY. The caller has SIGPIPE blocked or ignored. */
int violations_print(const struct violations *v, const struct violations_target *target,
                     struct err *e);
