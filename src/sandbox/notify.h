/* notify.h - the kernel's seccomp notifications, one at a time.
 *
 * A listener delivers calls of the command that the filter held. Each is answered once: with a result,
 * with a descriptor, or, where nothing hangs on memory that the command can change, by letting the
 * kernel go on with it.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct notify_call {
    int listener;
    uint64_t id;
    pid_t tid; /* of the calling thread, as seen in our pid namespace */
    int number;
    uint64_t args[6];
};

struct notify {
    void *request, *response; /* owned; as large as this kernel's structures */
    size_t request_size, response_size;
    enum notify_giving { GIVING_UNKNOWN, GIVING_AT_ONCE, GIVING_IN_TWO_STEPS } giving;
};

/* Asks the kernel for the sizes of its structures. */
int notify_init(struct notify *n, struct err *e);
void notify_release(struct notify *n);

/* Fetches a call that poll announced. 1, or 0 when its thread has ended meanwhile, or -1 when the
 * listener is of no more use. */
int notify_receive(struct notify *n, int listener, struct notify_call *out);

/* False when the caller has been killed: its pid may belong to somebody else by now. What was read
 * from it before this says true is its own. */
bool notify_is_valid(const struct notify_call *c);

/* The caller gets `value`, or -1 and errno `os` when os is not 0. A caller that is gone is fine. */
void notify_answer(struct notify *n, const struct notify_call *c, int64_t value, int os);

/* The kernel goes on with the call itself. Only for calls without pointers. */
void notify_continue(struct notify *n, const struct notify_call *c);

/* The caller gets a copy of `fd` as its result. 0, or the errno that it must be told instead (EMFILE);
 * a caller that is gone is fine. */
int notify_give(struct notify *n, const struct notify_call *c, int fd, bool close_on_exec);
