/* seccomp_rules.h - what the filter says about each system call, and its compilation.
 *
 * The table is compiled twice: by the generator at build time for every preset, and at start when the
 * settings name calls of their own.
 */
#pragma once

#include "sandbox/seccomp.h"

#include <linux/audit.h>

#if defined(__x86_64__)
#define SECCOMP_OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__)
#define SECCOMP_OUR_ARCH AUDIT_ARCH_AARCH64
#else
#error "the filter was written for x86_64 and aarch64"
#endif

enum { SECCOMP_PRESETS = 3 };

/* Compiles `choice` into a program; the caller frees *filter. A wrong name in allow or deny is
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
/* Three ways to hand over: nothing, names, names and sends. */
enum { SECCOMP_WAYS = 3, SECCOMP_BUILT = SECCOMP_PRESETS * 8 * SECCOMP_WAYS };
extern const struct seccomp_built seccomp_built[SECCOMP_BUILT];

/* The choice's place in seccomp_built; allow and deny do not count. */
static inline unsigned seccomp_built_index(const struct seccomp_choice *c)
{
    const unsigned way = c->notify ? 1u + c->sends : 0;
    return (((unsigned)c->preset * 2 + c->nested_user_namespaces) * 4 + c->every_open * 2u +
            c->no_setid) *
               SECCOMP_WAYS +
           way;
}
