/* failure.h - what a provider's error means to the agent loop.
 *
 * Providers agree on little: statuses, types, codes and phrases are looked at, the most telling first.
 */
#pragma once

#include "base/buf.h"
#include "postern/model.h"
#include "proto/json.h"

/* What a provider said; all may be empty, `status` 0. */
struct complaint {
    int status;
    struct str type, code, message;
};

/* Reads {"error": {type, code, message}}, {"error": "text"} and {"message": ..., "code": ...};
 * texts are borrowed from `body`, which may be NULL. A number as the code is a status when there is
 * none. */
struct complaint complaint_read(int status, const struct json *body);

enum model_failure complaint_meaning(const struct complaint *c);

/* Texts that no message may hold; borrowed. */
struct hidden {
    const struct str *texts;
    size_t count;
};

/* Appends what the provider said for people: at most 300 bytes of one line, secrets taken out, and
 * nothing at all where the key itself is the matter. */
void complaint_write(struct buf *out, const struct complaint *c, struct hidden secrets);

/* The time that retry-after (seconds) or retry-after-ms asks for, in microseconds; an hour at most, 0
 * when neither can be read. A date is not read: it would need the provider's clock. */
int64_t retry_after_read(struct str retry_after, struct str retry_after_ms);
