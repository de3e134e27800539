#include "sandbox/settings.h"

#include "base/fd.h"
#include "proto/json_write.h"
#include "sandbox/settings_profile.h"
#include "sandbox/settings_rows.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sodium.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define AT(field) offsetof(struct settings, field)
#define COUNT(array) (sizeof(array) / sizeof *(array))

enum { FILE_MAX = 1 << 20, ARENA_MAX = 64 << 20, PIPE_PATIENCE_MS = 10000 };

static const char default_file[] = ".srt-settings.json";

/* What holds when the default file is absent: no network, no writes, reads everywhere. */
static const char default_text[] =
    "{\"network\":{\"allowedDomains\":[],\"deniedDomains\":[]},"
    "\"filesystem\":{\"denyRead\":[],\"allowWrite\":[],\"denyWrite\":[]}}";

/* The map is kept as text: the reader of violations walks it again (contract 10.3). */
static void ignore_read(struct settings_check *c, const struct json *v,
                        const struct settings_row *row)
{
    AUTO_BUF text = { 0 };
    if (!check_kind(c, v, JSON_IS_OBJECT))
        return;
    json_write_object(&text);
    for (struct json_member m = json_first(v); m.value; m = json_next(v, m)) {
        size_t was = check_enter_key(c, m.key);
        json_write_key(&text, m.key);
        json_write_array(&text);
        for (size_t i = 0; check_array(c, m.value) && i < json_count(m.value); i++) {
            struct str part;
            size_t item = check_enter_index(c, i);
            if (check_kind(c, json_at(m.value, i), JSON_IS_STRING) &&
                json_to_str(json_at(m.value, i), &part))
                json_write_str(&text, part);
            check_leave(c, item);
        }
        json_write_array_end(&text);
        check_leave(c, was);
    }
    json_write_object_end(&text);
    c->s->ignore_violations_json = check_dup(c, buf_str(&text));
}

static bool ignore_same(const void *a, const void *b)
{
    return text_same(*(const char *const *)a, *(const char *const *)b);
}

static void object_check(struct settings_check *c, const struct json *v,
                         const struct settings_row *row)
{
    check_kind(c, v, JSON_IS_OBJECT);
}

static const struct settings_kind KIND_IGNORE = { ignore_read, ignore_same };
static const struct settings_kind KIND_ANY_OBJECT = { object_check, NULL };

static const struct settings_row git_rows[] = {
    { "safeDirectories", &KIND_NAMES, AT(safe_directories) },
};
static const struct settings_table git_table = { git_rows, COUNT(git_rows), false };

static const struct settings_row ripgrep_rows[] = {
    { "command", &KIND_TEXT, SETTINGS_NOWHERE, ROW_REQUIRED },
    { "args", &KIND_NAMES, SETTINGS_NOWHERE },
    { "argv0", &KIND_TEXT, SETTINGS_NOWHERE },
};
static const struct settings_table ripgrep_table = { ripgrep_rows, COUNT(ripgrep_rows), false };

static const struct settings_row seccomp_rows[] = {
    { "applyPath", &KIND_TEXT, SETTINGS_NOWHERE },
    { "argv0", &KIND_TEXT, SETTINGS_NOWHERE },
};
static const struct settings_table seccomp_table = { seccomp_rows, COUNT(seccomp_rows), false };

static const struct settings_row credentials_rows[] = {
    { "envVars", &KIND_ANYTHING, SETTINGS_NOWHERE },
    { "files", &KIND_ANYTHING, SETTINGS_NOWHERE },
    { "allowPlaintextInject", &KIND_ANYTHING, SETTINGS_NOWHERE },
    { "awsPairs", &KIND_ANYTHING, SETTINGS_NOWHERE },
    { "sigv4", &KIND_ANYTHING, SETTINGS_NOWHERE },
};
static const struct settings_table credentials_table = { credentials_rows, COUNT(credentials_rows),
                                                         true };

