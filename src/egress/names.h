/* names.h - which name each address of 198.18.0.0/15 stands for (contract 4.2).
 *
 * The private resolver gives names out, the transparent listener turns an address back into its
 * name. A name keeps its address for the run, unless the table is full: then the name that was
 * unused for longest gives way, and its address is not given out again before fifteen others of the
 * same slot have been.
 */
#pragma once

#include "egress/domains.h"

#include <netinet/in.h>

enum { NAMES_MAX = 8192 };

struct names;

struct names *names_new(void);
void names_free(struct names *n);

/* The address of a name, new or known, in network order. False when every slot is in use. */
bool names_give(struct names *n, const struct host *name, struct in_addr *out);

/* The name behind an address, borrowed until the next names_give; NULL when there is none. */
const struct host *names_find(const struct names *n, struct in_addr address);

/* While a connection uses an address its name is not evicted. Calls come in pairs. */
void names_hold(struct names *n, struct in_addr address);
void names_drop(struct names *n, struct in_addr address);

/* True for every address of 198.18.0.0/15. */
bool names_covers(struct in_addr address);
