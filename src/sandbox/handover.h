/* handover.h - gives the caller of a judged call its descriptor.
 *
 * What was judged is held by an O_PATH descriptor and opened through it, whatever its name has come to
 * mean since. `flags` are those of the caller's open.
 */
#pragma once

#include "sandbox/warden-int.h"

/* Opens the object that we hold, close-on-exec; -1 and errno. */
int handover_reopen(struct warden *w, int object, int flags);

/* The caller gets a copy of `fd`. REQUEST_ANSWERED or errno. */
int handover_give(struct request *q, int fd, int flags);

/* The same for one that was opened with an O_NONBLOCK of ours, so that we need not wait. */
int handover_blocking(struct request *q, int fd, int flags);

/* /dev/stdout and the like may lead to what cannot be opened here: a file outside the write roots, a
 * terminal of a devpts outside. The caller then gets what it has already as its descriptor `own`, and no
 * more rights than that gives. -1 as `own`: EACCES. */
int handover_own(struct request *q, int own, int flags);
