/* TLS greetings: a verdict on the first bytes stays the verdict when more come, and a name that is
 * told consists of bytes of a name. */
#include "fuzz.h"

#include "proto/client_hello.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct client_hello whole, part;
    struct str all = { (const char *)bytes, n };
    enum client_hello_verdict verdict = client_hello_read(all, &whole);
    CHECK(n < CLIENT_HELLO_BYTES_MAX || verdict != CLIENT_HELLO_MORE);
    for (const char *c = whole.name; *c; c++)
        CHECK(*c > 0x20 && *c < 0x7f);
    CHECK(verdict == CLIENT_HELLO_READ || (!whole.name[0] && !whole.ech));

    bool decided = false;
    size_t step = 1 + n / 512;
    for (size_t cut = 0; cut <= n; cut += step) {
        enum client_hello_verdict v = client_hello_read((struct str){ all.p, cut }, &part);
        CHECK(v == CLIENT_HELLO_MORE ? !decided : v == verdict);
        decided = v != CLIENT_HELLO_MORE;
        if (v == CLIENT_HELLO_READ)
            CHECK(strcmp(part.name, whole.name) == 0 && part.ech == whole.ech);
    }
    return 0;
}
