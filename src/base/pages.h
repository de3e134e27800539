/* pages.h - our own pages, taken at once and given back.
 *
 * A start is so short that the page faults of stack and heap are a good part of it, and a sandbox may
 * then wait for hours: what only the start needed should not stay. Both calls are hints; a kernel that
 * does not know them changes nothing.
 */
#pragma once

/* Touches the stack below the caller and the heap, as far as a start uses them: one call to the kernel
 * instead of one fault for each page. */
void pages_take(void);

/* Gives back the stack below the caller and what the heap has free. */
void pages_give_back(void);
