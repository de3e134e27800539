/* work_record.h - a work item as the store keeps it and as the API shows it (contract 2.3).
 *
 * state: its state; number: 1 when it is a dead letter, else 0; secret: of the sessions token of its
 * latest claim. The tokens of earlier claims are remembered in the body, a few of them, so that who
 * still holds one is told that it lost the item (4.5, row 9).
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "core/work.h"
#include "postern/store.h"

enum { SUPERSEDED_MAX = 8 };

struct work_record {
    struct work work;
    struct id workspace;
    int64_t revision; /* 0: not written yet */
    bool claimed;     /* `secret` means something */
    struct sha256 secret;
    struct sha256 superseded[SUPERSEDED_MAX]; /* the latest first */
    size_t superseded_count;
    char *metadata; /* owned, JSON object; NULL: {} */
};

void work_record_release(struct work_record *r);

/* The token of the claim so far, if there is one, is an earlier one from now on. */
void work_record_supersede(struct work_record *r);

/* For tx_put: texts are borrowed from *r and `body`, which is emptied first. */
void work_record_write(const struct work_record *r, struct buf *body, struct record *out);

/* -1 with *e (E_BUG). On success *out is the caller's to release. */
int work_record_read(const struct record *record, struct work_record *out, struct err *e);

/* As the API shows it, appended. `secret` empty: null. */
void work_record_show(const struct work_record *r, struct str secret, struct buf *out);
