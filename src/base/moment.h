/* moment.h - points in time as the API shows them: RFC 3339 in UTC with six digits of a second
 * (API contract 0, rule 4). A moment is microseconds since 1970.
 */
#pragma once

#include "base/str.h"
#include "postern/clock.h"
#include "postern/random.h"

enum { MOMENT_SIZE = 28 }; /* "2026-11-25T02:13:07.000000Z" and a NUL */

/* For moments from year 0 to 9999; others are cut to the nearest of these. */
void moment_write(char out[MOMENT_SIZE], int64_t moment);

/* Any RFC 3339 time with an offset; digits beyond microseconds are dropped. */
bool moment_read(struct str text, int64_t *out);

/* The machine's own clock and the kernel's random bytes. */
struct clock clock_of_machine(void);

/* The same for a server, whose leases and deadlines must not all end at once, or never, because somebody
 * sets the machine's clock: it counts time itself and comes to agree with that clock by going at most
 * a tenth faster or slower. It never goes back. Of one thread. */
struct steady {
    int64_t now, counted; /* private; zeroed before its first use */
};
struct clock clock_steady(struct steady *s);

/* One step, for tests: the machine's clock says `machine`, since an unchanging moment `counted` has
 * passed. The new now. */
int64_t steady_step(struct steady *s, int64_t machine, int64_t counted);
struct random_source random_of_kernel(void);
