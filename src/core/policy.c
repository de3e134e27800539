#include "core/policy.h"

#include "base/check.h"

struct judgement policy_judge(const struct tool_grant *grant)
{
    if (!grant->offered)
        return (struct judgement){ .permission = PERMISSION_DENY };
    if (grant->custom)
        return (struct judgement){ .permission = PERMISSION_NONE };
    switch (grant->policy) {
    case POLICY_ALWAYS_ALLOW:
        return (struct judgement){ .permission = PERMISSION_ALLOW, .policy = POLICY_ALWAYS_ALLOW };
    case POLICY_ALWAYS_ASK:
        return (struct judgement){ .permission = PERMISSION_ASK, .policy = POLICY_ALWAYS_ASK };
    case POLICY_AUTO:
        return (struct judgement){ .permission = PERMISSION_ASK,
                                   .policy = POLICY_AUTO,
                                   .reason = STR("indeterminate") };
    case POLICY_NONE:
        break;
    }
    /* Nobody said that it may run. */
    return (struct judgement){ .permission = PERMISSION_DENY };
}

enum repeat policy_repeat(struct str tool)
{
    static const struct str safe[] = { STR("read"), STR("glob"), STR("grep"), STR("web_fetch"),
                                       STR("web_search") };
    for (size_t i = 0; i < sizeof safe / sizeof *safe; i++)
        if (str_eq(tool, safe[i]))
            return REPEAT_SAFE;
    return str_starts(tool, STR("result_")) ? REPEAT_SAFE : REPEAT_NEVER;
}
