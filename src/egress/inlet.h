/* inlet.h - connections to servers inside the sandbox, for `x.network.ports.in` (contract 4.2).
 *
 * A socket belongs to the network namespace in which it was made, whoever connects it later. So the
 * sandbox's init makes sockets on demand and passes them out; we connect them here, to the loopback
 * in there. Between us and init: a SEQPACKET socket. We send one byte (INLET_V4 or INLET_V6) per socket;
 * each is answered, in order, by one byte: 0 with the socket, or an errno.
 */
#pragma once

#include "io/loop.h"

#include <stdint.h>

enum { INLET_V4 = '4', INLET_V6 = '6' };

/* This many requests are under way at once; the others wait here. */
enum { INLET_ASKED_MAX = 16 };

struct inlet;

/* Takes the descriptor. */
struct inlet *inlet_new(struct loop *l, int fd);

/* After every entry has ended or was cancelled. NULL is fine. */
void inlet_free(struct inlet *i);

/* One connection to 127.0.0.1, else ::1, at `port` inside. */
struct entry;

/* `fd` is the caller's from now on, or -1 and `os` says why the last address failed. */
typedef void entry_done(void *ctx, int fd, int os);

/* The callback comes from the loop, never from here; then the entry frees itself. `timeout_ms` bounds
 * the whole. */
struct entry *entry_new(struct inlet *i, uint16_t port, uint64_t timeout_ms, entry_done *done,
                        void *ctx);

/* Closes what was begun; the callback will not come. NULL is fine. */
void entry_cancel(struct entry *e);
