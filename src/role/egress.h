/* egress.h - the process that holds the egress proxy of one run.
 *
 * Started by the supervisor with its end of the channel as descriptor 3. Gives up its rights, takes
 * configuration and listeners from the channel (sandbox/channel.h), and serves until the channel
 * ends. It holds no secret but the run's token and a parent proxy's credentials.
 */
#pragma once

enum { ROLE_EGRESS_CHANNEL = 3 };

/* Returns the exit status: 0 when the supervisor has closed the channel or said finish, 1 when
 * something failed (the reason is on stderr). */
int role_egress(void);
