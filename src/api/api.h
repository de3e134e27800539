/* api.h - the HTTP API of the control plane (contract sections 1, 2, 4 and 13).
 *
 * Sits between the HTTP server (net/server.h) and the engine. Which call there is, who may make it
 * and what it takes are rows of one table (route.h). Everything runs on the loop thread, but for the
 * reading of large bodies.
 */
#pragma once

#include "api/credential.h"
#include "control/engine.h"
#include "io/loop.h"
#include "net/server.h"

/* What the API works with; borrowed for its life. */
struct api_parts {
    struct loop *loop;
    struct store *store;
    struct engine *engine;
    struct model_set *models;
    struct credentials *credentials;
    struct clock clock;
    struct random_source random;
    unsigned char cursor_key[32]; /* authenticates page cursors; kept over restarts (1.7) */
};

struct api_settings {
    bool has_models;             /* else /readyz says that there are none */
    bool strict_betas;           /* contract 1.3; else a missing beta header is fine */
    bool update_while_running;   /* contract 3.8; as engine_settings has it */
    unsigned creates_per_minute; /* of a workspace; 0: any number (1.10) */
    unsigned reads_per_minute;
    uint64_t ping_ms; /* silence on a stream before a ping: 15 s (contract 1.8) */
};

struct api;

struct api *api_new(const struct api_parts *parts, const struct api_settings *settings);

/* After the server has gone. NULL is fine. */
void api_free(struct api *api);

/* For server_new. */
struct server_handler api_handler(struct api *api);

/* The server whose counters /metrics shows; before the first request. */
void api_set_server(struct api *api, const struct server *server);

/* From now on /readyz says that the server stops, and new requests under /v1 are refused (529). */
void api_stopping(struct api *api);
