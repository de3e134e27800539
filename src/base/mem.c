#include "base/mem.h"

#include "base/check.h"

#include <stdlib.h>
#include <string.h>

void *mem_get(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    CHECK(p);
    return p;
}

void *mem_array(size_t count, size_t size)
{
    size_t n;
    CHECK(!__builtin_mul_overflow(count, size, &n));
    return mem_get(n);
}

void *mem_grow(void *p, size_t n)
{
    void *bigger = realloc(p, n ? n : 1);
    CHECK(bigger);
    return bigger;
}

void mem_wipe(void *p, size_t n)
{
    if (n)
        explicit_bzero(p, n);
}

void mem_drop(void *pointer_variable)
{
    free(*(void **)pointer_variable);
}
