/* audit.h - the audit log of one run: JSON lines with a hash chain (sandbox contract 10.2).
 *
 * One writer, the supervisor. Each record ends with `prev`, the SHA-256 of the line before it (without
 * its newline; 64 zeros in the first), so that cuts and changes are seen by `postern audit verify`.
 * What no chain without a key can show: records cut off at the end, and a log written anew as a whole.
 * Lines are ASCII: everything else is escaped, so no name can make a line of its own or turn a
 * terminal round. Never a secret: no header values, no bodies, queries cut.
 *
 * The caller has SIGPIPE blocked or ignored.
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
    AUDIT_START,
    AUDIT_NET,
    AUDIT_REQUEST,
    AUDIT_FILE,
    AUDIT_UNIX,
    AUDIT_SYSCALL,
    AUDIT_LIMIT,
    AUDIT_PROMPT,
    AUDIT_CONFIG,
    AUDIT_DEGRADED,
    AUDIT_END,
};

struct audit_event {
    enum audit_kind kind;
    bool denied;                 /* decision: "deny", else "allow" */
    const char *layer;           /* mount landlock seccomp proxy cgroup rlimit */
    const char *rule;            /* the entry that decided, or NULL */
    int pid_inside, pid_outside; /* 0 = unknown */
    const char *exe, *argv0;     /* or NULL */
    struct str object;           /* path, host:port, system call */
    int os;                      /* errno handed to the command, 0 = none */
    bool racy;               /* the path was read from the command's memory and is only a hint */
    bool ignored;            /* ignoreViolations suppressed the report */
    const char *detail_json; /* further fields as a JSON object without braces, or NULL */
};

struct audit;

/* Opens the log. `path` (O_APPEND, mode 0600) and `fd` may both be given, or neither (NULL, -1): then
 * events are counted and dropped. A path that continues an older log continues its chain, also with
 * several runs at once; a descriptor starts a chain of its own. An existing file must be a log of ours
 * that only its owner can read. The caller has checked that the path lies outside every allowed write
 * path. On success `fd` is the log's to close. Fails with E_INPUT. */
int audit_open(const char *path, int fd, const char *run_id, struct audit **out, struct err *e);

/* Writes one record; an event that equals one of the last second is folded instead: the first stands
 * in the log at once, the further ones become one more record whose `count` says how many they were.
 * More than 200 different denials in a second are folded into one record per kind ("flood"). Before
 * an AUDIT_END everything folded is written. */
void audit_write(struct audit *a, const struct audit_event *event);

/* False when events are only counted: what is costly to say need not be said. */
bool audit_is_kept(const struct audit *a);

/* False after the log could not be written: what may only happen on the record must not happen. */
bool audit_ok(const struct audit *a);

/* When audit_tick has folded records to write: CLOCK_MONOTONIC in ms, or -1. */
int64_t audit_deadline(const struct audit *a);
void audit_tick(struct audit *a);

/* How many events there were, folded ones included. */
uint64_t audit_count(const struct audit *a);

/* Writes what is folded and frees. Returns -1 when the log could not be written at some point. NULL is
 * fine. */
int audit_close(struct audit *a, struct err *e);

/* For tests: another clock than clock_gettime. */
typedef int audit_clock(clockid_t which, struct timespec *out);
void audit_set_clock(struct audit *a, audit_clock *clock);

/* What audit_verify found. */
struct audit_verdict {
    uint64_t records;      /* that the chain vouches for */
    uint64_t line;         /* of the first break, from 1; 0 = the chain is whole */
    uint64_t torn;         /* lines that a dying writer cut off and the chain goes on from */
    uint64_t starts, ends; /* runs that began and ended: fewer ends than starts may be a cut tail */
};

/* `postern audit verify`: reads JSON lines and checks the chain. -1 with *e naming the line of the
 * first break: E_CONFLICT for a break, E_IO when reading fails. *out is filled either way. */
int audit_verify(FILE *in, struct audit_verdict *out, struct err *e);
