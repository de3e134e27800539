/* What the user's bus says: a message that was read is whole, every cut of it waits for more, and what
 * stands behind it changes nothing. */
#include "fuzz.h"

#include "proto/dbus.h"

static void check_message(struct str bytes)
{
    struct dbus_message m, again;
    struct err e;
    size_t taken = 0, same = 0;
    if (dbus_read(bytes, &m, &taken, &e) != 1)
        return;
    CHECK(taken >= 16 && taken <= bytes.n && taken <= DBUS_MESSAGE_MAX);
    CHECK(m.serial != 0 && (int)m.type != 0);
    CHECK(m.type != DBUS_ERROR || (m.error_name.n && m.reply_to));
    CHECK(str_is_utf8(m.text) && str_is_utf8(m.error_name));
    CHECK(dbus_read((struct str){ bytes.p, taken }, &again, &same, &e) == 1 && same == taken);
    CHECK(again.reply_to == m.reply_to && str_eq(again.text, m.text));
    for (size_t cut = 0; cut < taken; cut++)
        CHECK(dbus_read((struct str){ bytes.p, cut }, &again, &same, &e) == 0);
}

static void check_greeting(struct str bytes)
{
    struct err e;
    size_t taken = 0, same;
    if (dbus_read_greeting(bytes, &taken, &e) != 1)
        return;
    CHECK(taken >= 5 && taken <= bytes.n && bytes.p[taken - 1] == '\n');
    for (size_t cut = 0; cut < taken; cut++)
        CHECK(dbus_read_greeting((struct str){ bytes.p, cut }, &same, &e) != 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str input = { (const char *)bytes, n };
    check_message(input);
    check_greeting(input);
    return 0;
}
