#include "egress/names.h"

#include "base/check.h"
#include "base/mem.h"

#include <stdlib.h>
#include <sys/random.h>

/* An address is 198.18.0.0 + generation * NAMES_MAX + slot: 16 generations fill the /15. */
enum { BLOCK = 0xc6120000, BLOCK_MASK = 0xfffe0000, GENERATIONS = (1 << 17) / NAMES_MAX };

static const uint16_t NONE = UINT16_MAX;

struct name_slot {
    struct host name;
    uint32_t holders;
    uint16_t generation;
    uint16_t older, newer;  /* neighbours in order of use */
    uint16_t next_in_chain; /* same hash */
};

struct names {
    uint64_t seed; /* a client that picks names cannot aim at one chain */
    uint16_t used; /* slots that have ever been given out; slot 0 never is: 198.18.0.0 */
    uint16_t oldest, newest;
    uint16_t chains[NAMES_MAX];
    struct name_slot slots[NAMES_MAX]; /* pages are touched as names come */
};

struct names *names_new(void)
{
    struct names *n = mem_get(sizeof *n);
    CHECK(getrandom(&n->seed, sizeof n->seed, 0) == sizeof n->seed);
    n->used = 1;
    n->oldest = n->newest = NONE;
    memset(n->chains, 0xff, sizeof n->chains);
    return n;
}

void names_free(struct names *n)
{
    free(n);
}

static uint16_t *chain_of(struct names *n, const struct host *name)
{
    uint64_t hash = n->seed;
    for (const char *p = name->text; *p; p++)
        hash = (hash ^ (unsigned char)*p) * 0x100000001b3;
    return &n->chains[(hash ^ hash >> 32) % NAMES_MAX];
}

static void unlink_order(struct names *n, uint16_t at)
{
    struct name_slot *s = &n->slots[at];
    *(s->older == NONE ? &n->oldest : &n->slots[s->older].newer) = s->newer;
    *(s->newer == NONE ? &n->newest : &n->slots[s->newer].older) = s->older;
}

static void link_newest(struct names *n, uint16_t at)
{
    n->slots[at].older = n->newest;
    n->slots[at].newer = NONE;
    *(n->newest == NONE ? &n->oldest : &n->slots[n->newest].newer) = at;
    n->newest = at;
}

static void unlink_chain(struct names *n, uint16_t at)
{
    uint16_t *link = chain_of(n, &n->slots[at].name);
    while (*link != at)
        link = &n->slots[*link].next_in_chain;
    *link = n->slots[at].next_in_chain;
}

/* A slot for a new name, out of all lists; NONE when every one is held. */
static uint16_t free_slot(struct names *n)
{
    if (n->used < NAMES_MAX)
        return n->used++;
    uint16_t at = n->oldest;
    while (at != NONE && n->slots[at].holders)
        at = n->slots[at].newer;
    if (at == NONE)
        return NONE;
    unlink_order(n, at);
    unlink_chain(n, at);
    n->slots[at].generation = (uint16_t)((n->slots[at].generation + 1) % GENERATIONS);
    return at;
}

static struct in_addr slot_address(const struct names *n, uint16_t at)
{
    return (struct in_addr){ htonl((uint32_t)BLOCK + n->slots[at].generation * NAMES_MAX + at) };
}

bool names_give(struct names *n, const struct host *name, struct in_addr *out)
{
    uint16_t *chain = chain_of(n, name), at = *chain;
    while (at != NONE && strcmp(n->slots[at].name.text, name->text) != 0)
        at = n->slots[at].next_in_chain;
    if (at != NONE) {
        unlink_order(n, at);
    } else {
        at = free_slot(n);
        if (at == NONE)
            return false;
        n->slots[at].name = *name;
        n->slots[at].next_in_chain = *chain;
        *chain = at;
    }
    link_newest(n, at);
    *out = slot_address(n, at);
    return true;
}

bool names_covers(struct in_addr address)
{
    return (ntohl(address.s_addr) & (uint32_t)BLOCK_MASK) == (uint32_t)BLOCK;
}

/* The slot that has this address now, or NONE. */
static uint16_t slot_of(const struct names *n, struct in_addr address)
{
    if (!names_covers(address))
        return NONE;
    uint16_t at = (uint16_t)(ntohl(address.s_addr) % NAMES_MAX);
    bool given = at > 0 && at < n->used && slot_address(n, at).s_addr == address.s_addr;
    return given ? at : NONE;
}

const struct host *names_find(const struct names *n, struct in_addr address)
{
    uint16_t at = slot_of(n, address);
    return at == NONE ? NULL : &n->slots[at].name;
}

void names_hold(struct names *n, struct in_addr address)
{
    uint16_t at = slot_of(n, address);
    CHECK(at != NONE);
    n->slots[at].holders++;
    unlink_order(n, at);
    link_newest(n, at);
}

void names_drop(struct names *n, struct in_addr address)
{
    uint16_t at = slot_of(n, address);
    CHECK(at != NONE && n->slots[at].holders);
    n->slots[at].holders--;
}
