/* kernel_audit.h - records of the kernel's audit log that tell of Landlock, from text to fields.
 *
 * A record is "audit(SECONDS.MS:SERIAL): key=value key=value ...". The kernel writes names that a program
 * chose in quotes when they are plain ASCII, else as hexadecimal digits. They are read just so: what does
 * not fit, or names a key twice, is refused as a whole. No I/O here.
 */
#pragma once

#include "base/err.h"
#include "base/str.h"

/* Message types; those of Landlock came with Linux 6.15, and older <linux/audit.h> lack them. */
enum kernel_audit_type {
    KERNEL_AUDIT_SYSCALL = 1300, /* the call that an event belongs to */
    KERNEL_AUDIT_EVENT_END = 1320,
    KERNEL_AUDIT_ACCESS = 1423, /* a denial */
    KERNEL_AUDIT_DOMAIN = 1424, /* a domain that is named for the first time, or has ended */
};

enum { KERNEL_AUDIT_OBJECT_MAX = 4096 + 64 }; /* a path of the kernel's, and " (deleted)" */

/* All records of one event share their stamp. */
struct kernel_audit {
    enum kernel_audit_type type;
    uint64_t time_ms, serial;
    uint64_t domain;         /* ACCESS, DOMAIN */
    bool allocated;          /* DOMAIN: the domain is new, and `pid` made it */
    int pid;                 /* DOMAIN, SYSCALL: the thread, as a pid of the host; 0 = not said */
    int os;                  /* SYSCALL: errno of the call, 0 = it succeeded */
    char comm[64], exe[512]; /* SYSCALL; "" = not said; a long exe is cut */
    char blockers[256];      /* ACCESS: the rights that were missing: "fs.make_reg,fs.refer" */
    /* ACCESS: path, socket name ('@' for NUL), "host:port" or "pid 7 (name)"; "" = not said */
    char object[KERNEL_AUDIT_OBJECT_MAX];
};

/* Reads the text of one message of `type`. -1 with E_INPUT for another type or anything malformed; then
 * *out is not to be used. */
int kernel_audit_parse(unsigned type, struct str text, struct kernel_audit *out, struct err *e);

/* errno that Landlock gives for these blockers, for an event without its call. */
int kernel_audit_errno(const char *blockers);
