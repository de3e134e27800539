/* wishes.h - the warden's open wishes: calls that wait until a person has answered (x.ask.files).
 *
 * The caller is blocked in its open; everybody else is served meanwhile (pending.h). When its process
 * ends, the wish is taken back.
 */
#pragma once

#include "sandbox/warden-int.h"

/* Listens for answers on the report socket. 0 or errno. */
int wishes_watch(struct warden *w);

/* Asks for the open of `path`. REQUEST_ANSWERED, or an errno for the caller. */
int wishes_open(struct request *q, struct str path, int flags, mode_t mode);

/* A path that does not exist inside may stand in a hidden directory: true when it may be asked about, with
 * where it would be in *out. Links in what is hidden are not followed. */
bool wishes_find_hidden(struct request *q, int dirfd, const char *path, struct pathname *out);
