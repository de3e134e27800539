/* What a provider streams (messages): any cut tells the same, blocks come in order, and arguments of calls are
 * objects. */
#include "told.h"

#include "model/messages_stream.h"

static void read_all(struct str stream, bool split, struct told *told)
{
    struct messages_stream s = { 0 };
    reply_init(&s.reply, &messages_reader, &told_events, told,
               (struct hidden){ (const struct str[]){ STR("key") }, 1 });
    for (size_t i = 0; split && i < stream.n; i++)
        reply_feed(&s.reply, (struct str){ stream.p + i, 1 });
    if (!split)
        reply_feed(&s.reply, stream);
    reply_end(&s.reply);
    told_outcome(told, &s.reply.outcome);
    messages_stream_release(&s);
    reply_release(&s.reply);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str stream = { (const char *)bytes, n };
    struct told whole = { 0 }, split = { 0 };
    read_all(stream, false, &whole);
    read_all(stream, true, &split);
    CHECK(whole.sum == split.sum && whole.blocks == split.blocks);
    return 0;
}
