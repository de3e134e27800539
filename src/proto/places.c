#include "proto/places.h"

#include "proto/dotted.h"

#include <stdlib.h>

struct place {
    size_t parent, line, index;
    char *key; /* owned; NULL for an item */
};

struct places {
    struct place *all; /* owned; parents before children */
    size_t count, room;
};

struct places *places_new(void)
{
    return mem_get(sizeof(struct places));
}

void places_free(struct places *p)
{
    if (!p)
        return;
    for (size_t i = 0; i < p->count; i++)
        free(p->all[i].key);
    free(p->all);
    free(p);
}

void places_drop(struct places **p)
{
    places_free(*p);
    *p = NULL;
}

static size_t add(struct places *p, struct place one)
{
    if (p->count == p->room) {
        p->room = p->room ? p->room * 2 : 64;
        p->all = mem_grow(p->all, p->room * sizeof *p->all);
    }
    p->all[p->count] = one;
    return p->count++;
}

size_t places_add_member(struct places *p, size_t parent, struct str key, size_t line)
{
    return add(p, (struct place){ .parent = parent, .line = line, .key = str_dup(key) });
}

size_t places_add_item(struct places *p, size_t parent, size_t index, size_t line)
{
    return add(p, (struct place){ .parent = parent, .line = line, .index = index });
}

/* Does `path` go on, behind its first `at` bytes, with this place? The bytes up to its end, or 0. */
static size_t step(const struct place *one, struct str path, size_t at)
{
    AUTO_BUF way = { 0 };
    buf_add(&way, (struct str){ path.p, at });
    if (one->key)
        dotted_key(&way, str_of(one->key));
    else
        dotted_index(&way, one->index);
    bool ends = path.n == way.n || (path.n > way.n && memchr(".[", path.p[way.n], 2));
    return ends && str_starts(path, buf_str(&way)) ? way.n : 0;
}

size_t places_line(const struct places *p, struct str path)
{
    if (p->count == 0)
        return 0;
    size_t here = 0, at = 0;
    for (size_t i = 1; i < p->count && at < path.n; i++) {
        size_t end = p->all[i].parent == here ? step(&p->all[i], path, at) : 0;
        if (end == 0)
            continue;
        here = i;
        at = end;
    }
    return p->all[here].line;
}
