/* budget.h - what a session may cost (API contract 3.9). Costs are millionths of a US cent. */
#pragma once

#include "core/session.h"

/* May one more model request be made? Never when nobody can say what it costs. */
bool budget_allows(const struct session *s, bool priced);

/* Are only answers to what is open accepted (contract 3.2)? */
bool budget_is_spent(const struct session *s);

/* Can the budget be changed so? 0, -1 with *refusal. */
int budget_check(const struct session *s, enum budget_change change, uint64_t cap,
                 struct refusal *refusal);
