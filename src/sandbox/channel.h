/* channel.h - small framed messages between our own processes.
 *
 * Between supervisor and egress proxy: a stream socket, each frame a 4-byte big-endian length and
 * one JSON object of at most CHANNEL_FRAME_MAX bytes; descriptors ride with the first byte of a
 * frame. The proxy parses hostile bytes, so the supervisor checks every frame like any peer's.
 *
 *   supervisor -> proxy
 *     {"t":"config","settings":TEXT,"strict":BOOL,"profile":TEXT?,"token":HEX,"ask":BOOL,"transparent":BOOL,
 *      "listeners":["http","http","socks","socks","transparent","dns-udp","dns-tcp"],
 *      "ports":[{"way":"in"|"out","outer":N,"inner":N}],"dialer":BOOL}
 *         first frame; carries one listening socket per entry of "listeners" and of "ports", in that
 *         order, then the socket of egress/inlet.h if there is a dialer
 *     {"t":"update","settings":TEXT}        live update (contract 6); applies to the next connection
 *     {"t":"answer","id":N,"allow":BOOL,"reason":TEXT?}
 *     {"t":"finish"}                        send the totals, then end
 *   proxy -> supervisor
 *     {"t":"ready"}
 *     {"t":"net","decision":"allow"|"deny","host":..,"port":N,"method":"connect"|"http"|"socks"|
 *      "transparent"|"dns"|"port-in"|"port-out","rule":..?,"reason":..?,"violation":LINE?,"client_port":N?,"user":TEXT?}
 *         one per judged connection, request or look-up; "violation" is the line of contract 10.1
 *     {"t":"ask","id":N,"host":..,"port":N,"method":..,"client_port":N,"user":TEXT?}
 *     {"t":"cancel","id":N}                 nobody waits for that answer any more
 *     {"t":"totals","bytes_out":N,"bytes_in":N,"connections":N,"denied":N}
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdint.h>

#define CHANNEL_FRAME_MAX (2u << 20)
#define CHANNEL_FDS_MAX 144

struct channel {
    int fd; /* owned; non-blocking */
    struct buf in, out;
    size_t taken;                /* bytes at the front of `in` that channel_next has lent out */
    int fds_in[CHANNEL_FDS_MAX]; /* received and not yet taken; owned */
    size_t fds_in_count;
};

void channel_init(struct channel *c, int fd);
void channel_release(struct channel *c);

/* Queues one frame. At most 4 MiB may wait; beyond that E_BUSY. Descriptors (borrowed) are sent at
 * once, so only a frame queued on an empty channel may carry them. */
int channel_put(struct channel *c, struct str json, const int *fds, size_t fd_count, struct err *e);

/* Writes what the socket takes. 0 = all sent or would block, -1 = the peer is gone. */
int channel_flush(struct channel *c, struct err *e);

/* Reads what is there. 1 = something was read, 0 = nothing now, -1 = end or error (E_MISSING at a
 * clean end). */
int channel_fill(struct channel *c, struct err *e);

/* The next whole frame, borrowed until the next call on the channel; false when there is none yet.
 * A frame above CHANNEL_FRAME_MAX makes channel_fill fail. */
bool channel_next(struct channel *c, struct str *json);
