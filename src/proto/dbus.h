/* dbus.h - messages of D-Bus, as far as one method call and its answer need them.
 *
 * Pure bytes (D-Bus Specification 0.40: "Marshaling", "Message Protocol", "Authentication Protocol").
 * What is written is little-endian. What is read is judged like any peer's bytes: bounded, padded with
 * zeros, strings with their NUL and in UTF-8.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { DBUS_MESSAGE_MAX = 64 << 10 }; /* the protocol's own limit is 128 MiB */

enum dbus_type { DBUS_CALL = 1, DBUS_RETURN = 2, DBUS_ERROR = 3, DBUS_SIGNAL = 4 };

/* What comes first on a connection: one NUL byte and "AUTH EXTERNAL" with our uid, which the bus compares
 * with what the kernel says of us. */
void dbus_put_greeting(struct buf *out, uint32_t uid);

/* The bus's line in answer to that. 1 = it is "OK ..." and takes *taken bytes, 0 = the line is not whole
 * yet, -1 = refused, or no such line. */
int dbus_read_greeting(struct str bytes, size_t *taken, struct err *e);

/* Behind "BEGIN\r\n" messages follow. */
void dbus_put_begin(struct buf *out);

/* A method call. `signature` names the types of `body`, which was marshalled by the functions below,
 * beginning in an empty buffer. `serial` is not 0. Nobody is started to answer it. */
struct dbus_call {
    uint32_t serial;
    const char *destination, *path, *interface, *member, *signature;
    struct str body;
};
void dbus_put_call(struct buf *out, const struct dbus_call *call);

void dbus_put_u32(struct buf *out, uint32_t value);
void dbus_put_u64(struct buf *out, uint64_t value);
void dbus_put_string(struct buf *out, const char *text);

/* The signature of the value that follows in a variant. */
void dbus_put_signature(struct buf *out, const char *signature);

/* Structs begin at a multiple of 8. */
void dbus_put_struct(struct buf *out);

/* An array, whose items begin at a multiple of `align`. Give what it returns to dbus_end_array. */
size_t dbus_begin_array(struct buf *out, size_t align);
void dbus_end_array(struct buf *out, size_t array, size_t align);

/* One message; everything is borrowed from the bytes. */
struct dbus_message {
    enum dbus_type type;       /* or a number that no specification knows yet: to be ignored */
    uint32_t serial, reply_to; /* reply_to is 0 when it is no reply */
    struct str error_name;     /* of DBUS_ERROR */
    struct str signature;
    struct str text; /* the first argument when it is a string or object path, else empty */
};

/* 1 = a whole message that takes *taken bytes, 0 = more bytes are needed, -1 = it is none, or larger than
 * DBUS_MESSAGE_MAX. */
int dbus_read(struct str bytes, struct dbus_message *out, size_t *taken, struct err *e);
