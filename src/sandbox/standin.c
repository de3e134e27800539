#include "sandbox/standin.h"

#include "base/check.h"
#include "base/mem.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool holds(int capability)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = { 0 };
    CHECK(syscall(SYS_capget, &head, sets) == 0);
    return sets[CAP_TO_INDEX(capability)].effective & CAP_TO_MASK(capability);
}

bool standin_is_needed(void)
{
    return geteuid() == 0 && !holds(CAP_SETFCAP);
}

int standin_put_on(struct standin *s, struct err *e)
{
    *s = (struct standin){ .uid = geteuid(), .gid = getegid() };
    if (!holds(CAP_SETUID) || !holds(CAP_SETGID))
        return err_set(e, E_SANDBOX, 0,
                       "root here may not map uid 0 (no CAP_SETFCAP), nor become another user "
                       "(no CAP_SETUID and CAP_SETGID)");
    s->group_count = getgroups(0, NULL);
    CHECK(s->group_count >= 0);
    s->groups = mem_array((size_t)s->group_count + 1, sizeof *s->groups);
    s->dumpable = prctl(PR_GET_DUMPABLE);
    CHECK(getgroups(s->group_count, s->groups) == s->group_count);
    if (setgroups(0, NULL) == 0 && setegid(STANDIN_ID) == 0 && seteuid(STANDIN_ID) == 0 &&
        prctl(PR_SET_DUMPABLE, 1) == 0) /* /proc/self must be the child's own */
        return 0;
    int os = errno;
    standin_take_off(s);
    return err_set(e, E_SANDBOX, os, "become uid %d", STANDIN_ID);
}

void standin_take_off(struct standin *s)
{
    CHECK(seteuid(s->uid) == 0 && setegid(s->gid) == 0 &&
          setgroups((size_t)s->group_count, s->groups) == 0);
    prctl(PR_SET_DUMPABLE, s->dumpable == 1);
    free(s->groups);
    s->groups = NULL;
}

int standin_keep(struct err *e)
{
    if (setresgid(STANDIN_ID, STANDIN_ID, STANDIN_ID) < 0 ||
        setresuid(STANDIN_ID, STANDIN_ID, STANDIN_ID) < 0)
        return err_set(e, E_SANDBOX, errno, "layer namespaces: become uid %d", STANDIN_ID);
    return 0;
}
