#include "base/secret.h"

#include <stdlib.h>

void secret_set(struct secret *s, struct str bytes)
{
    char *copy = bytes.n ? str_dup(bytes) : NULL;
    secret_release(s);
    *s = (struct secret){ copy, bytes.n };
}

void secret_release(struct secret *s)
{
    if (s->bytes)
        mem_wipe(s->bytes, s->length);
    free(s->bytes);
    *s = (struct secret){ 0 };
}
