/* frame.h - the members of a frame from the proxy (sandbox/channel.h).
 *
 * The proxy parses hostile bytes, so nothing is taken for granted: a member that is missing or of
 * another kind reads as NULL or 0.
 */
#pragma once

#include "proto/json.h"

#include <stdint.h>

/* Borrowed from the frame; NUL-terminated. */
const char *frame_text(const struct json *frame, const char *key);
uint64_t frame_number(const struct json *frame, const char *key);

/* A port; 0 for anything that is none. */
uint16_t frame_port(const struct json *frame, const char *key);
