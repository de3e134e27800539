/* The environment of the command: contract 2.1 and 4.3. */
#include "sandbox/env.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#define TOKEN "0123456789abcdef0123456789abcdef"

/* The block of a run; the strings of `caller` are only read. */
static const char *jar; /* the plan's */

static struct env build(const struct settings *s, const char **caller)
{
    struct env_request r = { .settings = s,
                             .java_agent_jar = jar,
                             .caller = (char *const *)caller,
                             .token = TOKEN,
                             .attribution = STR("make test"),
                             .tmpdir = "/tmp/claude",
                             .postern = "/usr/bin/postern" };
    struct env env;
    struct err e;
    assert_int_equal(env_build(&r, &env, &e), 0);
    return env;
}

static struct env build_default(const char **caller)
{
    struct settings s = { 0 };
    return build(&s, caller);
}

static size_t times(const struct env *env, const char *name)
{
    size_t n = 0, length = strlen(name);
    for (size_t i = 0; i < env->count; i++)
        n += strncmp(env->items[i], name, length) == 0 && env->items[i][length] == '=';
    assert_null(env->items[env->count]);
    return n;
}

static void assert_value(const struct env *env, const char *name, const char *want)
{
    const char *got = env_get(env, name);
    if (!want) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_string_equal(got, want);
    assert_int_equal(times(env, name), 1);
}

static void the_callers_variables_are_kept_byte_for_byte(void **state)
{
    const char *caller[] = { "A=1",
                             "EMPTY=",
                             "TWO=a=b\n\xff",
                             "LD_PRELOAD=/x",
                             "BASH_ENV=/y",
                             "ENV=e",
                             "NODE_OPTIONS=--require x",
                             NULL };
    struct env env = build_default(caller);
    assert_value(&env, "A", "1");
    assert_value(&env, "EMPTY", "");
    assert_value(&env, "TWO", "a=b\n\xff");
    assert_value(&env, "LD_PRELOAD", "/x");
    assert_value(&env, "BASH_ENV", "/y");
    assert_value(&env, "ENV", "e");
    assert_value(&env, "NODE_OPTIONS", "--require x");
    env_release(&env);
}

static void of_two_entries_the_first_counts(void **state)
{
    const char *caller[] = { "A=1", "A=2", "no equals sign", "HTTP_PROXY=mine", "HTTP_PROXY=too",
                             NULL };
    struct env env = build_default(caller);
    assert_value(&env, "A", "1");
    assert_int_equal(times(&env, "HTTP_PROXY"), 1);
    env_release(&env);
}

static void the_table_of_variables(void **state)
{
    const char *caller[] = { "NO_PROXY=mine.example", "CLAUDE_CODE_HOST_HTTP_PROXY_PORT=9", NULL };
    struct env env = build_default(caller);
    const char *http = "http://srt.bWFrZSB0ZXN0:" TOKEN "@localhost:3128";
    const char *const http_names[] = { "HTTP_PROXY",        "HTTPS_PROXY", "http_proxy",
                                       "https_proxy",       "ALL_PROXY",   "all_proxy",
                                       "GRPC_PROXY",        "grpc_proxy",  "DOCKER_HTTP_PROXY",
                                       "DOCKER_HTTPS_PROXY" };
    for (size_t i = 0; i < sizeof http_names / sizeof *http_names; i++)
        assert_value(&env, http_names[i], http);
    const char *socks = "socks5h://srt.bWFrZSB0ZXN0:" TOKEN "@localhost:1080";
    assert_value(&env, "FTP_PROXY", socks);
    assert_value(&env, "ftp_proxy", socks);
    assert_value(&env, "RSYNC_PROXY", "localhost:1080");
    const char *none =
        "localhost,127.0.0.1,::1,169.254.0.0/16,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16";
    assert_value(&env, "NO_PROXY", none);
    assert_value(&env, "no_proxy", none);
    assert_value(&env, "CLOUDSDK_PROXY_TYPE", "http");
    assert_value(&env, "CLOUDSDK_PROXY_ADDRESS", "localhost");
    assert_value(&env, "CLOUDSDK_PROXY_PORT", "3128");
    assert_value(&env, "CLOUDSDK_PROXY_USERNAME", "srt.bWFrZSB0ZXN0");
    assert_value(&env, "CLOUDSDK_PROXY_PASSWORD", TOKEN);
    assert_value(&env, "GIT_CONFIG_PARAMETERS", "'http.proxyAuthMethod=basic'");
    assert_value(&env, "SANDBOX_RUNTIME", "1");
    assert_value(&env, "TMPDIR", "/tmp/claude");
    assert_value(&env, "JAVA_TOOL_OPTIONS", NULL);
    assert_value(&env, "SRT_DEBUG", NULL);
    assert_value(&env, "CLAUDE_CODE_HOST_HTTP_PROXY_PORT", NULL);
    env_release(&env);
}

