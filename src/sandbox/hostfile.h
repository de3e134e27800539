/* hostfile.h - opens a file of the host for a wish that a person has granted (contract 8, x.ask.files).
 *
 * Runs in the supervisor, which sees the host as it is, so everything is judged here once more and on
 * the path that the warden has resolved: no link is followed, nothing but a regular file is opened, and
 * neither kernel file systems nor our own files, nor what a list or a mandatory name denies, under any
 * name (T24, T29, T39).
 */
#pragma once

#include "sandbox/plan.h"
#include "sandbox/wish.h"

/* May anybody be asked? 0, or the errno for the command: the kernel's own (the file is not there, the user
 * may not), or EACCES with *rule, what forbids it. */
int hostfile_check(const struct plan *p, const struct wish *w, const char **rule);

/* Checks again and opens. *fd is the caller's, *made says that the file was not there before. 0 or errno.
 * The caller is single-threaded: our umask is changed for the time of the call. */
int hostfile_open(const struct plan *p, const struct wish *w, int *fd, bool *made);
