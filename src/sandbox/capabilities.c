#include "sandbox/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* uid 0 gives nothing at execve, changing uids gives nothing, nothing becomes ambient; all locked. */
#define SECURE_BITS                                                                                \
    (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |                               \
     SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE |                                 \
     SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* The kernel's sets: the low and the high half of each mask. */
struct halves {
    struct __user_cap_data_struct half[_LINUX_CAPABILITY_U32S_3];
};

static struct __user_cap_header_struct header(void)
{
    return (struct __user_cap_header_struct){ .version = _LINUX_CAPABILITY_VERSION_3 };
}

static int permitted_now(uint64_t *out, struct err *e)
{
    struct __user_cap_header_struct head = header();
    struct halves sets = { 0 };
    if (syscall(SYS_capget, &head, &sets) < 0)
        return err_set(e, E_SANDBOX, errno, "layer capabilities: read the sets");
    *out = sets.half[0].permitted | (uint64_t)sets.half[1].permitted << 32;
    return 0;
}

static int set_all(uint64_t mask, uint64_t inheritable, struct err *e)
{
    struct __user_cap_header_struct head = header();
    const uint32_t low = (uint32_t)mask, high = (uint32_t)(mask >> 32);
    struct halves sets = { { { low, low, (uint32_t)inheritable },
                             { high, high, (uint32_t)(inheritable >> 32) } } };
    if (syscall(SYS_capset, &head, &sets) < 0)
        return err_set(e, E_SANDBOX, errno, "layer capabilities: empty the sets");
    return 0;
}

/* Secure bits are set last: where they stand, an earlier call has done all of this for us. */
int capabilities_bound(struct err *e)
{
    if (prctl(PR_GET_SECUREBITS, 0, 0, 0, 0) == SECURE_BITS)
        return 0;
    int cap = 0;
    while (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0)
        cap++;
    if (errno != EINVAL || cap == 0) /* EINVAL: the first number that this kernel does not know */
        return err_set(e, E_SANDBOX, errno, "layer capabilities: bounding set, %d", cap);
    if (prctl(PR_SET_SECUREBITS, SECURE_BITS, 0, 0, 0) < 0)
        return err_set(e, E_SANDBOX, errno, "layer capabilities: secure bits");
    return 0;
}

int capabilities_drop(uint64_t keep, struct err *e)
{
    uint64_t held = 0;
    if (permitted_now(&held, e) < 0)
        return -1;
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        return err_set(e, E_SANDBOX, errno, "layer capabilities: no_new_privs");
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
        return err_set(e, E_SANDBOX, errno, "layer capabilities: ambient set");
    if (held & 1ull << CAP_SETPCAP) {
        if (set_all(held, 0, e) < 0) /* effective, too */
            return -1;
        if (capabilities_bound(e) < 0)
            return -1;
    }
    return set_all(keep & held, 0, e);
}

int capabilities_hand_on(struct err *e)
{
    uint64_t held = 0;
    if (permitted_now(&held, e) < 0 || set_all(held, held, e) < 0)
        return -1;
    for (int cap = 0; held >> cap; cap++)
        if (held >> cap & 1 && prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0)
            return err_set(e, E_SANDBOX, errno, "layer capabilities: ambient set, %d", cap);
    return 0;
}
