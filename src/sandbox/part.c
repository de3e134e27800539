#include "sandbox/part.h"

#include <stddef.h>
#include <string.h>

/* Of the whole process, and of init and warden, which are its copies. */
static bool off[PARTS];

bool part_is_off(enum part p)
{
    return off[p];
}

bool part_switch_off(const char *name)
{
    static const char *const names[PARTS] = {
        [PART_SESSION] = "session",
        [PART_CLOSE_IN_INIT] = "close-in-init",
        [PART_CLOSE_AT_EXEC] = "close-at-exec",
        [PART_WARDEN] = "warden",
        [PART_MODE_RULES] = "mode-rules",
        [PART_DUMPABLE] = "dumpable",
    };
    for (size_t i = 0; i < PARTS; i++)
        if (strcmp(names[i], name) == 0)
            return off[i] = true;
    return false;
}
