/* loop-int.h - what the other files of io need of the loop. */
#pragma once

#include "io/loop.h"

#include <uv.h>

/* The libuv loop inside. */
uv_loop_t *loop_uv(struct loop *l);
