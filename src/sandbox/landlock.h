/* landlock.h - Landlock by our own header, up to the newest ABI (ABI 1 = Linux 5.13 ... 9 = 7.1).
 *
 * A rule set only allows; what no rule allows is refused for everything that it "handles". Rules hold
 * on inodes and their trees, so they do not care about mounts, namespaces or names.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* Access rights, named by what they let through; bits as in the kernel's interface. */
#define LL_EXECUTE (1ull << 0)
#define LL_WRITE_FILE (1ull << 1)
#define LL_READ_FILE (1ull << 2)
#define LL_READ_DIR (1ull << 3)
#define LL_REMOVE_DIR (1ull << 4)
#define LL_REMOVE_FILE (1ull << 5)
#define LL_MAKE_CHAR (1ull << 6)
#define LL_MAKE_DIR (1ull << 7)
#define LL_MAKE_REG (1ull << 8)
#define LL_MAKE_SOCK (1ull << 9)
#define LL_MAKE_FIFO (1ull << 10)
#define LL_MAKE_BLOCK (1ull << 11)
#define LL_MAKE_SYM (1ull << 12)
#define LL_REFER (1ull << 13)        /* ABI 2 */
#define LL_TRUNCATE (1ull << 14)     /* ABI 3 */
#define LL_IOCTL_DEV (1ull << 15)    /* ABI 5 */
#define LL_RESOLVE_UNIX (1ull << 16) /* ABI 9 */

#define LL_READ (LL_EXECUTE | LL_READ_FILE | LL_READ_DIR)
#define LL_MAKE                                                                                    \
    (LL_REMOVE_DIR | LL_REMOVE_FILE | LL_MAKE_DIR | LL_MAKE_REG | LL_MAKE_SOCK | LL_MAKE_FIFO |    \
     LL_MAKE_SYM | LL_REFER)
#define LL_WRITE (LL_WRITE_FILE | LL_TRUNCATE | LL_MAKE)

#define LL_BIND_TCP (1ull << 0) /* ABI 4 */
#define LL_CONNECT_TCP (1ull << 1)

#define LL_SCOPE_ABSTRACT_UNIX (1ull << 0) /* ABI 6 */
#define LL_SCOPE_SIGNAL (1ull << 1)

struct landlock_wants {
    uint64_t files, net, scopes; /* what the rule set handles; bits the kernel lacks are dropped */
};

/* The kernel's ABI version, 0 when there is no Landlock. */
int landlock_abi(void);

/* The bits of `wants` that this ABI knows. */
struct landlock_wants landlock_granted(int abi, struct landlock_wants wants);

/* A new rule set descriptor, close-on-exec, or -1. */
int landlock_ruleset(int abi, struct landlock_wants wants, struct err *e);

/* Allows `access` beneath the file or directory behind `path_fd` (O_PATH). Rights that make no sense
 * for a plain file are dropped when it is one. */
int landlock_allow_path(int ruleset, int abi, int path_fd, uint64_t access, struct err *e);

/* The same for what a directory listing says is a directory or not: one call less. Where something else
 * has come in its place meanwhile, it gets no more than its own kind may have. */
int landlock_allow_entry(int ruleset, int abi, int path_fd, bool directory, uint64_t access,
                         struct err *e);

int landlock_allow_port(int ruleset, int abi, uint16_t port, uint64_t access, struct err *e);

/* What the domain refuses goes to the kernel's audit log (ABI 7). Unasked the kernel logs what is refused
 * until the next execve. */
#define LL_LOG_SAME_EXEC_OFF (1u << 0)
#define LL_LOG_NEW_EXEC_ON (1u << 1)
#define LL_LOG_SUBDOMAINS_OFF (1u << 2) /* nor what domains made later, within this one, refuse */

/* Puts the calling thread into the rule set for good. no_new_privs must be set. `log`: LL_LOG bits, dropped
 * where the kernel lacks them. */
int landlock_enter(int ruleset, unsigned log, struct err *e);