static void an_external_proxy_gets_no_token(void **state)
{
    struct settings s = { .egress.http_proxy_port = 8080, .egress.socks_proxy_port = 9090 };
    const char *caller[] = { "CLOUDSDK_PROXY_PASSWORD=old", NULL };
    struct env env = build(&s, caller);
    assert_value(&env, "HTTPS_PROXY", "http://localhost:3128");
    assert_value(&env, "FTP_PROXY", "socks5h://localhost:1080");
    assert_value(&env, "CLAUDE_CODE_HOST_HTTP_PROXY_PORT", "8080");
    assert_value(&env, "CLAUDE_CODE_HOST_SOCKS_PROXY_PORT", "9090");
    for (size_t i = 0; i < env.count; i++)
        assert_null(strstr(env.items[i], TOKEN));
    assert_value(&env, "CLOUDSDK_PROXY_PASSWORD", NULL);
    env_release(&env);
}

static void git_ssh_goes_through_our_helper_and_has_no_token(void **state)
{
    static const struct {
        const char *path, *want;
    } rows[] = {
        { "/usr/bin/postern", "\"/usr/bin/postern\"" },
        { "/opt/my tools/100%/postern", "\"/opt/my tools/100%%/postern\"" },
        { "/a'b/$x`\"\\/postern", "\"/a'\\''b/\\$x\\`\\\"\\\\/postern\"" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct settings s = { 0 };
        struct env_request r = { .settings = &s, .token = TOKEN, .postern = rows[i].path };
        struct env env;
        struct err e;
        char want[256];
        assert_int_equal(env_build(&r, &env, &e), 0);
        snprintf(want, sizeof want,
                 "ssh -o ControlMaster=no -o ControlPath=none -o ProxyCommand='%s connect-helper "
                 "%%h %%p'",
                 rows[i].want);
        assert_value(&env, "GIT_SSH_COMMAND", want);
        env_release(&env);
    }
    struct settings s = { 0 };
    struct env_request r = { .settings = &s, .token = TOKEN, .postern = "postern" };
    struct env env;
    struct err e;
    assert_int_equal(env_build(&r, &env, &e), -1);
}

static void the_user_name_carries_the_command(void **state)
{
    char long_text[301];
    memset(long_text, 'x', 300);
    long_text[300] = '\0';
    AUTO_BUF user = { 0 };
    env_proxy_user(&user, STR(""));
    assert_string_equal(buf_text(&user), "srt");
    buf_empty(&user);
    env_proxy_user(&user, STR("a?>"));
    assert_string_equal(buf_text(&user), "srt.YT8+");
    buf_empty(&user);
    env_proxy_user(&user, STR("\xff"));
    assert_string_equal(buf_text(&user), "srt.77+9");
    buf_empty(&user);
    env_proxy_user(&user, str_of(long_text));
    assert_int_equal(user.n, 4 + 136); /* 100 characters */
    buf_empty(&user);
    AUTO_BUF wide = { 0 };
    for (int i = 0; i < 100; i++)
        buf_add(&wide, STR("\xe2\x82\xac"));
    env_proxy_user(&user, buf_str(&wide)); /* 400 bytes of base64 would pass 255 */
    assert_string_equal(buf_text(&user), "srt");
}

static void base64_is_percent_encoded_in_urls(void **state)
{
    struct settings s = { 0 };
    struct env_request r = {
        .settings = &s, .token = TOKEN, .postern = "/p", .attribution = STR("a?>?")
    };
    struct env env;
    struct err e;
    assert_int_equal(env_build(&r, &env, &e), 0);
    assert_value(&env, "HTTP_PROXY", "http://srt.YT8%2BPw%3D%3D:" TOKEN "@localhost:3128");
    assert_value(&env, "CLOUDSDK_PROXY_USERNAME", "srt.YT8+Pw==");
    env_release(&env);
}

static const char *const four[] = { "/a", "/b", NULL };
static const char *const nine[] = { "/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9", NULL };

static void safe_directories_are_numbered_on(void **state)
{
    struct settings s = { .safe_directories = { four, 2 } };
    const char *one[] = { "GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=user.name",
                          "GIT_CONFIG_VALUE_0=me", NULL };
    struct env env = build(&s, one);
    assert_value(&env, "GIT_CONFIG_COUNT", "5");
    assert_value(&env, "GIT_CONFIG_KEY_0", "user.name");
    assert_value(&env, "GIT_CONFIG_KEY_1", "safe.directory");
    assert_value(&env, "GIT_CONFIG_VALUE_1", "/a");
    assert_value(&env, "GIT_CONFIG_VALUE_2", "/a/*");
    assert_value(&env, "GIT_CONFIG_VALUE_4", "/b/*");
    env_release(&env);
    const char *odd[][2] = { { "GIT_CONFIG_COUNT=0" },
                             { "GIT_CONFIG_COUNT=x" },
                             { "GIT_CONFIG_COUNT=-1" } };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        env = build(&s, odd[i]);
        assert_value(&env, "GIT_CONFIG_COUNT", odd[i][0] + strlen("GIT_CONFIG_COUNT="));
        assert_value(&env, "GIT_CONFIG_KEY_0", NULL);
        env_release(&env);
    }
    struct settings many = { .safe_directories = { nine, 9 } };
    env = build(&many, (const char *[]){ NULL });
    assert_value(&env, "GIT_CONFIG_COUNT", "1");
    assert_value(&env, "GIT_CONFIG_VALUE_0", "*");
    env_release(&env);
}

