/* YAML: what is read prints as JSON that json_parse takes and that prints the same again; the line of
 * every value can be found. */
#include "fuzz.h"

#include "proto/json_write.h"
#include "proto/yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str text = { (const char *)bytes, n };
    struct err e = { 0 };
    AUTO_JSON tree = NULL;
    AUTO_JSON again = NULL;
    AUTO_PLACES places = NULL;
    AUTO_BUF first = { 0 }, second = { 0 };
    if (yaml_parse(text, &tree, &places, &e) < 0) {
        CHECK(!tree && !places && e.kind == E_INPUT && e.text[0]);
        return 0;
    }
    json_write_value(&first, tree);
    CHECK(json_parse(buf_str(&first), &again, &e) == 0);
    json_write_value(&second, again);
    CHECK(str_eq(buf_str(&first), buf_str(&second)));
    for (struct json_member m = json_first(tree); m.value; m = json_next(tree, m))
        CHECK(places_line(places, m.key) > 0);
    return 0;
}
