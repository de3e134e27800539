/* loop-int.h - what the other files of io need of the loop. */
#pragma once

#include "io/loop.h"

#include <stdbool.h>
#include <uv.h>

/* The libuv loop inside. It does what its threads do, look-ups and pool_run, and nothing else. */
uv_loop_t *loop_uv(struct loop *l);

/* The epoll set of all watches. */
int loop_poller(const struct loop *l);

/* One more (+1) or one less (-1) watch that the kernel knows: while there is any, loop_run goes on. */
void loop_hold(struct loop *l, int change);

/* How many look-ups and jobs the pool works on. */
size_t *loop_lookups(struct loop *l);

struct timer;

/* The timers that run: a heap, the earliest first. */
struct deadlines {
    struct timer **items;
    size_t count, cap;
};

struct deadlines *loop_deadlines(struct loop *l);

/* When the earliest is due, in the loop's milliseconds. False when none runs. */
bool deadlines_next(const struct deadlines *d, uint64_t *at_ms);

/* Calls those that are due. */
void deadlines_fire(struct deadlines *d, uint64_t now_ms);

struct watch;

/* The kernel says that a watch's descriptor has these epoll events. */
void watch_happened(struct watch *w, uint32_t events);
