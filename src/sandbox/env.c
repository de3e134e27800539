#include "sandbox/env.h"

#include "base/check.h"
#include "sandbox/netns.h"

#include <errno.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { KEY_UNITS = 100, USER_MAX = 255, SAFE_DIRECTORIES_MAX = 8, GIT_COUNT_MAX = 10000 };

/* x.env.scrub (contract 4.3): names that tend to hold secrets or ways to agents and displays. */
static const char *const scrubbed[] = {
    "*_TOKEN",      "*_SECRET", "*_KEY",           "*_PASSWORD",      "*_PASSWD",
    "*CREDENTIAL*", "AWS_*",    "AZURE_*",         "GOOGLE_*",        "GH_*",
    "GITHUB_*",     "NPM_*",    "SSH_AUTH_SOCK",   "GPG_AGENT_INFO",  "DBUS_SESSION_BUS_ADDRESS",
    "XAUTHORITY",   "DISPLAY",  "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DOCKER_HOST",
    "KUBECONFIG",
};

bool env_matches(struct str pattern, struct str name)
{
    size_t p = 0, n = 0, star = SIZE_MAX, back = 0;
    /* One remembered star is enough: a later star takes over what an earlier one could match. */
    while (n < name.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            star = p++;
            back = n;
        } else if (p < pattern.n && (pattern.p[p] == '?' || pattern.p[p] == name.p[n])) {
            p++;
            n++;
        } else if (star != SIZE_MAX) {
            p = star + 1;
            n = ++back;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*')
        p++;
    return p == pattern.n;
}

static bool named_by(const struct settings_names *patterns, struct str name)
{
    for (size_t i = 0; i < patterns->count; i++)
        if (env_matches(str_of(patterns->items[i]), name))
            return true;
    return false;
}

/* Everything before the first '='; the whole entry when there is none. */
static struct str name_of(const char *entry)
{
    struct str rest = str_of(entry), name = { entry, 0 };
    str_cut(&rest, '=', &name);
    return name;
}

static ptrdiff_t find(const struct env *env, struct str name)
{
    for (size_t i = 0; i < env->count; i++)
        if (strncmp(env->items[i], name.p, name.n) == 0 && env->items[i][name.n] == '=')
            return (ptrdiff_t)i;
    return -1;
}

static void put_entry(struct env *env, char *owned)
{
    ptrdiff_t at = find(env, name_of(owned));
    if (at >= 0) {
        mem_wipe(env->items[at], strlen(env->items[at]));
        free(env->items[at]);
        env->items[at] = owned;
        return;
    }
    if (env->count + 1 >= env->room) {
        env->room = env->room ? env->room * 2 : 64;
        env->items = mem_grow(env->items, env->room * sizeof *env->items);
    }
    env->items[env->count++] = owned;
    env->items[env->count] = NULL;
}

__attribute__((format(printf, 3, 4))) static void set(struct env *env, const char *name,
                                                      const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    AUTO_FREE char *value = NULL;
    int n = vasprintf(&value, fmt, ap);
    va_end(ap);
    CHECK(n >= 0);
    AUTO_BUF entry = { 0 };
    buf_addf(&entry, "%s=%s", name, value);
    put_entry(env, buf_take(&entry));
    mem_wipe(value, (size_t)n);
}

static void unset(struct env *env, const char *name)
{
    ptrdiff_t at = find(env, str_of(name));
    if (at < 0)
        return;
    mem_wipe(env->items[at], strlen(env->items[at]));
    free(env->items[at]);
    env->items[at] = env->items[--env->count];
    env->items[env->count] = NULL;
}

const char *env_get(const struct env *env, const char *name)
{
    ptrdiff_t at = find(env, str_of(name));
    return at < 0 ? NULL : env->items[at] + strlen(name) + 1;
}

/* What x.env lets through of the caller's environment. */
static bool passes(const struct settings *s, const char *entry)
{
    struct str name = name_of(entry);
    if (s->env_allowlist)
        return named_by(&s->env_pass, name);
    if (!s->env_scrub || named_by(&s->env_pass, name))
        return true;
    for (size_t i = 0; i < sizeof scrubbed / sizeof *scrubbed; i++)
        if (env_matches(str_of(scrubbed[i]), name))
            return false;
    return true;
}

/* Of two entries with one name the first counts, as getenv has it: what we judge is what is seen. */
static void inherit(struct env *env, const struct env_request *r)
{
    for (char *const *at = r->caller; at && *at; at++)
        if (strchr(*at, '=') && passes(r->settings, *at) && find(env, name_of(*at)) < 0)
            put_entry(env, str_dup(str_of(*at)));
}

static void set_git_entry(struct env *env, uint64_t index, const char *value, const char *tail)
{
    char name[48];
    snprintf(name, sizeof name, "GIT_CONFIG_KEY_%llu", (unsigned long long)index);
    set(env, name, "safe.directory");
    snprintf(name, sizeof name, "GIT_CONFIG_VALUE_%llu", (unsigned long long)index);
    set(env, name, "%s%s", value, tail);
}

/* git.safeDirectories, numbered on from what the caller has (contract 2.1, step 2). */
static void set_safe_directories(struct env *env, const struct settings_names *directories)
{
    if (!directories->count)
        return;
    const char *inherited = env_get(env, "GIT_CONFIG_COUNT");
    uint64_t count = 0;
    /* "0" means leave it alone; what is no number is git's to complain about. */
    if (inherited && (!str_to_u64(str_of(inherited), &count) || !count || count > GIT_COUNT_MAX))
        return;
    if (directories->count > SAFE_DIRECTORIES_MAX)
        set_git_entry(env, count++, "*", "");
    else
        for (size_t i = 0; i < directories->count; i++) {
            set_git_entry(env, count++, directories->items[i], "");
            set_git_entry(env, count++, directories->items[i], "/*");
        }
    set(env, "GIT_CONFIG_COUNT", "%llu", (unsigned long long)count);
}

int env_new_token(char token[ENV_TOKEN_ROOM], struct err *e)
{
    unsigned char random[16];
    size_t have = 0;
    while (have < sizeof random) {
        ssize_t got = getrandom(random + have, sizeof random - have, 0);
        if (got < 0 && errno != EINTR)
            return err_set(e, E_IO, errno, "no random bytes for the proxy token");
        have += got > 0 ? (size_t)got : 0;
    }
    sodium_bin2hex(token, ENV_TOKEN_ROOM, random, sizeof random);
    mem_wipe(random, sizeof random);
    return 0;
}

/* The first `units` UTF-16 units of the text; what is not UTF-8 becomes U+FFFD. */
static void add_units(struct buf *out, struct str text, size_t units)
{
    for (size_t used = 0, i = 0; i < text.n;) {
        unsigned char byte = (unsigned char)text.p[i];
        size_t n = byte < 0x80 ? 1 : byte < 0xe0 ? 2 : byte < 0xf0 ? 3 : 4;
        bool good = n <= text.n - i && str_is_utf8((struct str){ text.p + i, n });
        used += good && n == 4 ? 2 : 1;
        if (used > units)
            return;
        buf_add(out, good ? (struct str){ text.p + i, n } : STR("\xef\xbf\xbd"));
        i += good ? n : 1;
    }
}

void env_proxy_user(struct buf *out, struct str attribution)
{
    AUTO_BUF key = { 0 };
    add_units(&key, attribution, KEY_UNITS);
    enum { VARIANT = sodium_base64_VARIANT_ORIGINAL };
    size_t room = sodium_base64_encoded_len(key.n, VARIANT); /* its NUL included */
    buf_add(out, STR("srt"));
    if (!key.n || sizeof "srt." - 1 + room - 1 > USER_MAX)
        return;
    AUTO_FREE char *coded = mem_get(room);
    sodium_bin2base64(coded, room, (const unsigned char *)key.p, key.n, VARIANT);
    buf_addf(out, ".%s", coded);
}

static void add_percent_encoded(struct buf *out, struct str text)
{
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                     c == '.' || c == '-' || c == '_' || c == '~';
        if (plain)
            buf_add_byte(out, c);
        else
            buf_addf(out, "%%%02X", (unsigned char)c);
    }
}

