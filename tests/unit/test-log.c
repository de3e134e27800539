/* Claims of base/log.h about events. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

static const struct log_field fields[] = {
    { "job", { "job_01", 6 }, 0 },      { "held_ms", { NULL, 0 }, -30012 },
    { "empty", { "", 0 }, 0 },          { "blank", { "a b=c", 5 }, 0 },
    { "line", { "a\n\"b\"\\", 6 }, 0 }, { "name", { "caf\xc3\xa9", 5 }, 0 },
    { "latin", { "caf\xe9", 4 }, 0 },
};

static void an_event_is_its_name_and_its_fields_on_one_line(void **state)
{
    AUTO_BUF line = { 0 };
    log_event_add(&line, "lease.expired", fields, sizeof fields / sizeof *fields);
    assert_string_equal(buf_text(&line),
                        "lease.expired job=job_01 held_ms=-30012 empty=\"\" blank=\"a b=c\""
                        " line=\"a\\u000a\\\"b\\\"\\\\\" name=\"caf\xc3\xa9\" latin=\"caf?\"\n");
}

static void as_json_an_event_is_an_object_with_a_time(void **state)
{
    AUTO_BUF line = { 0 };
    log_set_form(LOG_AS_JSON);
    log_event_add(&line, "lease.expired", fields, sizeof fields / sizeof *fields);
    log_set_form(LOG_AS_TEXT);
    struct str text = buf_str(&line);
    assert_true(str_starts(text, STR("{\"time\":\"20")));
    assert_true(str_ends(text, STR("Z\",\"event\":\"lease.expired\",\"job\":\"job_01\","
                                   "\"held_ms\":-30012,\"empty\":\"\",\"blank\":\"a b=c\","
                                   "\"line\":\"a\\u000a\\\"b\\\"\\\\\",\"name\":\"caf\xc3\xa9\","
                                   "\"latin\":\"caf?\"}\n")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_is_its_name_and_its_fields_on_one_line),
        cmocka_unit_test(as_json_an_event_is_an_object_with_a_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
