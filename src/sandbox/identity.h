/* identity.h - the caller's home directories, found without asking a name service.
 *
 * $HOME is the caller's word and may be empty, relative or wrong. Then the passwd file's entry counts
 * as well, so that a deny of "~/.ssh" is never lost (contract 3.4.1, T40). The file is read directly:
 * a name service would load code of the host's choosing into this static program.
 */
#pragma once

#include "base/arena.h"
#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

struct identity {
    uid_t uid;
    /* Absolute, from the arena; the first is what "~" means in an allow, every deny uses all. */
    const char *homes[2];
    size_t home_count; /* at least 1 */
};

/* The caller by its effective uid. `home_variable` is $HOME, NULL when unset. E_SANDBOX when $HOME
 * names no directory and the passwd file has no usable entry either. */
int identity_find(const char *home_variable, struct arena *a, struct identity *out, struct err *e);

/* The same with the passwd file and the uid given. It is read only when $HOME names
 * no directory; one that cannot be opened has no entries. */
int identity_find_in(const char *passwd, uid_t uid, const char *home_variable, struct arena *a,
                     struct identity *out, struct err *e);