/* `x` stands last: some of its keys add to lists that the others replace. */
static const struct settings_row rows[] = {
    { "network", &KIND_OBJECT, SETTINGS_NOWHERE, ROW_REQUIRED, .table = &settings_network_table },
    { "filesystem", &KIND_OBJECT, SETTINGS_NOWHERE, ROW_REQUIRED,
      .table = &settings_filesystem_table },
    { "credentials", &KIND_LATER, SETTINGS_NOWHERE, .table = &credentials_table },
    { "ignoreViolations", &KIND_IGNORE, AT(ignore_violations_json) },
    { "enableWeakerNestedSandbox", &KIND_BOOL, AT(weaker_nested) },
    { "allowNestedUserNamespaces", &KIND_BOOL, AT(nested_user_namespaces) },
    { "mandatoryDenySearchDepth", &KIND_NUMBER, SETTINGS_NOWHERE, 0, 1, 10 },
    { "git", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &git_table },
    { "bwrapPath", &KIND_TEXT, SETTINGS_NOWHERE, .refuses = refuse_relative_path },
    { "socatPath", &KIND_TEXT, SETTINGS_NOWHERE, .refuses = refuse_relative_path },
    { "ripgrep", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &ripgrep_table },
    { "seccomp", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &seccomp_table },
    { "javaAgentJarPath", &KIND_TEXT, AT(java_agent_jar), .refuses = refuse_relative_path },
    { "allowPty", &KIND_SWITCH, AT(allow_pty) },
    { "enableWeakerNetworkIsolation", &KIND_BOOL, SETTINGS_NOWHERE },
    { "allowAppleEvents", &KIND_BOOL, SETTINGS_NOWHERE },
    { "windows", &KIND_ANY_OBJECT, SETTINGS_NOWHERE },
    { "x", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &settings_x_table },
};
static const struct settings_table top_table = { rows, COUNT(rows), false };

