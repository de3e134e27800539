/* socks5.h - the server's side of SOCKS5 (RFC 1928) with user and password (RFC 1929).
 *
 * Bytes in, events out: no I/O, no memory beyond the struct, any cut of the stream gives the same
 * events. The caller answers with the writers below; at each event the client waits for an answer,
 * so that bytes behind SOCKS5_REQUEST belong to the stream that was asked for.
 *
 *     socks5_feed -> SOCKS5_GREETING   socks5_choose, send 05 xx
 *                 -> SOCKS5_PASSWORD   (only when chosen) send 01 xx
 *                 -> SOCKS5_REQUEST    send socks5_reply
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

enum socks5_event {
    SOCKS5_MORE,     /* all bytes are used, more are needed */
    SOCKS5_GREETING, /* offers_none, offers_password are filled */
    SOCKS5_PASSWORD, /* user, password are filled */
    SOCKS5_REQUEST   /* command, host, port are filled; the reader is done */
};

enum socks5_method { SOCKS5_NO_AUTH = 0x00, SOCKS5_USER_PASSWORD = 0x02, SOCKS5_NO_METHOD = 0xff };

/* RFC 1928 section 6. */
enum socks5_status {
    SOCKS5_SUCCEEDED,
    SOCKS5_FAILED,
    SOCKS5_NOT_ALLOWED,
    SOCKS5_NETWORK_UNREACHABLE,
    SOCKS5_HOST_UNREACHABLE,
    SOCKS5_REFUSED,
    SOCKS5_TTL_EXPIRED,
    SOCKS5_COMMAND_NOT_SUPPORTED,
    SOCKS5_ADDRESS_NOT_SUPPORTED
};

enum { SOCKS5_CONNECT = 1, SOCKS5_BIND = 2, SOCKS5_UDP = 3 };

/* The longest message, user and password, has 513 bytes. */
enum { SOCKS5_MESSAGE_MAX = 3 + 255 + 255 };

struct socks5 {
    uint8_t phase;
    size_t n;
    unsigned char bytes[SOCKS5_MESSAGE_MAX]; /* of the message that is coming in */

    bool offers_none, offers_password;
    unsigned char user[256], password[256]; /* NUL-terminated; the password is a secret */
    uint8_t user_n, password_n;
    uint8_t command;
    /* What is to be reached: an address as text ("192.0.2.1", "2001:db8::1"), or a name as the
     * client sent it: printable ASCII, no "%" (a zone). */
    char host[256];
    uint16_t port;
    /* What a failed feed should be answered with before closing; SOCKS5_SUCCEEDED: nothing. */
    enum socks5_status failure;
};

void socks5_init(struct socks5 *s);

/* Reads until the next event and says in *used how many bytes are consumed. -1 on anything malformed
 * (SOCKS4 is named in the text), and stays there. */
int socks5_feed(struct socks5 *s, struct str bytes, size_t *used, struct err *e);

/* After SOCKS5_GREETING: which method goes on. Appends the answer to `out`. */
void socks5_choose(struct socks5 *s, enum socks5_method method, struct buf *out);

/* After SOCKS5_PASSWORD: appends the verdict and wipes user and password from memory. */
void socks5_verdict(struct socks5 *s, bool accepted, struct buf *out);

/* Appends a reply; the bound address is 0.0.0.0:0, which says nothing about this host. */
void socks5_reply(enum socks5_status status, struct buf *out);

/* Forgets user and password. */
void socks5_release(struct socks5 *s);