/* The path for `ssh -o ProxyCommand='...'`: read by git's shell (single quotes), by ssh ("%"), and by
 * ssh's shell (double quotes). */
static void add_quoted_path(struct buf *out, struct str path)
{
    buf_add_byte(out, '"');
    for (size_t i = 0; i < path.n; i++) {
        char c = path.p[i];
        if (c == '"' || c == '\\' || c == '$' || c == '`')
            buf_add_byte(out, '\\');
        if (c == '%')
            buf_add_byte(out, '%');
        if (c == '\'')
            buf_add(out, STR("'\\''"));
        else
            buf_add_byte(out, c);
    }
    buf_add_byte(out, '"');
}

static void set_git_ssh(struct env *env, const char *postern)
{
    AUTO_BUF path = { 0 };
    add_quoted_path(&path, str_of(postern));
    set(env, "GIT_SSH_COMMAND",
        "ssh -o ControlMaster=no -o ControlPath=none -o ProxyCommand='%s connect-helper %%h %%p'",
        buf_text(&path));
}

/* An external proxy (httpProxyPort, socksProxyPort) does its own checks: no token is sent to it. */
static void proxy_url(struct buf *out, const char *scheme, unsigned port, bool external,
                      const struct buf *user, const char *token)
{
    buf_addf(out, "%s://", scheme);
    if (!external) {
        add_percent_encoded(out, buf_str(user));
        buf_addf(out, ":%s@", token);
    }
    buf_addf(out, "localhost:%u", port);
}

