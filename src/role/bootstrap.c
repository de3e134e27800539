#include "role/bootstrap.h"

#include "api/environments.h"
#include "api/key_record.h"
#include "api/operator.h"
#include "base/fd.h"
#include "base/moment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

enum { FILE_MAX = 4096 };

static const char *const names[] = { "POSTERN_URL", "POSTERN_API_KEY", "POSTERN_ENVIRONMENT_ID",
                                     "POSTERN_ENVIRONMENT_KEY" };
enum { URL, API_KEY, ENVIRONMENT_ID, ENVIRONMENT_KEY, NAMES };

/* What a run of the maker needs. */
struct making {
    struct bootstrap *out;
    struct loop *loop;
    struct store *store;
    struct credentials *credentials;
    const struct random_source *random;
    struct arena arena;
    int64_t now;
    struct err result;
    bool answered;
};

static void on_durable(void *ctx, const struct err *e)
{
    struct making *m = ctx;
    m->result = *e;
    m->answered = true;
    loop_stop(m->loop);
}

/* Submits and waits. */
static int commit(struct making *m, struct tx *tx, struct err *e)
{
    m->answered = false;
    m->store->ops->submit(m->store, tx, on_durable, m);
    while (!m->answered)
        loop_run(m->loop);
    *e = m->result;
    return e->kind == E_NONE ? 0 : -1;
}

/* The oldest record of a kind, of the workspace if one is given. 1, 0, or -1 with *e. */
static int oldest(struct making *m, enum record_kind kind, const struct id *workspace,
                  struct record *out, struct err *e)
{
    struct record_list list;
    struct record_query query = {
        .kind = kind, .workspace = workspace, .oldest_first = true, .limit = 1
    };
    if (m->store->ops->list(m->store, &query, &list, &m->arena, e) < 0)
        return -1;
    if (list.count)
        *out = list.items[0];
    return (int)list.count;
}

static int need_workspace(struct making *m, struct err *e)
{
    struct record r;
    AUTO_BUF body = { 0 };
    int found = oldest(m, RECORD_WORKSPACE, NULL, &r, e);
    if (found < 0)
        return -1;
    m->out->workspace = found ? r.id : id_make("wrkspc_", m->random);
    if (found)
        return 0;
    workspace_body(&body, STR("default"));
    r = (struct record){ .kind = RECORD_WORKSPACE,
                         .id = m->out->workspace,
                         .workspace = m->out->workspace,
                         .created_at = m->now,
                         .body = buf_str(&body) };
    struct tx *tx = tx_new();
    tx_put(tx, &r, 0);
    return commit(m, tx, e);
}

static int need_environment(struct making *m, struct err *e)
{
    struct record r;
    AUTO_BUF body = { 0 };
    int found = oldest(m, RECORD_ENVIRONMENT, &m->out->workspace, &r, e);
    if (found < 0)
        return -1;
    m->out->environment = found ? r.id : id_make("env_", m->random);
    if (found)
        return 0;
    r = (struct record){ .kind = RECORD_ENVIRONMENT,
                         .id = m->out->environment,
                         .workspace = m->out->workspace,
                         .created_at = m->now };
    environment_body(&body, &r, STR("default"));
    r.body = buf_str(&body);
    struct tx *tx = tx_new();
    tx_put(tx, &r, 0);
    return commit(m, tx, e);
}

static int new_key(struct making *m, const struct key_wish *wish, char out[CREDENTIAL_SIZE],
                   struct err *e)
{
    struct key_made made;
    struct tx *tx = tx_new();
    key_make(&made, wish, m->now, m->random);
    tx_put(tx, &made.record, 0);
    int rc = commit(m, tx, e);
    if (rc == 0) {
        credentials_add(m->credentials, &made.record);
        memcpy(out, made.text, CREDENTIAL_SIZE);
    }
    key_made_release(&made);
    return rc;
}

/* --- the file --- */

