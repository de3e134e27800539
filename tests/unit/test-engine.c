/* Claims of control/engine.h: the life of a session. */
#include "engine_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

#define RUNNING "session.status_running session.thread_status_running"
#define IDLE "session.thread_status_idle session.usage session.status_idle"
#define ASKED "span.model_request_start"
#define ANSWERED "span.model_request_end"

static void a_message_is_answered(void **state)
{
    struct world w;
    (void)state;
    world_begin(&w);
    struct id session = world_session(&w, "[]");
    world_say(&w, &session, "Hello");
    struct model_call *call = world_call(&w);
    assert_string_equal(
        buf_text(&call->messages),
        "[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Hello\"}]}]");
    assert_string_equal(buf_text(&call->system), "Be kind.");
    call_text(call, 0, "Good ");
    call_text(call, 0, "day");
    call_block_text(call, 0, "Good day");
    call_done(call, MODEL_STOP_END);
    assert_log(&w, &session, RUNNING " user.message " ASKED " agent.message " ANSWERED " " IDLE);
    world_end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_is_answered),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
