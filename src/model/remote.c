#include "model/remote-int.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

enum { KEY_MAX = 8192 };

/* The path behind the base URL. People give the base of the Messages wire with and without /v1, as
 * programs differ in what they expect. */
static char *make_url(const struct provider_config *config)
{
    struct str base = str_of(config->base_url);
    while (str_ends(base, STR("/")))
        base.n--;
    if (config->dialect == DIALECT_MESSAGES && str_ends(base, STR("/v1")))
        base.n -= 3;
    struct buf url = { 0 };
    buf_add(&url, base);
    buf_add(&url,
            config->dialect == DIALECT_MESSAGES ? STR("/v1/messages") : STR("/chat/completions"));
    return buf_take(&url);
}

static int set_key(struct remote *r, struct str text, const char *from, struct err *e)
{
    while (text.n && memchr(" \t\r\n", text.p[text.n - 1], 4))
        text.n--;
    if (text.n == 0)
        return err_set(e, E_INPUT, 0, "%s is empty", from);
    for (size_t i = 0; i < text.n; i++)
        if ((unsigned char)text.p[i] < 0x21 || text.p[i] == 0x7f)
            return err_set(e, E_INPUT, 0, "%s holds blanks or control characters", from);
    secret_set(&r->key, text);
    return 0;
}

static int read_key_file(struct remote *r, const char *path, struct err *e)
{
    char bytes[KEY_MAX + 1];
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(e, E_IO, errno, "key_file '%s'", path);
    size_t n = 0;
    for (ssize_t got; n < sizeof bytes; n += (size_t)got) {
        got = read(fd, bytes + n, sizeof bytes - n);
        if (got < 0)
            return err_set(e, E_IO, errno, "key_file '%s'", path);
        if (got == 0)
            break;
    }
    int done = n > KEY_MAX
                   ? err_set(e, E_INPUT, 0, "key_file '%s' is no key: it has more than %d bytes",
                             path, KEY_MAX)
                   : set_key(r, (struct str){ bytes, n }, "key_file", e);
    mem_wipe(bytes, sizeof bytes);
    return done;
}

static int find_key(struct remote *r, const struct provider_config *config, struct err *e)
{
    if (!secret_is_none(&config->key))
        return set_key(r, secret_reveal(&config->key), "key", e);
    if (config->key_file)
        return read_key_file(r, config->key_file, e);
    if (!config->key_env)
        return 0;
    const char *key = getenv(config->key_env);
    if (!key)
        return err_set(e, E_INPUT, 0, "key_env: %s is not in the environment", config->key_env);
    return set_key(r, str_of(key), config->key_env, e);
}

static void copy_headers(struct remote *r, const struct provider_config *config)
{
    r->headers = mem_array(config->header_count, sizeof *r->headers);
    for (; r->header_count < config->header_count; r->header_count++) {
        struct str name = config->headers[r->header_count].name;
        struct str value = config->headers[r->header_count].value;
        r->headers[r->header_count] =
            (struct fetch_field){ { str_dup(name), name.n }, { str_dup(value), value.n } };
    }
}

/* The key, and what the configured fields say, which may open a gateway in front of the provider. */
static void collect_secrets(struct remote *r)
{
    enum { TELLING = 8 }; /* bytes: a shorter value is a word like "blue" */
    r->secrets = mem_array(r->header_count + 1, sizeof *r->secrets);
    if (!secret_is_none(&r->key))
        r->secrets[r->secret_count++] = secret_reveal(&r->key);
    for (size_t i = 0; i < r->header_count; i++)
        if (r->headers[i].value.n >= TELLING)
            r->secrets[r->secret_count++] = r->headers[i].value;
}

int remote_new(struct loop *l, const struct provider_config *config, struct remote **out,
               struct err *e)
{
    const struct fetcher_options options = { config->proxy, config->no_proxy, config->ca_file };
    struct remote *r = mem_get(sizeof *r);
    r->loop = l;
    r->name = str_dup(str_of(config->name));
    r->url = make_url(config);
    r->dialect = config->dialect;
    r->connect_ms = config->connect_ms;
    r->idle_ms = config->idle_ms;
    copy_headers(r, config);
    if (find_key(r, config, e) < 0 || fetcher_new(l, &options, &r->fetcher, e) < 0) {
        remote_free(r);
        return err_while(e, "provider '%s'", config->name);
    }
    collect_secrets(r);
    *out = r;
    return 0;
}

void remote_free(struct remote *r)
{
    if (!r)
        return;
    while (r->calls)
        remote_call_free(r->calls);
    fetcher_free(r->fetcher);
    secret_release(&r->key);
    for (size_t i = 0; i < r->header_count; i++) {
        mem_wipe((char *)r->headers[i].value.p, r->headers[i].value.n);
        free((char *)r->headers[i].name.p);
        free((char *)r->headers[i].value.p);
    }
    free(r->headers);
    free(r->secrets);
    free(r->name);
    free(r->url);
    free(r);
}