static void set_proxies(struct env *env, const struct env_request *r)
{
    static const char *const http_names[] = {
        "HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy",       "ALL_PROXY",
        "all_proxy",  "GRPC_PROXY",  "grpc_proxy", "DOCKER_HTTP_PROXY", "DOCKER_HTTPS_PROXY",
    };
    const char *direct = "localhost,127.0.0.1,::1,169.254.0.0/16,10.0.0.0/8,172.16.0.0/12,"
                         "192.168.0.0/16";
    bool external_http = r->settings->egress.http_proxy_port != 0;
    bool external_socks = r->settings->egress.socks_proxy_port != 0;
    unsigned http_port = r->http_port ? r->http_port : NETNS_HTTP_PORT;
    unsigned socks_port = r->socks_port ? r->socks_port : NETNS_SOCKS_PORT;
    AUTO_BUF user = { 0 };
    AUTO_BUF http = { 0 };
    AUTO_BUF socks = { 0 };
    env_proxy_user(&user, r->attribution);
    proxy_url(&http, "http", http_port, external_http, &user, r->token);
    proxy_url(&socks, "socks5h", socks_port, external_socks, &user, r->token);
    for (size_t i = 0; i < sizeof http_names / sizeof *http_names; i++)
        set(env, http_names[i], "%s", buf_text(&http));
    set(env, "FTP_PROXY", "%s", buf_text(&socks));
    set(env, "ftp_proxy", "%s", buf_text(&socks));
    set(env, "RSYNC_PROXY", "localhost:%u", socks_port);
    set(env, "NO_PROXY", "%s", direct);
    set(env, "no_proxy", "%s", direct);
    set(env, "CLOUDSDK_PROXY_TYPE", "http");
    set(env, "CLOUDSDK_PROXY_ADDRESS", "localhost");
    set(env, "CLOUDSDK_PROXY_PORT", "%u", http_port);
    unset(env, "CLOUDSDK_PROXY_USERNAME");
    unset(env, "CLOUDSDK_PROXY_PASSWORD");
    if (!external_http) {
        set(env, "CLOUDSDK_PROXY_USERNAME", "%s", buf_text(&user));
        set(env, "CLOUDSDK_PROXY_PASSWORD", "%s", r->token);
    }
    mem_wipe(http.p, http.n);
    mem_wipe(socks.p, socks.n);
}

/* The built-in proxy has no port on the host; an inherited value would name somebody else's. */
static void set_host_ports(struct env *env, const struct egress_policy *policy)
{
    unset(env, "CLAUDE_CODE_HOST_HTTP_PROXY_PORT");
    unset(env, "CLAUDE_CODE_HOST_SOCKS_PROXY_PORT");
    if (policy->http_proxy_port)
        set(env, "CLAUDE_CODE_HOST_HTTP_PROXY_PORT", "%u", policy->http_proxy_port);
    if (policy->socks_proxy_port)
        set(env, "CLAUDE_CODE_HOST_SOCKS_PROXY_PORT", "%u", policy->socks_proxy_port);
}

static void set_java(struct env *env, const char *jar)
{
    if (!jar)
        return;
    const char *was = env_get(env, "JAVA_TOOL_OPTIONS");
    AUTO_FREE char *kept = was && *was ? str_dup(str_of(was)) : NULL;
    /* The JVM splits the variable at blanks and takes double quotes. */
    const char *quote = strpbrk(jar, " \t") ? "\"" : "";
    set(env, "JAVA_TOOL_OPTIONS", "%s-javaagent:%s%s%s%s", quote, jar, quote, kept ? " " : "",
        kept ? kept : "");
}

int env_build(const struct env_request *r, struct env *out, struct err *e)
{
    *out = (struct env){ 0 };
    if (!r->postern || r->postern[0] != '/')
        return err_set(e, E_INPUT, 0, "the path of this program is not absolute");
    out->room = 64;
    out->items = mem_array(out->room, sizeof *out->items);
    inherit(out, r);
    set_safe_directories(out, &r->settings->safe_directories);
    set(out, "SANDBOX_RUNTIME", "1");
    if (r->tmpdir && !r->settings->filesystem_disabled)
        set(out, "TMPDIR", "%s", r->tmpdir);
    set_proxies(out, r);
    set_host_ports(out, &r->settings->egress);
    set(out, "GIT_CONFIG_PARAMETERS", "'http.proxyAuthMethod=basic'");
    set_git_ssh(out, r->postern);
    set_java(out, r->java_agent_jar);
    if (r->debug)
        set(out, "SRT_DEBUG", "true");
    for (size_t i = 0; i < r->settings->env_unset.count; i++)
        unset(out, r->settings->env_unset.items[i]);
    for (size_t i = 0; i < r->settings->env_set_count; i++)
        set(out, r->settings->env_set[i].name, "%s", r->settings->env_set[i].value);
    return 0;
}

void env_release(struct env *env)
{
    for (size_t i = 0; i < env->count; i++) {
        mem_wipe(env->items[i], strlen(env->items[i]));
        free(env->items[i]);
    }
    free(env->items);
    *env = (struct env){ 0 };
}

const char *env_wanted_tmpdir(char *const *environment)
{
    static const char *const names[] = { "CLAUDE_CODE_TMPDIR=", "CLAUDE_TMPDIR=" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        for (char *const *at = environment; at && *at; at++)
            if (str_starts(str_of(*at), str_of(names[i])) && (*at)[strlen(names[i])])
                return *at + strlen(names[i]);
    return "/tmp/claude";
}
