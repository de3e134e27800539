/* part.h - single means within a layer that a debug build can switch off (--disable-layer).
 *
 * Where two means of one layer, or a means that belongs to no layer, each stop an attack alone, the
 * tests of the threat model take one of them away. In the program that people install every part is
 * there: part_is_off is a constant.
 */
#pragma once

#include <stdbool.h>

enum part {
    PART_SESSION,       /* init starts a session of its own */
    PART_CLOSE_IN_INIT, /* init closes the caller's descriptors */
    PART_CLOSE_AT_EXEC, /* so does the command before it executes */
    PART_WARDEN,        /* of the filter: notification; rules that only refuse stay */
    PART_MODE_RULES,    /* of the filter: set-id bits are refused by argument */
    PART_DUMPABLE,      /* init and warden cannot be looked into */
    PARTS
};

#ifdef POSTERN_DEBUG_LAYERS
bool part_is_off(enum part p);

/* False for an unknown name. */
bool part_switch_off(const char *name);
#else
static inline bool part_is_off(enum part p)
{
    (void)p;
    return false;
}
#endif
