/* marks.h - from resolved places to mounts and hidden paths.
 *
 * The precedence of contract 3.4.3 in one place: every listed place becomes a mark; the marks are
 * walked from parents to children with the state "visible or hidden, writable or not", and a mount is
 * planned only where the state changes.
 */
#pragma once

#include "sandbox/plan.h"

/* Fills p->mounts and p->hidden from the places of *p. */
int marks_compile(struct plan *p, const struct plan_request *request, struct err *e);
