/* hostile-foreign - system calls of other ABIs, which a filter for one ABI does not see (T7).
 *
 * Prints what became of the child that tries: on a kernel without these ABIs the kernel itself
 * refuses, which counts as blocked too.
 */
#include "attack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifdef __x86_64__

static long call_32(long number, long a, long b, long c)
{
    long result;
    __asm__ volatile("int $0x80" : "=a"(result) : "a"(number), "b"(a), "c"(b), "d"(c) : "memory");
    return result;
}

/* 359 is socket in the 32-bit table. */
static bool by_int_80_socket(void)
{
    return call_32(359, 40 /* AF_VSOCK */, SOCK_STREAM, 0) >= 0;
}

static bool by_int_80_anything(void)
{
    return call_32(20, 0, 0, 0) == getpid();
}

static bool by_int_80_unshare(void)
{
    return call_32(310, 0x10000000, 0, 0) == 0;
}

enum { X32 = 0x40000000 };

static bool by_x32_socket(void)
{
    return syscall(X32 + SYS_socket, 40, SOCK_STREAM, 0) >= 0;
}

static bool by_x32_anything(void)
{
    return syscall(X32 + SYS_getpid) == getpid();
}

static bool by_x32_numbers(void)
{
    /* 512 to 547 are calls of x32 that also exist without its bit on some kernels. */
    for (long number = 512; number < 548; number++)
        if (syscall(X32 + number, 0, 0, 0, 0, 0, 0) >= 0) {
            attack_note("call %ld", number);
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "int 0x80 socket", by_int_80_socket },   { "int 0x80 getpid", by_int_80_anything },
        { "int 0x80 unshare", by_int_80_unshare }, { "x32 socket", by_x32_socket },
        { "x32 getpid", by_x32_anything },         { "x32 numbers", by_x32_numbers },
    };
    attack_begin(argc, argv);
    return attack_run(ways, sizeof ways / sizeof *ways);
}

#else

int main(int argc, char **argv)
{
    attack_begin(argc, argv);
    attack_cannot("no second ABI is known for this machine");
}

#endif
