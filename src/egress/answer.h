/* answer.h - what the proxy itself says to a client (table of contract 3.3.6).
 *
 * Pure text: (event) -> bytes. Nothing here names an address that a name resolved to, only its
 * class, and every text from outside is cleaned.
 */
#pragma once

#include "base/buf.h"

#include <stdbool.h>

enum answer {
    ANSWER_AUTHENTICATE,   /* 407 */
    ANSWER_NOT_ALLOWED,    /* 403 blocked-by-allowlist */
    ANSWER_ADDRESS,        /* 403 blocked-by-sandbox-runtime: the name leads where it may not */
    ANSWER_OPAQUE,         /* 403: refuseOpaqueTunnels */
    ANSWER_BAD_REQUEST,    /* 400 */
    ANSWER_HEAD_TOO_LARGE, /* 431 */
    ANSWER_MISDIRECTED,    /* 421: requireHostMatch */
    ANSWER_BAD_GATEWAY,    /* 502 */
    ANSWER_LIMIT,          /* 503: a limit of this sandbox is reached */
    ANSWERS
};

struct answer_options {
    bool connect;      /* to CONNECT: the reason is the status phrase */
    bool head;         /* to HEAD: no body */
    bool close;        /* the connection ends with this answer */
    struct str reason; /* what denied, or the class of the address */
};

/* Appends a whole HTTP/1.1 response. */
void answer_http(struct buf *out, enum answer kind, const struct answer_options *options);

/* The status code of an answer, for logs. */
int answer_status(enum answer kind);

/* The reply code of SOCKS5 (RFC 1928 section 6) for an answer. */
unsigned char answer_socks(enum answer kind);

/* Appends an SSH identification and a disconnect message (RFC 4253 sections 4.2 and 11.1), so that
 * an SSH client shows the reason instead of "connection closed". */
void answer_ssh_disconnect(struct buf *out, struct str reason);
