/* builtin.h - the tools of the agent toolset (contract 6), as models are told of them. */
#pragma once

#include "postern/event.h"

struct builtin {
    const char *name, *description;
    const char *schema; /* JSON object */
    enum tool_owner owner;
    bool searches; /* needs a search provider */
};

/* In the order of registration. */
enum { BUILTIN_COUNT = 8 };
extern const struct builtin builtins[BUILTIN_COUNT];
