#include "sandbox/seccomp.h"

#include "base/check.h"
#include "sandbox/seccomp_rules.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool names_any(const char *const *list)
{
    return list && *list;
}

int seccomp_program_get(const struct seccomp_choice *choice, struct seccomp_program *out,
                        struct err *e)
{
    CHECK(choice->preset >= 0 && choice->preset < SECCOMP_PRESETS);
    if (choice->without_namespaces || names_any(choice->allow) || names_any(choice->deny)) {
        struct sock_filter *filter;
        if (seccomp_rules_compile(choice, &filter, &out->count, e) < 0)
            return -1;
        out->filter = filter;
        out->owned = true;
        return 0;
    }
    const struct seccomp_built *built = &seccomp_built[seccomp_built_index(choice)];
    *out = (struct seccomp_program){ .filter = built->filter, .count = built->count };
    return 0;
}

void seccomp_program_release(struct seccomp_program *p)
{
    if (p->owned)
        free((void *)p->filter);
    *p = (struct seccomp_program){ 0 };
}

int seccomp_program_load(const struct seccomp_program *p, int *listener, struct err *e)
{
    struct sock_fprog program = { .len = p->count, .filter = (struct sock_filter *)p->filter };
    unsigned long flags = 0;
    if (listener) {
        *listener = -1;
        flags = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
    }
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program);
    /* Before 5.19: a signal that comes while the warden works makes the call start again. */
    if (result < 0 && errno == EINVAL && listener)
        result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER,
                         &program);
    if (result < 0 && errno == EBUSY)
        return err_set(e, E_SANDBOX, 0,
                       "layer seccomp: already inside a sandbox that holds the notification "
                       "listener; a second one cannot be nested");
    if (result < 0)
        return err_set(e, E_SANDBOX, errno, "layer seccomp: load the filter");
    if (listener)
        *listener = (int)result;
    return 0;
}
