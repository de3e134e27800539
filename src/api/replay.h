/* replay.h - answers kept for a client that asks again (contract 1.6).
 *
 * A client whose connection broke repeats its POST with x-stainless-retry-count; when the same
 * credential sends the same bytes to the same path within REPLAY_AGE of an answer that was a success,
 * it gets that answer again. Kept in memory, bounded in number and bytes; the oldest goes first.
 */
#pragma once

#include "base/str.h"

#include <stdbool.h>

enum { REPLAY_MAX = 1024, REPLAY_BYTES = 16 << 20, REPLAY_AGE = 60 * 1000000 };

struct replays;

struct replays *replays_new(void);
void replays_free(struct replays *r);

/* What is asked: credential, path and body. */
void replay_key(struct str credential, struct str path, struct str body, unsigned char key[32]);

/* The answer of at most REPLAY_AGE ago, borrowed until the next call; p NULL: none. */
struct str replays_find(struct replays *r, const unsigned char key[32], int64_t now);

/* Copies the answer; one that is larger than REPLAY_BYTES / 4 is not kept. */
void replays_keep(struct replays *r, const unsigned char key[32], struct str answer, int64_t now);