static void java_options_only_with_a_jar(void **state)
{
    const char *caller[] = { "JAVA_TOOL_OPTIONS=-Xmx1g", NULL };
    struct env env = build_default(caller);
    assert_value(&env, "JAVA_TOOL_OPTIONS", "-Xmx1g");
    env_release(&env);
    jar = "/opt/agent.jar";
    env = build_default(caller);
    assert_value(&env, "JAVA_TOOL_OPTIONS", "-javaagent:/opt/agent.jar -Xmx1g");
    env_release(&env);
    jar = "/my jars/agent.jar";
    env = build_default((const char *[]){ NULL });
    jar = NULL;
    assert_value(&env, "JAVA_TOOL_OPTIONS", "\"-javaagent:/my jars/agent.jar\"");
    env_release(&env);
}

static void tmpdir_is_left_alone_without_file_rules(void **state)
{
    struct settings s = { .filesystem_disabled = true };
    const char *caller[] = { "TMPDIR=/my/tmp", NULL };
    struct env env = build(&s, caller);
    assert_value(&env, "TMPDIR", "/my/tmp");
    env_release(&env);
}

static const char *wanted(const char **environment)
{
    return env_wanted_tmpdir((char *const *)environment);
}

static void the_wanted_tmpdir(void **state)
{
    assert_string_equal(wanted((const char *[]){ NULL }), "/tmp/claude");
    assert_string_equal(wanted((const char *[]){ "CLAUDE_TMPDIR=/b", NULL }), "/b");
    assert_string_equal(
        wanted((const char *[]){ "CLAUDE_TMPDIR=/b", "CLAUDE_CODE_TMPDIR=/a", NULL }), "/a");
    assert_string_equal(wanted((const char *[]){ "CLAUDE_CODE_TMPDIR=", NULL }), "/tmp/claude");
}

static void the_allowlist_passes_only_what_is_named(void **state)
{
    static const char *const pass[] = { "KEEP_*", "PATH", NULL };
    struct settings s = { .env_allowlist = true, .env_pass = { pass, 2 } };
    const char *caller[] = { "KEEP_ME=1", "PATH=/bin", "PATHS=x", "DROP=1", "HOME=/h", NULL };
    struct env env = build(&s, caller);
    assert_value(&env, "KEEP_ME", "1");
    assert_value(&env, "PATH", "/bin");
    assert_value(&env, "PATHS", NULL);
    assert_value(&env, "DROP", NULL);
    assert_value(&env, "HOME", NULL);
    assert_value(&env, "SANDBOX_RUNTIME", "1");
    env_release(&env);
}

