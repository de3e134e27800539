/* route.h - which calls there are: one row for each, with who may make it and what it takes.
 *
 * The table drives routing, credentials, body limits and the answers 404 and 405; docs/api.md shows
 * the same rows, and a test holds the two together.
 */
#pragma once

#include "api/credential.h"
#include "net/request.h"

struct errand;

enum route_takes {
    TAKES_NOTHING, /* a body is read and passed over */
    TAKES_OBJECT,  /* a JSON object, required */
    MAY_TAKE_OBJECT,
    TAKES_LIST /* a JSON array, or an object that holds it */
};

enum route_flag {
    ROUTE_CREATES = 1 << 0, /* counts as a create; a repeat gets the stored answer (1.6) */
    ROUTE_OPEN = 1 << 1,    /* no credential: health and metrics */
    ROUTE_LATE = 1 << 2     /* takes a sessions token of an earlier claim (4.5, row 9) */
};

struct route {
    const char *method, *pattern; /* "/v1/agents/{agent_id}" */
    unsigned who;                 /* CREDENTIAL_... that may call it */
    enum route_takes takes;
    unsigned flags;
    void (*handle)(struct errand *x);
};

/* The i-th row, NULL beyond the end. */
const struct route *route_at(size_t i);

/* The row for a request; NULL: there is none. *other is then the first row with that path and another
 * method, or NULL. */
const struct route *route_find(const struct request *r, const struct route **other);

/* Whether a pattern fits decoded segments. */
bool route_fits(const char *pattern, const struct str *segments, size_t count);

/* "GET, POST": the methods of a request's path, for 405. */
void route_methods(const struct request *r, struct buf *out);
