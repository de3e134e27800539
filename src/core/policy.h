/* policy.h - may a call of a tool run, and may it run twice (API contract 7, architecture 5).
 */
#pragma once

#include "postern/event.h"

/* What the session's snapshot says of the tool that a model called; control looks it up. */
struct tool_grant {
    bool offered; /* known and enabled: it was among the definitions that the model saw */
    bool custom;  /* no policy governs it */
    enum policy policy;
};

struct judgement {
    enum permission permission; /* PERMISSION_NONE: of a custom tool */
    enum policy policy;         /* POLICY_NONE: there is nothing to say about the evaluation */
    struct str reason;          /* reason_code of POLICY_AUTO, a constant; may be empty */
};

/* No judge is there for POLICY_AUTO: it is asked, for an indeterminate reason (contract 11, row
 * 21). What was not offered is denied. */
struct judgement policy_judge(const struct tool_grant *grant);

/* The default for a tool of this name: REPEAT_SAFE for those that only look, REPEAT_NEVER for all
 * others. */
enum repeat policy_repeat(struct str tool);
