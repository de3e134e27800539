/* brake.h - no user namespace is made inside: the kernel's own limit, set to 0 in the sandbox's.
 *
 * Containers often have a read-only /proc/sys, or none. The limit is then out of reach, and the filter alone
 * refuses what makes a user namespace (contract 11: degraded, unless the filter is told not to).
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* By who owns the user namespace it is in. */
int brake_put_on(struct err *e);

/* What brake_put_on said means that it cannot be had here, and not that something went wrong. */
bool brake_is_out_of_reach(const struct err *e);

#define BRAKE_WHY                                                                                  \
    "user.max_user_namespaces cannot be set (/proc/sys is read-only or missing): the filter "      \
    "alone "                                                                                       \
    "refuses new user namespaces"
