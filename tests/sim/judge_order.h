/* judge_order.h - may this event stand here (contract 3.4 to 3.6)? */
#pragma once

#include "judge.h"

/* `v->s` is the state before it. */
void judge_order(struct world *w, struct view *v, const struct event *e, bool internal);

/* Does an input of this id wait? */
bool judge_was_queued(const struct view *v, const struct id *id);