static void hash_text(struct str text, char out[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256(hash, (const unsigned char *)text.p, text.n);
    for (size_t i = 0; i < sizeof hash; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[64] = '\0';
}

static void read_text(struct settings_check *c, struct str text)
{
    struct err e;
    AUTO_JSON root = NULL;
    if (json_parse(text, &root, &e) < 0)
        check_problem(c, "not JSON: %s", e.text);
    else
        rows_read(c, root, &top_table);
}

static void read_all(struct settings_check *c, struct str text)
{
    const char *name = c->options->profile;
    const struct settings_profile *profile = name ? profile_find(name) : NULL;
    if (name && !profile) {
        check_problem(c, "unknown profile '%.40s' (read-only, workspace and no-network are known)",
                      name);
        return;
    }
    if (profile) {
        c->profile_reading = profile->name;
        read_text(c, str_of(profile->text));
        c->profile_reading = NULL;
    }
    if (text.n > FILE_MAX)
        check_problem(c, "larger than 1 MiB");
    else
        read_text(c, text);
    network_finish(c);
    limits_finish(c);
    if (profile)
        profile_enforce(c, profile);
}

/* The short form: the first problem and how many there are. */
static int fail_with(const struct settings_check *c, const char *source, struct err *e)
{
    int n = c->first_length < 300 ? (int)c->first_length : 300;
    const char *first = buf_text(c->problems);
    if (c->problem_count == 1)
        return err_set(e, E_INPUT, 0, "settings '%.100s': %.*s", source, n, first);
    return err_set(e, E_INPUT, 0, "settings '%.100s': %.*s (and %zu more)", source, n, first,
                   c->problem_count - 1);
}

int settings_parse(struct str text, const char *source, const struct settings_options *options,
                   struct settings *out, struct buf *problems, struct err *e)
{
    static const struct settings_options none;
    struct settings_check c CLEANUP(check_release);
    *out = (struct settings){ .no_setid = true };
    arena_init(&out->arena, ARENA_MAX);
    egress_policy_init(&out->egress);
    hash_text(text, out->sha256);
    check_init(&c, out, options ? options : &none, problems);
    out->source = check_dup(&c, str_of(source));
    out->text = (struct str){ check_dup(&c, text), text.n };
    read_all(&c, text);
    check_finish(&c);
    if (c.problem_count == 0)
        return 0;
    fail_with(&c, source, e);
    settings_release(out);
    return -1;
}

static int fail_file(struct buf *problems, const char *path, int os, const char *what,
                     struct err *e)
{
    err_set(e, E_INPUT, os, "settings file '%.300s' %s", path, what);
    buf_add(problems, str_of(e->text));
    return -1;
}

/* Waits for a pipe's writer, but not for ever. */
static bool has_more(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    return poll(&p, 1, PIPE_PATIENCE_MS) > 0;
}

/* What stands at the place of a settings file, or NULL for what can be read: a regular file, or a pipe
 * without a name (`--settings <(...)`). A FIFO or a device could block, and would read as empty. */
static const char *odd_kind(int fd, const struct stat *st)
{
    struct statfs fs;
    if (S_ISREG(st->st_mode))
        return NULL;
    if (S_ISFIFO(st->st_mode))
        return fd >= 0 && fstatfs(fd, &fs) == 0 && fs.f_type == PIPEFS_MAGIC ? NULL : "FIFO";
    return S_ISDIR(st->st_mode) ? "directory" : S_ISSOCK(st->st_mode) ? "socket" : "device";
}

static int fail_kind(struct buf *problems, const char *path, const char *kind, struct err *e)
{
    AUTO_BUF what = { 0 };
    buf_addf(&what, "is a %s, not a regular file", kind);
    return fail_file(problems, path, 0, buf_text(&what), e);
}

/* Reads at most one byte more than is allowed. */
static int read_file(int fd, const char *path, struct buf *text, struct buf *problems,
                     struct err *e)
{
    while (text->n <= FILE_MAX) {
        char *room = buf_room(text, 16384);
        ssize_t n = read(fd, room, 16384);
        if (n < 0 && (errno == EINTR || (errno == EAGAIN && has_more(fd))))
            continue;
        if (n < 0)
            return fail_file(problems, path, errno, "cannot be read", e);
        if (n == 0)
            return 0;
        buf_grew(text, (size_t)n);
    }
    return fail_file(problems, path, 0, "is larger than 1 MiB", e);
}

/* A link that leads nowhere is not the same as no file: somebody meant there to be one. */
static bool is_absent(const char *path)
{
    struct stat st;
    return lstat(path, &st) < 0 && errno == ENOENT;
}

/* Why the file could not be opened. */
static int fail_open(struct buf *problems, const char *path, struct err *e)
{
    int os = errno;
    struct stat st;
    if (os == ENOENT)
        return fail_file(problems, path, 0, "does not exist", e);
    if (os == ENXIO && stat(path, &st) == 0 && odd_kind(-1, &st))
        return fail_kind(problems, path, odd_kind(-1, &st), e);
    return fail_file(problems, path, os, "cannot be opened", e);
}

struct warner {
    const struct settings_options *options;
    const char *path;
};

static void warn_with_file(void *ctx, const char *text)
{
    const struct warner *w = ctx;
    AUTO_BUF whole = { 0 };
    buf_addf(&whole, "settings '%s': %s", w->path, text);
    w->options->warning(w->options->warning_ctx, buf_text(&whole));
}

static int load_file(int fd, const char *path, const struct settings_options *options,
                     struct settings *out, struct buf *problems, struct err *e)
{
    AUTO_BUF text = { 0 }, found = { 0 };
    struct warner warner = { options, path };
    struct settings_options how = options ? *options : (struct settings_options){ 0 };
    if (how.warning) {
        how.warning = warn_with_file;
        how.warning_ctx = &warner;
    }
    struct stat st;
    if (fstat(fd, &st) < 0)
        return fail_file(problems, path, errno, "cannot be looked at", e);
    if (odd_kind(fd, &st))
        return fail_kind(problems, path, odd_kind(fd, &st), e);
    if (read_file(fd, path, &text, problems, e) < 0)
        return -1;
    if (settings_parse(buf_str(&text), path, &how, out, &found, e) == 0)
        return 0;
    buf_addf(problems, "settings '%s': %s", path, buf_text(&found));
    return -1;
}

int settings_load(const char *path, const char *home, const struct settings_options *options,
                  struct settings *out, struct buf *problems, struct err *e)
{
    AUTO_BUF name = { 0 };
    if (!path && (!home || home[0] != '/')) {
        err_set(e, E_INPUT, 0,
                "the default settings file cannot be found: no home directory is "
                "known; name a file with --settings");
        buf_add(problems, str_of(e->text));
        return -1;
    }
    buf_addf(&name, "%s%s%s", path ? path : home, path ? "" : "/", path ? "" : default_file);
    AUTO_FD fd = open(buf_text(&name), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd >= 0)
        return load_file(fd, buf_text(&name), options, out, problems, e);
    if (errno == ENOENT && !path && is_absent(buf_text(&name))) {
        /* Lists of ours would replace the profile's. */
        bool bare = options && options->profile;
        return settings_parse(bare ? STR("{}") : str_of(default_text), "built-in defaults", options,
                              out, problems, e);
    }
    return fail_open(problems, buf_text(&name), e);
}

void settings_fixed_difference(const struct settings *was, const struct settings *now,
                               struct buf *keys)
{
    AUTO_BUF path = { 0 };
    rows_difference(&top_table, was, now, &path, keys);
}

void settings_release(struct settings *s)
{
    egress_policy_release(&s->egress);
    arena_release(&s->arena);
    *s = (struct settings){ 0 };
}
