#include "base/pages.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum {
    STACK_SIZE = 56 << 10,
    THREAD_STACK_SIZE = 16 << 10,
    HEAP_SIZE = 64 << 10,
    KEPT_SIZE = 64 << 20,
    POPULATE_READ = 22, /* Linux 5.14 */
    POPULATE_WRITE = 23,
};

/* From the linker: where the program begins, and where what is written in it. */
extern char __executable_start[], data_start[];

static bool taken;

static uintptr_t page_of(const void *p)
{
    return (uintptr_t)p & ~(uintptr_t)(sysconf(_SC_PAGESIZE) - 1);
}

void pages_take(void)
{
    const uintptr_t stack = page_of(__builtin_frame_address(0));
    mallopt(M_TRIM_THRESHOLD, KEPT_SIZE);
    char *heap = malloc(1);
    madvise((void *)(stack - STACK_SIZE), STACK_SIZE, POPULATE_WRITE);
    if (heap && (uintptr_t)sbrk(0) >= page_of(heap) + HEAP_SIZE)
        madvise((void *)page_of(heap), HEAP_SIZE, POPULATE_WRITE);
    free(heap);
    taken = true;
}

void pages_see(void)
{
    const uintptr_t start = page_of(__executable_start);
    if (taken)
        madvise((void *)start, page_of(data_start) - start, POPULATE_READ);
}

void pages_take_stack(void)
{
    const uintptr_t stack = page_of(__builtin_frame_address(0));
    if (taken)
        madvise((void *)(stack - THREAD_STACK_SIZE), THREAD_STACK_SIZE, POPULATE_WRITE);
}

void pages_give_back(void)
{
    /* The page below may hold the end of this frame and the call's own. */
    const uintptr_t stack = page_of(__builtin_frame_address(0)) - (uintptr_t)sysconf(_SC_PAGESIZE);
    madvise((void *)(stack - STACK_SIZE), STACK_SIZE, MADV_DONTNEED);
    malloc_trim(0);
}
