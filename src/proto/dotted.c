#include "proto/dotted.h"

enum { KEY_SHOWN = 64 };

size_t dotted_key(struct buf *path, struct str key)
{
    size_t was = path->n;
    if (was)
        buf_add_byte(path, '.');
    struct str shown = { key.p, key.n < KEY_SHOWN ? key.n : KEY_SHOWN };
    while (shown.n < key.n && shown.n && ((unsigned char)key.p[shown.n] & 0xc0) == 0x80)
        shown.n--; /* not in the middle of a character */
    for (size_t i = 0; i < shown.n; i++) {
        unsigned char byte = (unsigned char)shown.p[i];
        buf_add_byte(path, byte < 0x20 || byte == 0x7f ? '?' : shown.p[i]);
    }
    if (shown.n < key.n)
        buf_add(path, STR("..."));
    return was;
}

size_t dotted_index(struct buf *path, size_t i)
{
    size_t was = path->n;
    buf_addf(path, "[%zu]", i);
    return was;
}

void dotted_leave(struct buf *path, size_t was)
{
    path->n = was;
    if (path->p)
        path->p[was] = '\0';
}
