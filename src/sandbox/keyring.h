/* keyring.h - the session keyring of a run (contract 2.4, T20). */
#pragma once

#include "base/err.h"

/* Gives the calling process a new, empty and anonymous session keyring, so that the host's keys are
 * out of reach of it and of all it starts. Where no call on keys is let through at all (a kernel
 * without keyrings, a container's filter) there is nothing to hide. */
int keyring_renew(struct err *e);
