/* Paths and queries: what was decoded and is written again, every byte escaped, decodes to the same;
 * and no more is written than what came in. */
#include "fuzz.h"

#include "base/buf.h"
#include "proto/url.h"

#include <stdlib.h>

static void escape(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++)
        buf_addf(out, "%%%02x", (unsigned char)text.p[i]);
}

static struct str *decode_path(struct str path, char **memory)
{
    struct str *segments = mem_array(url_segment_count(path), sizeof *segments);
    *memory = mem_get(path.n);
    if (url_path_decode(path, segments, *memory))
        return segments;
    free(segments);
    return NULL;
}

static void check_path(struct str path)
{
    AUTO_FREE char *memory = NULL, *again_memory = NULL;
    AUTO_FREE struct str *segments = decode_path(path, &memory);
    AUTO_BUF out = { 0 };
    size_t count = url_segment_count(path);
    for (size_t i = 0; segments && i < count; i++) {
        buf_add_byte(&out, '/');
        escape(&out, segments[i]);
    }
    if (!segments)
        return;
    CHECK(url_segment_count(buf_str(&out)) == count);
    AUTO_FREE struct str *again = decode_path(buf_str(&out), &again_memory);
    CHECK(again);
    for (size_t i = 0; i < count; i++)
        CHECK(str_eq(again[i], segments[i]) && str_index(segments[i], '\0') < 0);
}

static struct url_parameter *decode_query(struct str query, size_t *count, char **memory)
{
    struct url_parameter *parameters = mem_array(url_parameter_count(query), sizeof *parameters);
    *memory = mem_get(query.n);
    if (url_query_decode(query, parameters, count, *memory))
        return parameters;
    free(parameters);
    return NULL;
}

static void check_query(struct str query)
{
    AUTO_FREE char *memory = NULL, *again_memory = NULL;
    size_t count = 0, again_count = 0;
    AUTO_FREE struct url_parameter *parameters = decode_query(query, &count, &memory);
    AUTO_BUF out = { 0 };
    for (size_t i = 0; parameters && i < count; i++) {
        escape(&out, parameters[i].name);
        buf_add_byte(&out, '=');
        escape(&out, parameters[i].value);
        buf_add_byte(&out, '&');
    }
    if (!parameters)
        return;
    CHECK(count <= url_parameter_count(query));
    AUTO_FREE struct url_parameter *again =
        decode_query(buf_str(&out), &again_count, &again_memory);
    CHECK(again && again_count == count);
    for (size_t i = 0; i < count; i++)
        CHECK(str_eq(again[i].name, parameters[i].name) &&
              str_eq(again[i].value, parameters[i].value));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str text = { (const char *)bytes, n };
    if (str_index(text, '\0') >= 0)
        return 0; /* a request target holds none (http1.h) */
    if (str_starts(text, STR("/")))
        check_path(text);
    check_query(text);
    return 0;
}
