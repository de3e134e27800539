/* retry.h - how long to wait before something is tried again (API contract 4.7 and 8). */
#pragma once

#include "postern/random.h"

#include <stdint.h>

enum { RETRY_SECOND = 1000000 };

/* 1, 2, 4 ... 60 seconds for failure 1, 2, 3 ... in a row, in microseconds; 0 for none. */
int64_t retry_delay(unsigned failures);

/* The same for a model request: up to a quarter less, by chance, so that many sessions do not come
 * back together; at least what the provider asked for (`wanted`, microseconds), but no more than ten
 * minutes. */
int64_t retry_model_delay(unsigned failures, int64_t wanted, const struct random_source *random);
