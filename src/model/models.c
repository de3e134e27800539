#include "model/models.h"

#include "base/fd.h"
#include "base/table.h"
#include "io/timer.h"
#include "model/call-int.h"
#include "model/remote.h"
#include "model/scripted.h"
#include "proto/yaml.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

/* Of a set without a list of models: as many names are remembered, and so long. */
enum { OPEN_NAMES_MAX = 10000, OPEN_NAME_BYTES = 256 };

struct provider {
    char *name; /* owned */
    enum provider_dialect dialect;
    struct remote *remote; /* owned; NULL with a script */
    struct script *script; /* owned; NULL without */
};

struct entry {
    struct model_info info; /* its texts point into `text` */
    const struct provider *provider;
    struct upstream upstream;
    char *text;
};

struct models {
    struct model_set set; /* first */
    struct loop *loop;
    struct alarms alarms;
    struct provider *providers;
    size_t provider_count;
    struct entry **entries; /* the configured ones, in order; then those that were asked for */
    size_t count, configured;
    struct table by_id;
    bool open; /* no list: every name goes */
};

/* --- alarms of the loop --- */

static void *alarm_make(void *ctx, void (*fired)(void *arg), void *arg)
{
    return timer_new(ctx, fired, arg);
}

static void alarm_set(void *ctx, void *alarm, int64_t microseconds)
{
    timer_start(alarm, (uint64_t)(microseconds + 999) / 1000);
}

static void alarm_free(void *ctx, void *alarm)
{
    timer_free(alarm);
}

/* --- a request that cannot be made --- */

struct nobody {
    struct model_call call; /* first */
    struct timer *timer;
    struct model_events events;
    void *ctx;
};

static void nobody_cancel(struct model_call *call)
{
    struct nobody *n = (struct nobody *)call;
    timer_free(n->timer);
    free(n);
}

static void nobody_tell(void *ctx)
{
    struct nobody *n = ctx;
    const struct model_outcome outcome = { .failure = MODEL_UNKNOWN,
                                           .message = STR("no such model is configured") };
    n->events.done(n->ctx, &outcome);
    nobody_cancel(&n->call);
}

static struct model_call *nobody_start(struct models *m, const struct model_events *events,
                                       void *ctx)
{
    struct nobody *n = mem_get(sizeof *n);
    *n = (struct nobody){ .call = { nobody_cancel }, .events = *events, .ctx = ctx };
    n->timer = timer_new(m->loop, nobody_tell, n);
    timer_start(n->timer, 0);
    return &n->call;
}

/* --- names --- */

static struct entry *entry_new(struct models *m, const struct provider *provider,
                               const struct model_config *c)
{
    /* One copy of all texts, so that they live as long as the set. */
    const struct str texts[] = { c->id, c->display_name, c->upstream, c->members };
    struct entry *entry = mem_get(sizeof *entry);
    struct buf all = { 0 };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        buf_add(&all, texts[i]);
    entry->text = buf_take(&all);
    struct str rest = { entry->text, SIZE_MAX }, kept[sizeof texts / sizeof *texts];
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        kept[i] = (struct str){ rest.p, texts[i].n };
        rest.p += texts[i].n;
    }
    entry->provider = provider;
    entry->upstream = (struct upstream){ kept[2], c->max_output, kept[3] };
    entry->info = (struct model_info){
        .id = kept[0],
        .display_name = kept[1],
        .dialect = str_of(dialect_words[provider->dialect]),
        .context_window = c->context_window,
        .max_output = c->max_output,
        .priced = c->priced,
        .price_input = c->price_input,
        .price_output = c->price_output,
        .price_cache_read = c->price_cache_read,
        .price_cache_write = c->price_cache_write,
    };
    m->entries = mem_grow(m->entries, (m->count + 1) * sizeof *m->entries);
    m->entries[m->count++] = entry;
    table_put(&m->by_id, entry->info.id, entry);
    return entry;
}

/* "chat/llama" goes to the provider "chat" as "llama", everything else to the first one. */
static const struct provider *provider_of(const struct models *m, struct str id,
                                          struct str *upstream)
{
    ptrdiff_t slash = str_index(id, '/');
    for (size_t i = 0; slash > 0 && i < m->provider_count; i++)
        if (str_eq(str_of(m->providers[i].name), (struct str){ id.p, (size_t)slash })) {
            *upstream = str_skip(id, (size_t)slash + 1);
            return &m->providers[i];
        }
    *upstream = id;
    return &m->providers[0];
}

