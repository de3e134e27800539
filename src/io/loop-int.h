/* loop-int.h - what the other files of io need of the loop. */
#pragma once

#include "io/loop.h"

#include <uv.h>

/* The libuv loop inside. */
uv_loop_t *loop_uv(struct loop *l);

/* The epoll set of all watches. */
int loop_poller(const struct loop *l);

/* One more (+1) or one less (-1) watch that the kernel knows: while there is any, loop_run goes on. */
void loop_hold(struct loop *l, int change);

/* How many look-ups the pool works on. */
size_t *loop_lookups(struct loop *l);

struct watch;

/* The kernel says that a watch's descriptor has these epoll events. */
void watch_happened(struct watch *w, uint32_t events);
