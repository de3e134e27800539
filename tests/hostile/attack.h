/* attack.h - what the attack programs share: a table of ways, one line of verdict.
 *
 * A program tries every way of its table, each in a child of its own, because the filter may kill the
 * one who tries. It prints one line, "blocked: why", "ESCAPED: what" or "cannot: why", and ends with
 * 0, 1 or 2. The caller is a test; nothing here is for use outside tests.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* One way to attack. `attempt` returns true when it worked; when it returns false, errno says why
 * not. */
struct way {
    const char *name;
    bool (*attempt)(void);
};

enum verdict { VERDICT_BLOCKED = 0, VERDICT_ESCAPED = 1, VERDICT_CANNOT = 2 };

/* The program's own arguments, for the ways. attack_argument ends the program with "cannot" when
 * there is no such argument. */
extern char **attack_arguments;
extern int attack_argument_count;
const char *attack_argument(int n);

/* Remembers argv and makes stdout unbuffered by lines. Call first. */
void attack_begin(int argc, char **argv);

/* Tries every way and prints the verdict. Returns the exit code of the program. */
int attack_run(const struct way *ways, size_t count);

/* Single verdicts, for programs without a table. Each prints its line and ends the program. */
__attribute__((noreturn, format(printf, 1, 2))) void attack_blocked(const char *format, ...);
__attribute__((noreturn, format(printf, 1, 2))) void attack_escaped(const char *format, ...);
__attribute__((noreturn, format(printf, 1, 2))) void attack_cannot(const char *format, ...);

/* A way says what it found before it returns true: "read 'secret' through /proc/1/root". */
__attribute__((format(printf, 1, 2))) void attack_note(const char *format, ...);

/* Splits PATH into its directory and last name, into buffers of PATH_MAX bytes. */
void attack_split(const char *path, char *directory, char *name);

/* Milliseconds of the monotonic clock, for attacks that go on for a bounded time. */
long attack_now(void);

/* Opens a file by io_uring, without a call that a filter on open sees. A descriptor, or -1. */
int attack_ring_open(const char *path, int flags, mode_t mode);

/* Raw system calls with every argument as the kernel's registers take it, high bits included. */
long raw_call(long number, unsigned long a, unsigned long b, unsigned long c, unsigned long d,
              unsigned long e, unsigned long f);
