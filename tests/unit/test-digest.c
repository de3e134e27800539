/* Digests: known answers, and comparing. */
#include "io/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void sha256_gives_the_known_answer(void **state)
{
    unsigned char digest[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1];
    digest_sha256(STR("abc"), digest);
    digest_hex(digest, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_sha256((struct str){ 0 }, digest);
    digest_hex(digest, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

static void hmac_gives_the_known_answer(void **state)
{
    unsigned char digest[DIGEST_SIZE];
    char hex[2 * DIGEST_SIZE + 1];
    digest_hmac(STR("Jefe"), STR("what do ya want for nothing?"), digest); /* RFC 4231, case 2 */
    digest_hex(digest, hex);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

static void same_is_same_bytes_and_same_length(void **state)
{
    assert_true(digest_same(STR("abc"), STR("abc")));
    assert_true(digest_same(STR(""), (struct str){ 0 }));
    assert_false(digest_same(STR("abc"), STR("abd")));
    assert_false(digest_same(STR("abc"), STR("abcd")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_gives_the_known_answer),
        cmocka_unit_test(hmac_gives_the_known_answer),
        cmocka_unit_test(same_is_same_bytes_and_same_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
