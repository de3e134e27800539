/* errand.h - one call of the API, from its request to its answer.
 *
 * An errand is made when a request has been read whole and its credential is known; its route's
 * handler then ends it by exactly one of errand_answer, errand_fail and their like, at once or any
 * time later on the loop thread. With that it is gone.
 */
#pragma once

#include "api/api.h"
#include "base/arena.h"
#include "control/engine.h"
#include "net/request.h"
#include "proto/json.h"
#include "proto/problems.h"

struct route;

struct errand {
    struct api *api;
    struct request *request;
    const struct route *route;
    struct asker asker;
    int64_t now;                    /* when it was begun */
    struct json *body;              /* an object; NULL: none came */
    struct arena arena;             /* what reads of the store give */
    unsigned tries;                 /* of errand_again */
    void *held;                     /* the handler's own, freed with the errand */
    void (*release)(void *held);    /* what has to be done before; may be NULL */
    void (*then)(struct errand *x); /* where a read or a write goes on */
    struct err err;                 /* of a read on the pool */
    struct errand *next;            /* of those that wait for a turn (turn.h) */
    bool keeps;                     /* the answer is kept under `key` for a repeat */
    unsigned char key[32];
};

/* For api.c. The request is taken. */
struct errand *errand_new(struct api *api, struct request *request, const struct route *route,
                          const struct asker *asker);

/* Reads the body, on the pool when it is large, and calls the route's handler; answers 400 for what is
 * no JSON object or not there. */
void errand_begin(struct errand *x);

/* --- ends --- */

/* 200 with that JSON text. */
void errand_answer(struct errand *x, struct str json);

/* The same with another status or content type; NULL: JSON. */
void errand_answer_status(struct errand *x, int status, const char *content_type, struct str body);

/* An error (contract 1.5). `code` may be NULL. A 409 says that trying again is of no use. */
__attribute__((format(printf, 4, 5))) void errand_fail(struct errand *x, int status,
                                                       const char *code, const char *fmt, ...);

/* 400 with everything that was found. */
void errand_fail_problems(struct errand *x, struct problems *p, const char *code);

void errand_refuse(struct errand *x, const struct refusal *refusal);

/* The store failed: logged with the request's id, 500 without details. */
void errand_fail_store(struct errand *x, const struct err *e);

/* Gives the request away, for a stream: the errand is gone without an answer. */
struct request *errand_yield(struct errand *x);

/* An engine_answer that ends the errand `ctx`. */
void errand_engine(void *ctx, const struct refusal *refusal, struct str json);

/* --- what handlers ask --- */

/* Segment `i` of the path as the name of an object. One that cannot be a name is none: nothing has
 * it. */
struct id errand_id(const struct errand *x, size_t i);

/* The record, of the asker's workspace. 0; -1: answered (404, or 500). */
int errand_record(struct errand *x, enum record_kind kind, const struct id *id, struct record *out);

/* The session in segment 2 (/v1/sessions/{id}/...), which the asker may see: 403 for a worker that
 * serves another one. */
int errand_session(struct errand *x, struct record *out);

/* The environment in segment 2; of a worker's credential it must be its own, else 403. */
int errand_environment(struct errand *x, struct record *out);

/* Another thing changed the record first: runs the handler again, from its beginning, or answers 409
 * when that has been tried often enough. */
void errand_again(struct errand *x);

/* Writes; `then` is called when it is durable, after a conflict errand_again, after a failure the
 * errand is answered. The transaction is taken. */
void errand_write(struct errand *x, struct tx *tx, void (*then)(struct errand *x));

bool errand_is_worker(const struct errand *x);

/* --- parameters of the query (contract 1.4): 0, or -1 and answered with 400 naming the parameter --- */

/* *out keeps its value when the parameter is not there. */
int errand_bool(struct errand *x, const char *name, bool *out);
int errand_integer(struct errand *x, const char *name, int64_t min, int64_t max, int64_t *out);

/* created_at[gte], [gt], [lte], [lt] as from <= t < before; 0: open.
 */
int errand_range(struct errand *x, int64_t *from, int64_t *before);

/* The texts of a list parameter, at most `room`: how many, or -1. */
int errand_texts(struct errand *x, const char *name, struct str *out, size_t room);

/* "asc" or "desc". */
int errand_order(struct errand *x, bool *oldest_first);
