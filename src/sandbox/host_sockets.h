/* host_sockets.h - unix sockets of the host that the mounts cover (contract 3.7).
 *
 * Mounts and namespaces take no part in connecting to a path, and Landlock only from ABI 9 on. Until then
 * the sockets that stand when the sandbox starts are covered by one on which nobody listens: a second
 * time what the warden judges.
 */
#pragma once

#include "sandbox/plan.h"

/* Fills p->sockets: bound paths outside the write roots that the caller may connect to and that no
 * setting lists. At most some hundred; what is beyond is left to the warden. Needs p->rules. */
int host_sockets_find(struct plan *p, struct err *e);
