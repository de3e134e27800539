/* seccomp_rules.h - what the filter says about each system call, and its compilation.
 *
 * The table is compiled twice: by the generator at build time for every preset, and at start when the
 * settings name calls of their own.
 */
#pragma once

#include "sandbox/seccomp.h"

enum { SECCOMP_PRESETS = 3 };

/* Compiles `choice` into a program; the caller frees *filter. An unknown name in allow or deny is
 * E_INPUT. */
int seccomp_rules_compile(const struct seccomp_choice *choice, struct sock_filter **filter,
                          unsigned short *count, struct err *e);

/* "default", "strict", "compat". */
const char *seccomp_preset_name(int preset);

/* One of the programs that are linked in; its place in the list is seccomp_built_index. */
struct seccomp_built {
    const struct sock_filter *filter;
    unsigned short count;
};
enum { SECCOMP_BUILT = SECCOMP_PRESETS * 16 };
extern const struct seccomp_built seccomp_built[SECCOMP_BUILT];

/* The choice's place in seccomp_built; allow and deny do not count. */
static inline unsigned seccomp_built_index(const struct seccomp_choice *c)
{
    return ((unsigned)c->preset * 2 + c->nested_user_namespaces) * 8 + c->every_open * 4u +
           c->no_setid * 2u + c->notify;
}
