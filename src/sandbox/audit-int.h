/* audit-int.h - what the writer, the sinks and the verifier of the audit log share. */
#pragma once

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum {
    AUDIT_HASH = 32,          /* SHA-256 */
    AUDIT_RECORD_MAX = 65536, /* bytes of one line, newline included */
};

/* How every record begins and what stands before and behind its hash. */
#define AUDIT_HEAD "{\"ts\":\""
#define AUDIT_PREV ",\"prev\":\""
#define AUDIT_TAIL "\"}"
enum { AUDIT_PREV_SIZE = sizeof AUDIT_PREV - 1 + 2 * AUDIT_HASH + sizeof AUDIT_TAIL - 1 };

/* A field that stands in a record whose predecessor was cut off by a dying writer. */
#define AUDIT_TORN ",\"torn\":true"

/* One place that records go to, with the chain of its own. */
struct audit_sink {
    int fd;       /* owned; -1 = none */
    bool is_file; /* ours by path: may be shared with other runs */
    bool is_socket;
    bool broken;                    /* could not be written once; never written again */
    bool unlocked;                  /* somebody holds the lock for good: do not wait again */
    bool torn;                      /* the file ends in the middle of a line */
    off_t size;                     /* of the file when we last looked */
    unsigned char prev[AUDIT_HASH]; /* of the last line */
};

void audit_sink_init(struct audit_sink *s);
void audit_sink_release(struct audit_sink *s);

/* Opens or continues the file. */
int audit_sink_open(struct audit_sink *s, const char *path, struct err *e);

/* Takes an open descriptor. */
int audit_sink_take(struct audit_sink *s, int fd, struct err *e);

/* Adds one record: `body` is the whole line but its end, which is added here. -1 once, then `broken`. */
int audit_sink_put(struct audit_sink *s, struct str body, struct err *e);

/* True for a line (without newline) of the form of our records. */
bool audit_is_record(struct str line);
