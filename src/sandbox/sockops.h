/* sockops.h - the socket calls that the warden performs on the command's own socket. */
#pragma once

#include "sandbox/warden-int.h"

int sockop_connect(struct request *q, int socket, uint64_t address, uint32_t length);
int sockop_bind(struct request *q, int socket, uint64_t address, uint32_t length);

int sockop_listen(struct request *q, int socket, int backlog);

/* socket or socketpair of AF_UNIX datagrams: refused unless the kernel watches where they go. */
int sockop_datagram(struct request *q);
