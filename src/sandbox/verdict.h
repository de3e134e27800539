/* verdict.h - asks the rules about a place, with everything the rules want to know about it.
 *
 * A name is judged twice: before the deed, and after it, because the host or another sandbox may have
 * moved the parent in between. Within one sandbox nobody can: all moves go through the same warden.
 */
#pragma once

#include "sandbox/walk.h"

/* The real path of what `fd` stands for. 0 or errno. */
int pathname_of(struct warden *w, int fd, struct pathname *out);

/* The name that a path of pathname_of stood for until something else took it. False when it has it still. */
bool pathname_former(struct str path, struct str *former);

/* The real path of the place's parent, and its name (without a trailing slash). 0 or errno. */
int pathname_of_place(struct warden *w, const struct place *p, struct pathname *out);

/* One thing that the caller wants to do to a name. */
struct deed {
    enum file_operation operation;
    const struct place *place;   /* parent and name */
    struct pathname path;        /* filled by deed_judge */
    struct file_facts facts;     /* is_directory, device and inode by the caller; the rest filled */
    struct file_verdict verdict; /* FILE_ALLOWED or one of FILE_ONLY_* when deed_judge gave 0 */
};

/* Judges the deed, after making sure that the caller is still there. 0, or the errno for the caller:
 * a denial is reported and gives EACCES, or what the kernel would have said anyway (EEXIST, ENOENT). */
int deed_judge(struct request *q, struct deed *d);

/* The same without a report, for a verdict that the caller of this function reports itself. */
int deed_ask(struct request *q, struct deed *d);

/* What deed_judge makes of the answer `os` of deed_ask. */
int deed_settle(struct request *q, const struct deed *d, int os);
int deed_refuse(struct request *q, const struct deed *d, const char *rule);

/* After the deed: is the place still where it was judged, or somewhere else where it is allowed?
 * False means: undo, and answer what deed_refuse gives. */
bool deed_still_stands(struct request *q, struct deed *d);

/* Reports an allowed call, when somebody wants to know of these. Call it once the deed is done. */
void deed_done(struct request *q, const struct deed *d);
