/* api-int.h - what the files of this folder share. */
#pragma once

#include "api/api.h"
#include "api/replay.h"
#include "api/throttle.h"
#include "base/table.h"

struct api {
    struct api_parts parts;
    struct api_settings settings;
    const struct server *server;
    struct replays *replays;
    struct throttle *creates, *reads; /* NULL: no limit */
    struct table turns;               /* objects that an errand is at work on (turn.h) */
    bool stopping;
    uint64_t streams, unauthorized, throttled, replayed; /* for /metrics */
};
