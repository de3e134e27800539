/* first_bytes.h - is this the stream that was judged? (threat T15, contract 3.3.6 and 4.2)
 *
 * A tunnel that begins with a TLS greeting must name the host that was judged. Everything that is
 * not TLS passes: SSH, databases and mail begin otherwise.
 */
#pragma once

#include "egress/policy.h"

enum first_bytes { FIRST_BYTES_MORE, FIRST_BYTES_PASS, FIRST_BYTES_REFUSE };

/* `bytes` is all that the client has sent so far. With FIRST_BYTES_REFUSE, *reason is a static text.
 *
 * The server name must be the host. No server name passes, unless requireHostMatch: it names nobody
 * else. Towards an IP literal a name passes when it is allowed itself; so does, towards any host, the
 * outer name of an encrypted greeting (ECH). */
enum first_bytes first_bytes_judge(const struct egress_policy *p, const struct host *h,
                                   uint16_t port, struct str bytes, const char **reason);
