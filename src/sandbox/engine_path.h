/* engine_path.h - where our programs lie.
 *
 * `postern` is static; what needs shared libraries is in programs of its own (`postern-engine`,
 * `postern-control`), which lie beside it or in ../libexec/postern. They are found by our own place
 * and never by PATH (T1).
 */
#pragma once

#include "base/err.h"

#include <limits.h>

/* Our own program as /proc names it. E_SANDBOX when there is no /proc. */
int own_program_path(char path[PATH_MAX], struct err *e);

/* The program `name` that belongs to the program `own`, without links. E_MISSING when there is none. */
int sibling_path(const char *own, const char *name, char path[PATH_MAX], struct err *e);

/* The engine that belongs to the program `own`, without links. E_SANDBOX when there is none. */
int engine_path(const char *own, char path[PATH_MAX], struct err *e);
