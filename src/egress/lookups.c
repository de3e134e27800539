#include "egress/lookups.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>

enum { PER_SECOND = 50, BURST = 200 };

struct lookup {
    struct host name;
    uint64_t at_ms;
    size_t count;
    struct socket_address list[]; /* ports are 0 */
};

void lookups_init(struct lookups *l, uint64_t now_ms)
{
    *l = (struct lookups){ 0 };
    rate_init(&l->rate, PER_SECOND, BURST, now_ms);
}

void lookups_release(struct lookups *l)
{
    for (size_t i = 0; i < LOOKUPS_KEPT; i++) {
        free(l->items[i]);
        l->items[i] = NULL;
    }
}

size_t lookups_find(const struct lookups *l, const struct host *name, uint64_t now_ms,
                    struct socket_address *out)
{
    for (size_t i = 0; i < LOOKUPS_KEPT; i++) {
        const struct lookup *k = l->items[i];
        if (!k || now_ms - k->at_ms >= LOOKUPS_FRESH_MS || strcmp(k->name.text, name->text) != 0)
            continue;
        memcpy(out, k->list, k->count * sizeof *out);
        return k->count;
    }
    return 0;
}

bool lookups_take(struct lookups *l, uint64_t now_ms)
{
    return rate_take(&l->rate, now_ms);
}

void lookups_put(struct lookups *l, const struct host *name, uint64_t now_ms,
                 const struct socket_address *list, size_t count)
{
    CHECK(count <= RESOLVE_MAX);
    struct lookup **place = &l->items[0];
    for (size_t i = 0; i < LOOKUPS_KEPT; i++) {
        struct lookup *k = l->items[i];
        if (!k || strcmp(k->name.text, name->text) == 0) {
            place = &l->items[i];
            break;
        }
        if (k->at_ms < (*place)->at_ms)
            place = &l->items[i];
    }
    free(*place);
    *place = mem_get(sizeof **place + count * sizeof *list);
    (*place)->name = *name;
    (*place)->at_ms = now_ms;
    (*place)->count = count;
    memcpy((*place)->list, list, count * sizeof *list);
}
