/* dialer.h - sockets of the sandbox's network, made by init for the egress proxy (egress/inlet.h).
 *
 * Init makes them and nothing else: it neither connects nor reads, and who asks can have no more than a
 * TCP socket that belongs to the sandbox's own network.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* *inner stays with init, *outer is for the proxy; both are the caller's. */
int dialer_make(int *inner, int *outer, struct err *e);

/* Answers what has been asked for, a bounded number at a time. False when the proxy is gone. */
bool dialer_serve(int inner);
