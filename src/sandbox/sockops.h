/* sockops.h - the socket calls that the warden performs on the command's own socket. */
#pragma once

#include "sandbox/reach.h"
#include "sandbox/warden-int.h"

int sockop_connect(struct request *q, int socket, uint64_t address, uint32_t length);
int sockop_bind(struct request *q, int socket, uint64_t address, uint32_t length);

int sockop_listen(struct request *q, int socket, int backlog);

/* Judges where `a`, read from the caller, leads a socket of ours that is a copy of the caller's. 0, or
 * the errno for the caller. When it names a path, *object (the caller of this function closes it) is what
 * stands there, to be used in its place; else it is left alone. */
int sockop_judge(struct request *q, int socket, const union address *a, uint32_t length,
                 int *object);

/* Until when (monotonic ns) the caller itself would wait to connect or send; 0 = for ever. */
int64_t sockop_deadline(int socket);
