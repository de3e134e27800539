/* sendops.h - sends, on kernels that do not watch which unix socket a datagram goes to (before Landlock
 * ABI 9).
 *
 * A unix datagram socket can name a path in every send, and the name stands in memory. So as soon as the
 * command wants such a socket, every send that may carry a name is done by the warden, on what it has
 * read and judged. Until then nothing that the command holds reaches a path by sending, whatever its
 * memory says, and the kernel goes on with its sends itself: most commands never make one, and keep what
 * only their own sends have (their pid in SCM_CREDENTIALS).
 */
#pragma once

#include "sandbox/warden-int.h"

/* socket or socketpair of AF_UNIX datagrams. The first one waits until no send is under way that was
 * let through before. */
int sendop_socket(struct request *q);

int sendop_to(struct request *q, const uint64_t args[6]);
int sendop_message(struct request *q, const uint64_t args[6]);
int sendop_messages(struct request *q, const uint64_t args[6]);
