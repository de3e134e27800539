#include "api/replay.h"

#include "base/buf.h"
#include "io/digest.h"

#include <stdlib.h>

struct kept {
    unsigned char key[DIGEST_SIZE];
    int64_t at;
    char *answer; /* owned; NULL: a free place */
    size_t n;
};

/* A ring: `first` is the oldest. */
struct replays {
    struct kept items[REPLAY_MAX];
    size_t first, count, bytes;
};

struct replays *replays_new(void)
{
    return mem_get(sizeof(struct replays));
}

static void drop_oldest(struct replays *r)
{
    struct kept *oldest = &r->items[r->first];
    mem_wipe(oldest->answer, oldest->n);
    free(oldest->answer);
    r->bytes -= oldest->n;
    *oldest = (struct kept){ 0 };
    r->first = (r->first + 1) % REPLAY_MAX;
    r->count--;
}

void replays_free(struct replays *r)
{
    if (!r)
        return;
    while (r->count)
        drop_oldest(r);
    free(r);
}

void replay_key(struct str credential, struct str path, struct str body, unsigned char key[32])
{
    unsigned char of_body[DIGEST_SIZE];
    AUTO_BUF all = { 0 };
    digest_sha256(body, of_body);
    buf_addf(&all, "%zu %zu ", credential.n, path.n);
    buf_add(&all, credential);
    buf_add(&all, path);
    buf_add(&all, (struct str){ (const char *)of_body, sizeof of_body });
    digest_sha256(buf_str(&all), key);
}

static void drop_old(struct replays *r, int64_t now)
{
    while (r->count && r->items[r->first].at + REPLAY_AGE < now)
        drop_oldest(r);
}

struct str replays_find(struct replays *r, const unsigned char key[32], int64_t now)
{
    drop_old(r, now);
    for (size_t i = r->count; i-- > 0;) {
        struct kept *k = &r->items[(r->first + i) % REPLAY_MAX];
        if (memcmp(k->key, key, DIGEST_SIZE) == 0)
            return (struct str){ k->answer, k->n };
    }
    return (struct str){ 0 };
}

void replays_keep(struct replays *r, const unsigned char key[32], struct str answer, int64_t now)
{
    if (answer.n > REPLAY_BYTES / 4)
        return;
    drop_old(r, now);
    while (r->count == REPLAY_MAX || (r->count && r->bytes + answer.n > REPLAY_BYTES))
        drop_oldest(r);
    struct kept *k = &r->items[(r->first + r->count++) % REPLAY_MAX];
    memcpy(k->key, key, DIGEST_SIZE);
    k->at = now;
    k->answer = str_dup(answer);
    k->n = answer.n;
    r->bytes += answer.n;
}
