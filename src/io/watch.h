/* watch.h - when a descriptor can be read or written.
 *
 * The watch owns the descriptor. Interest is computed by the owner from its queues and set in one
 * place; readiness is level-triggered. The kernel hears of the descriptor at the first interest, so
 * a socket that is served at once costs no registration.
 *
 * Watches stand in an epoll set of their own, which the loop watches as one descriptor: libuv's poll
 * handle makes about ten system calls in the life of a short connection, this makes two.
 */
#pragma once

#include "io/loop.h"

#include <stdbool.h>

/* WATCH_GONE alone: the owner waits for nothing but wants to hear when the connection has failed or both
 * directions have ended. With one of the others it adds nothing. */
enum { WATCH_READ = 1 << 0, WATCH_WRITE = 1 << 1, WATCH_GONE = 1 << 2 };

struct watch;

/* `ready` gets the WATCH_ bits that are ready; after an error all that were asked for, and the next
 * read or write tells. */
typedef void watch_ready(void *ctx, unsigned events);

/* Takes the descriptor, which must be non-blocking, and which nobody else may hold: the kernel then
 * forgets it by itself when it is closed. */
struct watch *watch_new(struct loop *l, int fd, watch_ready *ready, void *ctx);

/* The same for a descriptor of which another process may have a copy, such as a listener. */
struct watch *watch_new_shared(struct loop *l, int fd, watch_ready *ready, void *ctx);

/* Gives the watch to another owner, who sets the interest next. */
void watch_hand(struct watch *w, watch_ready *ready, void *ctx);

void watch_set(struct watch *w, unsigned events);

int watch_fd(const struct watch *w);

/* Closes the descriptor at once. NULL is fine; allowed from the watch's own callback. The callback
 * never runs afterwards. */
void watch_free(struct watch *w);

/* Ends the watch and hands the open descriptor to the caller. */
int watch_take_fd(struct watch *w);