/* Takes a key of the file when it is one that would be made. */
static void keep_key(struct making *m, struct str text, enum asker_kind kind,
                     char out[CREDENTIAL_SIZE])
{
    struct asker asker;
    bool read_only;
    if (text.n >= CREDENTIAL_SIZE || !credentials_find(m->credentials, text, &asker, &read_only) ||
        read_only || asker.kind != kind || !id_eq(&asker.workspace, &m->out->workspace) ||
        (kind == ASKER_ENVIRONMENT_KEY && !id_eq(&asker.environment, &m->out->environment)))
        return;
    memcpy(out, text.p, text.n);
    out[text.n] = '\0';
}

static bool is_ours(struct str name)
{
    for (size_t i = 0; i < NAMES; i++)
        if (str_eq(name, str_of(names[i])))
            return true;
    return false;
}

/* A file with anything else in it is not replaced: somebody may have no copy. */
static int read_old(struct making *m, const char *env_file, struct err *e)
{
    char text[FILE_MAX];
    AUTO_FD fd = open(env_file, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
    if (n <= 0)
        return 0; /* no file: new keys */
    int rc = 0;
    struct str rest = { text, (size_t)n }, line, name;
    while (str_cut(&rest, '\n', &line)) {
        if (!str_cut(&line, '=', &name) || name.n == 0)
            continue;
        if (!is_ours(name))
            rc = err_set(e, E_CONFLICT, 0,
                         "'%s' holds other things than the keys of a control plane; name another "
                         "file",
                         env_file);
        else if (str_eq(name, str_of(names[API_KEY])))
            keep_key(m, line, ASKER_API_KEY, m->out->api_key);
        else if (str_eq(name, str_of(names[ENVIRONMENT_KEY])))
            keep_key(m, line, ASKER_ENVIRONMENT_KEY, m->out->environment_key);
    }
    mem_wipe(text, sizeof text);
    return rc;
}

static int make(struct making *m, const char *env_file, struct err *e)
{
    if (need_workspace(m, e) < 0 || need_environment(m, e) < 0)
        return -1;
    if (!env_file)
        return 0; /* nobody would be told the keys */
    if (read_old(m, env_file, e) < 0)
        return -1;
    struct key_wish wish = { .kind = RECORD_API_KEY,
                             .workspace = m->out->workspace,
                             .name = STR("bootstrap") };
    if (!m->out->api_key[0] && new_key(m, &wish, m->out->api_key, e) < 0)
        return -1;
    wish.kind = RECORD_ENVIRONMENT_KEY;
    wish.environment = m->out->environment;
    if (!m->out->environment_key[0] && new_key(m, &wish, m->out->environment_key, e) < 0)
        return -1;
    return 0;
}

int bootstrap_make(struct bootstrap *out, struct loop *l, struct store *store,
                   struct credentials *credentials, const struct random_source *random,
                   const char *env_file, struct err *e)
{
    struct clock clock = clock_of_machine();
    struct making m = { .out = out,
                        .loop = l,
                        .store = store,
                        .credentials = credentials,
                        .random = random,
                        .now = clock_now(&clock) };
    *out = (struct bootstrap){ 0 };
    arena_init(&m.arena, 4 << 20);
    int rc = make(&m, env_file, e);
    arena_release(&m.arena);
    return rc < 0 ? err_while(e, "make the first objects") : 0;
}

static int write_all(int fd, struct str text)
{
    while (text.n) {
        ssize_t n = write(fd, text.p, text.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -1;
        text = str_skip(text, (size_t)n);
    }
    return fsync(fd);
}

int bootstrap_write(struct bootstrap *b, const char *env_file, const char *url, struct err *e)
{
    const char *const values[NAMES] = { url, b->api_key, b->environment.text, b->environment_key };
    AUTO_BUF text = { 0 };
    AUTO_BUF beside = { 0 };
    for (size_t i = 0; i < NAMES; i++)
        buf_addf(&text, "%s=%s\n", names[i], values[i]);
    buf_addf(&beside, "%s.%d.new", env_file, (int)getpid());
    AUTO_FD fd =
        open(buf_text(&beside), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    int rc = fd < 0 || write_all(fd, buf_str(&text)) < 0 || rename(buf_text(&beside), env_file) < 0
                 ? err_set(e, E_IO, errno, "write '%s'", env_file)
                 : 0;
    if (rc < 0 && fd >= 0)
        unlink(buf_text(&beside));
    mem_wipe(text.p, text.n);
    mem_wipe(b, sizeof *b);
    return rc;
}
