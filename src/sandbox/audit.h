/* audit.h - the audit log of one run: JSON lines with a hash chain (sandbox contract 10.2).
 *
 * One writer, the supervisor. Each record carries the SHA-256 of the line before it, so that cuts
 * and changes are seen by `postern audit verify`. Never a secret: no header values, no bodies,
 * queries cut.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

enum audit_kind {
    AUDIT_START, AUDIT_NET, AUDIT_REQUEST, AUDIT_FILE, AUDIT_UNIX, AUDIT_SYSCALL, AUDIT_LIMIT,
    AUDIT_PROMPT, AUDIT_CONFIG, AUDIT_DEGRADED, AUDIT_END,
};

struct audit_event {
    enum audit_kind kind;
    bool denied;            /* decision: "deny", else "allow" */
    const char *layer;      /* mount landlock seccomp proxy cgroup rlimit */
    const char *rule;       /* the entry that decided, or NULL */
    int pid_inside, pid_outside; /* 0 = unknown */
    const char *exe, *argv0;     /* or NULL */
    struct str object;      /* path, host:port, system call */
    int os;                 /* errno handed to the command, 0 = none */
    bool racy;              /* the path was read from the command's memory and is only a hint */
    bool ignored;           /* ignoreViolations suppressed the report */
    const char *detail_json; /* further fields as a JSON object without braces, or NULL */
};

struct audit;

/* Opens the log. `path` (O_APPEND, mode 0600) and `fd` may both be given, or neither: then events are
 * counted and dropped. A path that continues an older log continues its chain. The caller has checked
 * that the path lies outside every allowed write path. */
int audit_open(const char *path, int fd, const char *run_id, struct audit **out, struct err *e);

/* Writes one record, or folds it into the one before when it is equal and less than 1 s older
 * (then `count` rises). */
void audit_write(struct audit *a, const struct audit_event *event);

/* Writes what is folded. Returns -1 when the log could not be written at some point. */
int audit_close(struct audit *a, struct err *e);

/* `postern audit verify`: reads JSON lines and checks the chain. *records counts them; *e names the
 * line of the first break. */
int audit_verify(FILE *in, uint64_t *records, struct err *e);
