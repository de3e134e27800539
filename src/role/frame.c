#include "role/frame.h"

const char *frame_text(const struct json *frame, const char *key)
{
    struct str text;
    const struct json *v = json_get(frame, key);
    return v && json_to_str(v, &text) ? text.p : NULL;
}

uint64_t frame_number(const struct json *frame, const char *key)
{
    uint64_t number = 0;
    const struct json *v = json_get(frame, key);
    return v && json_to_u64(v, &number) ? number : 0;
}

uint16_t frame_port(const struct json *frame, const char *key)
{
    uint64_t number = frame_number(frame, key);
    return number <= UINT16_MAX ? (uint16_t)number : 0;
}
