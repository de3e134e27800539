#include "core/budget.h"

bool budget_allows(const struct session *s, bool priced)
{
    return !s->budgeted || (priced && s->usage.list_cost < s->cap);
}

bool budget_is_spent(const struct session *s)
{
    return s->budgeted && (s->usage.list_cost >= s->cap || s->stop == STOP_BUDGET_REACHED);
}

int budget_check(const struct session *s, enum budget_change change, uint64_t cap,
                 struct refusal *refusal)
{
    if (change != BUDGET_SET)
        return 0;
    if (!s->budgeted)
        return refusal_set(refusal, 400, "budget_create_only",
                           "budget: a session that was created without one cannot be given one");
    if (cap <= s->usage.list_cost)
        return refusal_set(refusal, 400, "budget_not_raised",
                           "budget.max_list_cost: must exceed what has been consumed already");
    return 0;
}
