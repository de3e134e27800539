#include "control/usage_json.h"

#include "control/scalar.h"
#include "proto/json_slice.h"
#include "proto/json_write.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

void usage_json_show(struct buf *b, const struct usage *u)
{
    json_write_object(b);
    json_member_u64(b, "input_tokens", u->input_tokens);
    json_member_u64(b, "output_tokens", u->output_tokens);
    json_member_u64(b, "cache_read_input_tokens", u->cache_read_input_tokens);
    json_write_key(b, STR("cache_creation"));
    json_write_object(b);
    json_member_u64(b, "ephemeral_5m_input_tokens", u->cache_creation_5m_input_tokens);
    json_member_u64(b, "ephemeral_1h_input_tokens", u->cache_creation_1h_input_tokens);
    json_write_object_end(b);
    seconds_member(b, "active_seconds", u->active);
    json_write_key(b, STR("list_cost"));
    if (u->priced) {
        char cents[24];
        snprintf(cents, sizeof cents, "%" PRIu64, u->list_cost / 1000000);
        json_write_object(b);
        json_member_text(b, "amount", cents);
        json_member_text(b, "currency", "USD");
        json_write_object_end(b);
    } else {
        json_write_null(b);
    }
    json_write_key(b, STR("server_tool_use"));
    if (u->web_search_requests || u->web_fetch_requests) {
        json_write_object(b);
        json_member_u64(b, "web_search_requests", u->web_search_requests);
        json_member_u64(b, "web_fetch_requests", u->web_fetch_requests);
        json_write_object_end(b);
    } else {
        json_write_null(b);
    }
    json_write_object_end(b);
}

static const struct {
    const char *name;
    size_t offset;
} usage_counts[] = {
    { "input", offsetof(struct usage, input_tokens) },
    { "output", offsetof(struct usage, output_tokens) },
    { "cache_read", offsetof(struct usage, cache_read_input_tokens) },
    { "cache_5m", offsetof(struct usage, cache_creation_5m_input_tokens) },
    { "cache_1h", offsetof(struct usage, cache_creation_1h_input_tokens) },
    { "searches", offsetof(struct usage, web_search_requests) },
    { "fetches", offsetof(struct usage, web_fetch_requests) },
    { "cost", offsetof(struct usage, list_cost) },
};
enum { USAGE_COUNTS = sizeof usage_counts / sizeof *usage_counts };

void usage_json_write(struct buf *b, const struct usage *u)
{
    json_write_object(b);
    for (size_t i = 0; i < USAGE_COUNTS; i++)
        json_member_u64(b, usage_counts[i].name,
                        *(const uint64_t *)((const char *)u + usage_counts[i].offset));
    json_member_bool(b, "priced", u->priced);
    json_member_i64(b, "active", u->active);
    json_write_object_end(b);
}

bool usage_json_read(struct str value, struct usage *out)
{
    *out = (struct usage){ 0 };
    for (size_t i = 0; i < USAGE_COUNTS; i++)
        if (!json_slice_u64(json_slice_get(value, usage_counts[i].name),
                            (uint64_t *)((char *)out + usage_counts[i].offset)))
            return false;
    return json_slice_bool(json_slice_get(value, "priced"), &out->priced) &&
           json_slice_i64(json_slice_get(value, "active"), &out->active);
}
