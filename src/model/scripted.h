/* scripted.h - plays a script (script.h) as a model.
 *
 * Time comes through struct alarms, so that the simulator plays scripts on its own clock. Without
 * delays the answer comes with the first alarm after the start.
 */
#pragma once

#include "model/script.h"
#include "postern/model.h"

/* One alarm belongs to one request. `fired` comes once per set, from the loop and never from inside
 * one of these; freeing is allowed at any time, also from inside `fired`. */
struct alarms {
    void *(*make)(void *ctx, void (*fired)(void *arg), void *arg);
    void (*set)(void *ctx, void *alarm, int64_t microseconds); /* from now; 0: soon */
    void (*free)(void *ctx, void *alarm);
    void *ctx;
};

/* As model_ops.start. `script` is borrowed until the call has ended. */
struct model_call *scripted_start(const struct script *script, const struct alarms *alarms,
                                  const struct model_request *request,
                                  const struct model_events *events, void *ctx);

/* A set of one model, served by one script: for tests and the simulator. Everything is borrowed for
 * the set's life; all calls must have ended before it is freed. */
struct model_set *scripted_set_new(const struct script *script, const struct model_info *info,
                                   const struct alarms *alarms);
void scripted_set_free(struct model_set *set);
