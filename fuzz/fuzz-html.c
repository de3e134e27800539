/* Any bytes become text that is UTF-8 and not much longer than they were. */
#include "fuzz.h"

#include "base/check.h"
#include "web/html.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO_BUF out = { 0 };
    AUTO_BUF title = { 0 };
    html_text(&out, &title, (struct str){ (const char *)bytes, n });
    CHECK(str_is_utf8(buf_str(&out)));
    CHECK(out.n <= 3 * n + 3); /* one broken byte is one U+FFFD */
    return 0;
}
