/* Names of objects. */
#include "base/id.h"
#include "base/moment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void an_id_is_its_prefix_and_24_letters_or_digits(void **state)
{
    struct random_source r = random_of_kernel();
    struct id id = id_make("sesn_", &r);
    assert_int_equal(strlen(id.text), 5 + 24);
    assert_true(str_starts(id_str(&id), STR("sesn_")));
    assert_int_equal(strspn(id.text + 5, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                         "abcdefghijklmnopqrstuvwxyz"),
                     24);
}

static void two_ids_differ(void **state)
{
    struct random_source r = random_of_kernel();
    struct id a = id_make("work_", &r), b = id_make("work_", &r);
    assert_false(id_eq(&a, &b));
}

static void what_is_no_id_is_not_read(void **state)
{
    static const char *const bad[] = {
        "", "a b", "sesn_\n", "../x", "a/b", "ü", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
    };
    struct id id;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(id_read(str_of(bad[i]), &id));
        assert_true(id_is_none(&id));
    }
    assert_true(id_read(STR("agent_01-X"), &id));
    assert_string_equal(id.text, "agent_01-X");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_is_its_prefix_and_24_letters_or_digits),
        cmocka_unit_test(two_ids_differ),
        cmocka_unit_test(what_is_no_id_is_not_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
