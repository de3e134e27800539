/* gitpointer.h - the three files by which git names another directory (contract 3.5).
 *
 * .git/worktrees/NAME/commondir, .git/worktrees/NAME/gitdir and a worktree's .git decide where git
 * takes its configuration and hooks from. `git worktree add` must work, so the command may write them,
 * with the content that git writes and no other: it is handed the end of a pipe, and the file is made,
 * whole, when everything has been written and is legal.
 */
#pragma once

#include "sandbox/verdict.h"

/* Answers an open that would make such a file; `d` was judged FILE_ONLY_... */
int gitpointer_open(struct request *q, struct place *at, const struct deed *d, int flags,
                    mode_t mode);

/* May the file be removed? Only when its content is legal, so that it could be made again. */
bool gitpointer_may_remove(struct request *q, const struct deed *d);

/* Makes the files whose writers have closed them. Called before each call that is served, so that the
 * caller's next step finds what it has just written. */
void gitpointer_settle(struct warden *w);

/* Forgets unfinished files. */
void gitpointer_free(struct warden *w);
