/* seccomp_calls.h - the calls by name: which ones the filter refuses, hands over, or looks into.
 *
 * The tables that seccomp_rules.c compiles, --explain prints and the settings are checked against.
 */
#pragma once

#include <stdbool.h>

/* Calls above it were not known when the tables were made: they get ENOSYS, as on an older kernel. */
enum { SECCOMP_NEWEST_CALL = 469 };

struct seccomp_refusal {
    const char *name;
    unsigned presets; /* in which it is refused, one bit each */
    int os;
    bool unless_nested; /* let through with allowNestedUserNamespaces */
};

/* Ends with a row without a name. */
extern const struct seccomp_refusal seccomp_refusals[];

/* Lists of names that end with NULL. Judged: every use goes to the warden. Ipc: shared objects by a number or a
 * key, which the warden keeps apart. Partly: refused or judged for some of their arguments. */
extern const char *const seccomp_judged_calls[], *const seccomp_ipc_calls[],
                                                     *const seccomp_partly_calls[];

/* The number of a call here; negative when this architecture has no such call. */
int seccomp_call_number(const char *name);

/* `list` ends with NULL; NULL is an empty one. */
bool seccomp_call_is_listed(const char *const *list, const char *name);
