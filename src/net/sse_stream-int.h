/* sse_stream-int.h - what the server needs of streams of events. */
#pragma once

#include "net/waits.h"

/* A stream has been silent for ping_ms. */
void sse_stream_late(struct wait *w);
