/* A script: what is accepted can be played, gives the same twice, and keeps its promises to the agent
 * loop. The input is a script, or a script, a NUL and the messages of a request. */
#include "told.h"

#include "model/scripted.h"

struct bell {
    void (*fired)(void *arg);
    void *arg;
    bool set;
};

static void *bell_make(void *ctx, void (*fired)(void *arg), void *arg)
{
    struct bell *b = ctx;
    *b = (struct bell){ fired, arg, false };
    return b;
}

static void bell_set(void *ctx, void *alarm, int64_t microseconds)
{
    CHECK(microseconds >= 0);
    ((struct bell *)ctx)->set = true;
}

static void bell_free(void *ctx, void *alarm)
{
    ((struct bell *)ctx)->set = false;
}

struct listener {
    struct told told; /* first: the callbacks of told.h see it */
    bool done;
};

static void on_done(void *ctx, const struct model_outcome *outcome)
{
    struct listener *l = ctx;
    CHECK(!l->done);
    l->done = true;
    told_outcome(&l->told, outcome);
}

static uint64_t play(const struct script *script, struct str messages)
{
    struct bell bell = { 0 };
    struct listener l = { 0 };
    const struct alarms alarms = { bell_make, bell_set, bell_free, &bell };
    const struct model_events events = { told_thinking, told_text, told_block, on_done };
    const struct model_request request = { .tools = STR("[]"), .messages = messages };
    scripted_start(script, &alarms, &request, &events, &l);
    while (bell.set) {
        bell.set = false;
        bell.fired(bell.arg);
    }
    CHECK(l.done);
    return l.told.sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str messages = { (const char *)bytes, n }, yaml = { 0 };
    struct script *script = NULL;
    struct err e = { 0 };
    str_cut(&messages, '\0', &yaml);
    if (!messages.p)
        messages = STR("[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"hi\"}]}]");
    if (script_parse(yaml, &script, &e) < 0) {
        CHECK(!script && e.text[0]);
        return 0;
    }
    CHECK(play(script, messages) == play(script, messages));
    script_free(script);
    return 0;
}
