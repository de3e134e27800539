/* fuzz.h - what every fuzz target offers: one function that gets one input.
 *
 * A target checks a property with CHECK; libFuzzer or replay.c calls it.
 */
#pragma once

#include "base/check.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);
