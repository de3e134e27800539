/* netlink.h - requests to the kernel's networking, built in one buffer and sent at once.
 *
 * A request is a row of messages. The kernel works on them while we send, so that its answer lies
 * ready when the send returns: errors for every message that failed, then the acknowledgement of
 * the one message that asked for it. Knows nothing about what the messages mean.
 */
#pragma once

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

/* The memory is the caller's, usually its stack: in a process that was just forked the first use of
 * the heap costs more than the whole request (0.15 ms of page faults, measured). */
struct netlink {
    char *bytes; /* borrowed */
    size_t used, room;
    size_t message;    /* where the open message starts */
    uint32_t sequence; /* of the open message; 1, 2, 3 ... */
    uint32_t last;     /* the message whose acknowledgement ends the answer */
};

/* An empty request in `room` bytes at `bytes`. Writing past them is our own mistake (CHECK). */
void netlink_init(struct netlink *n, char *bytes, size_t room);

/* Ends the open message and begins the next one: header, then `head` (the family's own header). */
void netlink_message(struct netlink *n, uint16_t type, uint16_t flags, const void *head,
                     size_t head_size);

/* Adds an attribute to the open message. */
void netlink_put(struct netlink *n, uint16_t type, const void *data, size_t size);
void netlink_put_text(struct netlink *n, uint16_t type, const char *text);
void netlink_put_u32(struct netlink *n, uint16_t type, uint32_t value); /* byte order of the host */
void netlink_put_be32(struct netlink *n, uint16_t type, uint32_t value); /* network byte order */

/* Begins an attribute that holds attributes; the result is what netlink_unnest wants. */
size_t netlink_nest(struct netlink *n, uint16_t type);
void netlink_unnest(struct netlink *n, size_t nest);

/* The open message is the last one that can fail; its acknowledgement is waited for. Called once. */
void netlink_acknowledge(struct netlink *n);

/* A socket of `protocol`, owned by the caller; what is sent through it happens in the network namespace of
 * the thread that opened it, by the rights of that thread and of the sender. */
int netlink_open(int protocol, struct err *e);

/* Ends the open message, sends the request and reads the answer. The first message that the kernel refused
 * makes it fail with E_SANDBOX and the kernel's errno. */
int netlink_send(struct netlink *n, int socket, struct err *e);