static void scrub_takes_out_names_that_hold_secrets(void **state)
{
    static const char *const pass[] = { "MY_TOKEN", "AWS_REGION", NULL };
    struct settings s = { .env_scrub = true, .env_pass = { pass, 2 } };
    const char *caller[] = { "A_TOKEN=1",
                             "A_SECRET=1",
                             "A_KEY=1",
                             "A_PASSWORD=1",
                             "A_PASSWD=1",
                             "THE_CREDENTIALS=1",
                             "AWS_X=1",
                             "AZURE_X=1",
                             "GOOGLE_X=1",
                             "GH_X=1",
                             "GITHUB_X=1",
                             "NPM_X=1",
                             "SSH_AUTH_SOCK=1",
                             "GPG_AGENT_INFO=1",
                             "DBUS_SESSION_BUS_ADDRESS=1",
                             "XAUTHORITY=1",
                             "DISPLAY=1",
                             "WAYLAND_DISPLAY=1",
                             "XDG_RUNTIME_DIR=1",
                             "DOCKER_HOST=1",
                             "KUBECONFIG=1",
                             "MY_TOKEN=2",
                             "AWS_REGION=3",
                             "HARMLESS=4",
                             "TOKEN=5",
                             "DISPLAY_MODE=6",
                             NULL };
    struct env env = build(&s, caller);
    for (const char **at = caller; *at; at++) {
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)strcspn(*at, "="), *at);
        bool kept = (*at)[strlen(*at) - 1] != '1';
        assert_true((env_get(&env, name) != NULL) == kept);
    }
    env_release(&env);
}

static void unset_and_set_come_last(void **state)
{
    static const char *const gone[] = { "GONE", "RSYNC_PROXY", NULL };
    static const struct settings_set set[] = { { "CHANGED", "new" }, { "NO_PROXY", "mine" } };
    struct settings s = { .env_unset = { gone, 2 }, .env_set = set, .env_set_count = 2 };
    const char *caller[] = { "GONE=1", "CHANGED=old", NULL };
    struct env env = build(&s, caller);
    assert_value(&env, "GONE", NULL);
    assert_value(&env, "RSYNC_PROXY", NULL);
    assert_value(&env, "CHANGED", "new");
    assert_value(&env, "NO_PROXY", "mine");
    env_release(&env);
}

static void names_match_globs(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool want;
    } rows[] = {
        { "A", "A", true },        { "A", "AB", false },   { "*", "", true },
        { "*", "ANY", true },      { "A*", "A", true },    { "*_KEY", "X_KEY", true },
        { "*_KEY", "KEY", false }, { "*A*", "BAB", true }, { "*A*B*", "xBxA", false },
        { "A?C", "ABC", true },    { "A?C", "AC", false }, { "", "", true },
        { "", "A", false },        { "a", "A", false },    { "*aab", "aaaab", true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(env_matches(str_of(rows[i].pattern), str_of(rows[i].name)), rows[i].want);
    /* No pattern costs more than pattern times name. */
    char name[20001];
    memset(name, 'a', 20000);
    name[20000] = '\0';
    assert_false(env_matches(STR("*a*a*a*a*a*a*a*a*b"), str_of(name)));
}

static void the_token_is_new_and_hex(void **state)
{
    char a[ENV_TOKEN_ROOM], b[ENV_TOKEN_ROOM];
    struct err e;
    assert_int_equal(env_new_token(a, &e), 0);
    assert_int_equal(env_new_token(b, &e), 0);
    assert_int_equal(strlen(a), 32);
    assert_int_equal(strspn(a, "0123456789abcdef"), 32);
    assert_string_not_equal(a, b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_callers_variables_are_kept_byte_for_byte),
        cmocka_unit_test(of_two_entries_the_first_counts),
        cmocka_unit_test(the_table_of_variables),
        cmocka_unit_test(an_external_proxy_gets_no_token),
        cmocka_unit_test(git_ssh_goes_through_our_helper_and_has_no_token),
        cmocka_unit_test(the_user_name_carries_the_command),
        cmocka_unit_test(base64_is_percent_encoded_in_urls),
        cmocka_unit_test(safe_directories_are_numbered_on),
        cmocka_unit_test(java_options_only_with_a_jar),
        cmocka_unit_test(tmpdir_is_left_alone_without_file_rules),
        cmocka_unit_test(the_wanted_tmpdir),
        cmocka_unit_test(the_allowlist_passes_only_what_is_named),
        cmocka_unit_test(scrub_takes_out_names_that_hold_secrets),
        cmocka_unit_test(unset_and_set_come_last),
        cmocka_unit_test(names_match_globs),
        cmocka_unit_test(the_token_is_new_and_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