static struct entry *open_entry(struct models *m, struct str id)
{
    if (!m->open || m->count == OPEN_NAMES_MAX || id.n == 0 || id.n > OPEN_NAME_BYTES ||
        !str_is_utf8(id))
        return NULL;
    struct model_config c = { .id = id, .display_name = id };
    const struct provider *provider = provider_of(m, id, &c.upstream);
    c.context_window = models_default_window(provider->dialect);
    return c.upstream.n ? entry_new(m, provider, &c) : NULL;
}

static struct entry *entry_of(struct models *m, struct str id)
{
    struct entry *known = table_find(&m->by_id, id);
    return known ? known : open_entry(m, id);
}

/* --- model_ops --- */

static const struct model_info *find(struct model_set *set, struct str id)
{
    const struct entry *entry = entry_of((struct models *)set, id);
    return entry ? &entry->info : NULL;
}

static const struct model_info *at(struct model_set *set, size_t i)
{
    const struct models *m = (struct models *)set;
    return i < m->configured ? &m->entries[i]->info : NULL;
}

static struct model_call *start(struct model_set *set, const struct model_request *request,
                                const struct model_events *events, void *ctx)
{
    struct models *m = (struct models *)set;
    const struct entry *entry = entry_of(m, request->model);
    if (!entry)
        return nobody_start(m, events, ctx);
    if (entry->provider->script)
        return scripted_start(entry->provider->script, &m->alarms, request, events, ctx);
    return remote_start(entry->provider->remote, request, &entry->upstream, events, ctx);
}

static void cancel(struct model_call *call)
{
    call->cancel(call);
}

/* --- making and freeing --- */

static int read_script(const char *path, struct script **out, struct err *e)
{
    AUTO_BUF text = { 0 };
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, E_IO, errno, "script '%s'", path);
    while (text.n <= YAML_TEXT_MAX) {
        enum { CHUNK = 65536 };
        ssize_t got = read(fd, buf_room(&text, CHUNK), CHUNK);
        if (got < 0)
            return err_set(e, E_IO, errno, "script '%s'", path);
        if (got == 0)
            break;
        buf_grew(&text, (size_t)got);
    }
    if (script_parse(buf_str(&text), out, e) < 0)
        return err_while(e, "script '%s'", path);
    return 0;
}

static int add_provider(struct models *m, const struct provider_config *config, struct err *e)
{
    struct provider *p = &m->providers[m->provider_count++];
    p->name = str_dup(str_of(config->name));
    p->dialect = config->dialect;
    if (config->dialect == DIALECT_SCRIPTED)
        return read_script(config->script, &p->script, e);
    if (!config->base_url)
        return err_set(e, E_INPUT, 0,
                       "provider '%s' has no base_url, nor is there one in the environment",
                       config->name);
    return remote_new(m->loop, config, &p->remote, e);
}

int models_new(struct loop *l, const struct models_config *config, struct model_set **out,
               struct err *e)
{
    static const struct model_ops ops = { find, at, start, cancel };
    struct models *m = mem_get(sizeof *m);
    m->set.ops = &ops;
    m->loop = l;
    m->alarms = (struct alarms){ alarm_make, alarm_set, alarm_free, l };
    m->providers = mem_array(config->provider_count, sizeof *m->providers);
    for (size_t i = 0; i < config->provider_count; i++)
        if (add_provider(m, &config->providers[i], e) < 0) {
            models_free(&m->set);
            return -1;
        }
    for (size_t i = 0; i < config->model_count; i++)
        entry_new(m, &m->providers[config->models[i].provider], &config->models[i]);
    m->configured = m->count;
    m->open = m->configured == 0 && m->provider_count > 0;
    *out = &m->set;
    return 0;
}

void models_free(struct model_set *set)
{
    struct models *m = (struct models *)set;
    if (!m)
        return;
    for (size_t i = 0; i < m->provider_count; i++) {
        remote_free(m->providers[i].remote);
        script_free(m->providers[i].script);
        free(m->providers[i].name);
    }
    free(m->providers);
    for (size_t i = 0; i < m->count; i++) {
        free(m->entries[i]->text);
        free(m->entries[i]);
    }
    free(m->entries);
    table_release(&m->by_id);
    free(m);
}
