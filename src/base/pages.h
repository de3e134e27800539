/* pages.h - our own pages, taken at once and given back.
 *
 * A start is so short that the page faults of stack and heap are a good part of it, and a sandbox may
 * then wait for hours: what only the start needed should not stay. Both calls are hints; a kernel that
 * does not know them changes nothing.
 */
#pragma once

#include <stdbool.h>

/* Touches the stack below the caller and the heap, as far as a start uses them: one call to the kernel
 * instead of one fault for each page. From then on the heap keeps what is freed. */
void pages_take(void);

/* A child of ours sees none of the program's pages at first, but those that can be written: makes them present. What
 * can be written is shared until either writes it; making it its own at once was no faster than its faults. Does
 * nothing where pages_take was not called. */
void pages_see(void);

/* The stack of a thread that begins, as far as the warden's goes. As pages_see. */
void pages_take_stack(void);

/* Gives back the stack below the caller and what the heap has free. Costs as much as it saved, so it is for
 * who has been idle for PAGES_IDLE_MS. */
void pages_give_back(void);

enum { PAGES_IDLE_MS = 100 };

/* The timeout of a loop that still has pages to give back: `timeout`, or sooner. -1 = none. */
static inline int pages_timeout(bool has_pages, int timeout)
{
    return has_pages && (timeout < 0 || timeout > PAGES_IDLE_MS) ? PAGES_IDLE_MS : timeout;
}
