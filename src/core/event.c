#include "postern/event.h"

bool event_is_internal(enum event_type type)
{
    return type >= EVENT_INTERNAL_CREATED && type <= EVENT_INTERNAL_CLOSED;
}

bool event_is_extension(enum event_type type)
{
    return type >= EVENT_POSTERN_CALL_STARTED && type <= EVENT_POSTERN_APPROVAL_RESOLVED;
}
