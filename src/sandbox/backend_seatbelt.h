/* backend_seatbelt.h - the same plan as a macOS sandbox profile.
 *
 * Written completely, compared with stored profiles in the tests, and never run: there is no macOS
 * here. Denies of names that do not exist yet are regular expressions there, because Seatbelt judges
 * paths itself at the moment of the call.
 */
#pragma once

#include "base/buf.h"
#include "sandbox/plan.h"

/* Appends the profile's text. `http_port` is the port of the proxy on loopback; everything else of the
 * network is denied. */
void seatbelt_profile(const struct plan *p, uint16_t http_port, struct buf *out);
