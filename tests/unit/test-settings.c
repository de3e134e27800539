/* Claims of sandbox/settings.h. */
#include "sandbox/settings.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A whole file: what is required, with other members of each object put in. */
#define FILE_WITH(top, network, filesystem)                                                        \
    "{\"network\":{\"allowedDomains\":[],\"deniedDomains\":[]" network "},"                        \
    "\"filesystem\":{\"denyRead\":[],\"allowWrite\":[],\"denyWrite\":[]" filesystem "}" top "}"
#define TOP(members) FILE_WITH("," members, "", "")
#define NETWORK(members) FILE_WITH("", "," members, "")
#define FILESYSTEM(members) FILE_WITH("", "", "," members)
#define X(members) TOP("\"x\":{" members "}")

static void collect_warning(void *ctx, const char *text)
{
    struct buf *all = ctx;
    buf_addf(all, "%s\n", text);
}

/* One parse with all that comes out of it. */
struct run {
    struct settings s;
    struct buf problems, warnings;
    struct err e;
    bool ok;
};

static void run_release(struct run *r)
{
    if (r->ok)
        settings_release(&r->s);
    buf_release(&r->problems);
    buf_release(&r->warnings);
}
#define AUTO_RUN CLEANUP(run_release) struct run

static struct run parse_with(const char *text, struct settings_options options)
{
    struct run r = { 0 };
    struct buf warnings = { 0 };
    options.warning = collect_warning;
    options.warning_ctx = &warnings;
    r.ok = settings_parse(str_of(text), "test", &options, &r.s, &r.problems, &r.e) == 0;
    r.warnings = warnings;
    return r;
}

static struct run parse(const char *text)
{
    return parse_with(text, (struct settings_options){ 0 });
}

static struct run parse_good(const char *text)
{
    struct run r = parse(text);
    if (!r.ok)
        fail_msg("%s\n%s", text, buf_text(&r.problems));
    return r;
}

struct bad_row {
    const char *text, *problem;
};

static void all_are_refused(const struct bad_row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        AUTO_RUN r = parse(rows[i].text);
        if (r.ok)
            fail_msg("was accepted: %s", rows[i].text);
        if (!strstr(buf_text(&r.problems), rows[i].problem))
            fail_msg("%s\ngave %s\nnot %s", rows[i].text, buf_text(&r.problems), rows[i].problem);
        assert_int_equal(r.e.kind, E_INPUT);
    }
}

static void the_least_file_denies_everything(void **state)
{
    AUTO_RUN r = parse_good(FILE_WITH("", "", ""));
    assert_int_equal(r.s.egress.allowed.count, 0);
    assert_int_equal(r.s.allow_write.count, 0);
    assert_true(r.s.no_setid);
    assert_true(r.s.egress.check_sni);
    assert_false(r.s.filesystem_disabled);
    assert_int_equal(r.s.transparent, SETTING_UNSET);
    assert_int_equal(r.s.allow_pty, SETTING_UNSET);
    assert_string_equal(r.s.source, "test");
    assert_string_equal(buf_text(&r.warnings), "");
    assert_null(r.s.ignore_violations_json);
}

static void the_hash_is_that_of_the_bytes(void **state)
{
    struct run r = parse("");
    assert_false(r.ok);
    run_release(&r);
    /* sha256sum of the text below */
    AUTO_RUN good = parse_good("{\"network\":{\"allowedDomains\":[],\"deniedDomains\":[]},"
                               "\"filesystem\":{\"denyRead\":[],\"allowWrite\":[],"
                               "\"denyWrite\":[]}}");
    assert_string_equal(good.s.sha256,
                        "62b1705ce7720af9633e483507d6f04e38f084769f73f80ff8cf0fb93c74a3ca");
}

static void a_bad_file_is_refused(void **state)
{
    static const struct bad_row rows[] = {
        { "", "not JSON: line 1, column 1: the text is empty" },
        { " \n ", "the text is empty" },
        { "{", "not JSON: line 1" },
        { "[]", "must be an object, not an array" },
        { "null", "must be an object, not null" },
        { "{}", "network: required; filesystem: required" },
        { "{\"network\":{},\"filesystem\":{}}",
          "network.allowedDomains: required; network.deniedDomains: required; "
          "filesystem.denyRead: required; filesystem.allowWrite: required; "
          "filesystem.denyWrite: required" },
        { "{\"network\":null,\"filesystem\":[]}",
          "network: must be an object, not null; filesystem: must be an object, not an array" },
        { "{\"a\":1,\"a\":2}", "duplicate" },
        { TOP("\"filesystem\":{}"), "duplicate" },
    };
    all_are_refused(rows, COUNT(rows));
}

static void every_problem_is_reported_at_once(void **state)
{
    AUTO_RUN r = parse("{\"network\":{\"allowedDomains\":[\"a b\",1,\"ok.example\"],"
                       "\"deniedDomains\":null,\"strictAllowlist\":1},"
                       "\"filesystem\":{\"denyRead\":[\"\"],\"allowWrite\":\".\","
                       "\"denyWrite\":[{\"path\":\"x\",\"literal\":true,\"z\":1}]},"
                       "\"x\":{\"nope\":1}}");
    static const char *const parts[] = {
        "network.allowedDomains[0]: ",
        "; network.allowedDomains[1]: must be a string, not a number",
        "; network.deniedDomains: must be an array, not null",
        "; network.strictAllowlist: must be a boolean, not a number",
        "; filesystem.denyRead[0]: must not be empty",
        "; filesystem.allowWrite: must be an array, not a string",
        "; filesystem.denyWrite[0].z: unknown key",
        "; x.nope: unknown key",
    };
    assert_false(r.ok);
    for (size_t i = 0; i < COUNT(parts); i++)
        if (!strstr(buf_text(&r.problems), parts[i]))
            fail_msg("no \"%s\" in %s", parts[i], buf_text(&r.problems));
    assert_non_null(strstr(r.e.text, "settings 'test': network.allowedDomains[0]: "));
    assert_non_null(strstr(r.e.text, "(and 7 more)"));
}

static void wrong_types_are_refused_everywhere(void **state)
{
    /* Each value is wrong at each of the keys. */
    static const char *const values[] = { "null", "1.5", "-1", "\"\"", "{\"q\":[]}" };
    static const char *const keys[] = {
        "network.strictAllowlist",
        "network.allowUnixSockets",
        "network.allowAllUnixSockets",
        "network.allowLocalBinding",
        "network.allowMachLookup",
        "network.httpProxyPort",
        "network.socksProxyPort",
        "network.mitmProxy",
        "network.tlsTerminate",
        "network.filterRequest",
        "network.allowPlaintextHeaderSet",
        "network.stripResponseHeaders",
        "network.refuseOpaqueTunnels",
        "network.requireHostMatch",
        "network.ambiguousRequestTarget",
        "network.deniedResolvedAddresses",
        "filesystem.allowRead",
        "filesystem.allowGitConfig",
        "filesystem.disabled",
        "credentials",
        "enableWeakerNestedSandbox",
        "allowNestedUserNamespaces",
        "mandatoryDenySearchDepth",
        "bwrapPath",
        "socatPath",
        "javaAgentJarPath",
        "allowPty",
        "enableWeakerNetworkIsolation",
        "allowAppleEvents",
        "x.limits.memory",
        "x.limits.pids",
        "x.limits.cpu",
        "x.limits.cpuWeight",
        "x.limits.ioWeight",
        "x.limits.wall",
        "x.limits.fileSize",
        "x.limits.openFiles",
        "x.limits.diskQuota",
        "x.limits.tmpSize",
        "x.limits.core",
        "x.limits.stack",
        "x.limits.memlock",
        "x.limits.msgqueue",
        "x.limits.sigpending",
        "x.limits.useSystemd",
        "x.network.refusePrivate",
        "x.network.transparent",
        "x.network.dns",
        "x.network.checkSni",
        "x.network.udp",
        "x.network.icmp",
        "x.network.maxBytesOut",
        "x.network.maxConnections",
        "x.env.mode",
        "x.env.scrub",
        "x.env.pass",
        "x.env.unset",
        "x.filesystem.create",
        "x.filesystem.hide",
        "x.filesystem.strictHide",
        "x.filesystem.hideHome",
        "x.filesystem.noSetid",
        "x.filesystem.execOnly",
        "x.filesystem.noExec",
        "x.filesystem.readOnlyBind",
        "x.filesystem.overlay",
        "x.seccomp.preset",
        "x.seccomp.allow",
        "x.seccomp.deny",
        "x.unixSockets",
        "x.mandatory.off",
        "x.lenientPatterns",
        "x.lifetime",
        "x.tmpdir.persist",
        "x.ask.files",
        "x.degraded",
        "x.requestRules",
        "x.credentials",
        "x.snapshot",
    };
    for (size_t k = 0; k < COUNT(keys); k++)
        for (size_t v = 0; v < COUNT(values); v++) {
            AUTO_BUF text = { 0 };
            struct str rest = str_of(keys[k]), first = { 0 }, part = { 0 };
            str_cut(&rest, '.', &first);
            bool network = str_eq(first, STR("network")), files = str_eq(first, STR("filesystem"));
            buf_addf(&text, "{\"network\":{\"allowedDomains\":[],\"deniedDomains\":[]");
            if (network)
                buf_addf(&text, ",\"%.*s\":%s", STR_ARGS(rest), values[v]);
            buf_addf(&text, "},\"filesystem\":{\"denyRead\":[],\"allowWrite\":[],\"denyWrite\":[]");
            if (files)
                buf_addf(&text, ",\"%.*s\":%s", STR_ARGS(rest), values[v]);
            buf_addf(&text, "}");
            if (!network && !files) {
                size_t open = 0;
                buf_addf(&text, ",\"%.*s\":", STR_ARGS(first));
                while (str_cut(&rest, '.', &part)) {
                    buf_addf(&text, "{\"%.*s\":", STR_ARGS(part));
                    open++;
                }
                buf_addf(&text, "%s", values[v]);
                while (open--)
                    buf_add_byte(&text, '}');
            }
            buf_addf(&text, "}");
            AUTO_RUN r = parse(buf_text(&text));
            if (r.ok)
                fail_msg("was accepted: %s", buf_text(&text));
            if (!strstr(buf_text(&r.problems), keys[k]))
                fail_msg("%s\ndoes not name %s", buf_text(&r.problems), keys[k]);
        }
}

static void ranges_and_forms_are_checked(void **state)
{
    static const struct bad_row rows[] = {
        { NETWORK("\"httpProxyPort\":0"), "between 1 and 65535" },
        { NETWORK("\"httpProxyPort\":65536"), "between 1 and 65535" },
        { NETWORK("\"socksProxyPort\":\"1080\""), "must be a number, not a string" },
        { NETWORK("\"allowMachLookup\":[\"com.*.x\"]"), "allowMachLookup[0]: '*'" },
        { NETWORK("\"ambiguousRequestTarget\":\"Refuse\""),
          "must be one of \"refuse\", \"asSpelled\", \"normalize\"" },
        { NETWORK("\"stripResponseHeaders\":[\"a b\"]"), "no name of a header" },
        { NETWORK("\"stripResponseHeaders\":[\"a:\"]"), "no name of a header" },
        { NETWORK("\"deniedResolvedAddresses\":[\"[::1]\"]"), "deniedResolvedAddresses[0]: " },
        { NETWORK("\"deniedResolvedAddresses\":[\"10.0.0.0/33\"]"), "deniedResolvedAddresses[0]" },
        { NETWORK("\"deniedDomainReasons\":{\"a.example\":1}"),
          "network.deniedDomainReasons.a.example: must be a string" },
        { NETWORK("\"mitmProxy\":{\"socketPath\":\"/s\"}"), "mitmProxy: domains is required" },
        { NETWORK("\"mitmProxy\":{\"socketPath\":\"/s\",\"domains\":[]}"), "at least one" },
        { NETWORK("\"mitmProxy\":{\"domains\":[\"a.example\"]}"), "socketPath is required" },
        { NETWORK("\"parentProxy\":{\"http\":\"ftp://x\"}"), "network.parentProxy.http: " },
        { NETWORK("\"parentProxy\":{\"https\":\"http://\"}"), "network.parentProxy.https: " },
        { NETWORK("\"parentProxy\":{\"http\":null}"), "network.parentProxy.http: " },
        { NETWORK("\"parentProxy\":{\"noProxy\":[\"a\"]}"), "network.parentProxy.noProxy: " },
        { NETWORK("\"filterRequest\":{}"), "network.filterRequest: is a function" },
        { NETWORK("\"allowUnixSockets\":[\"\"]"), "allowUnixSockets[0]: must not be empty" },
        { FILESYSTEM("\"allowRead\":[{\"path\":\"\",\"literal\":true}]"), "[0].path: must not be" },
        { FILESYSTEM("\"allowRead\":[{\"path\":\"a\"}]"), "allowRead[0]: must be a string or {" },
        { FILESYSTEM("\"allowRead\":[{\"literal\":true}]"), "allowRead[0]: must be a string or {" },
        { FILESYSTEM("\"allowRead\":[{\"path\":\"a\",\"literal\":1}]"), "[0].literal: must be a" },
        { FILESYSTEM("\"allowRead\":[[\"a\"]]"), "allowRead[0]: must be a string or {" },
        { TOP("\"mandatoryDenySearchDepth\":0"), "between 1 and 10" },
        { TOP("\"mandatoryDenySearchDepth\":11"), "between 1 and 10" },
        { TOP("\"bwrapPath\":\"bin/bwrap\""), "bwrapPath: must be an absolute path" },
        { TOP("\"javaAgentJarPath\":\"a.jar\""), "javaAgentJarPath: must be an absolute path" },
        { TOP("\"ripgrep\":{}"), "ripgrep.command: required" },
        { TOP("\"ripgrep\":{\"command\":\"rg\",\"args\":\"-x\"}"), "ripgrep.args: must be" },
        { TOP("\"seccomp\":{\"applyPath\":1}"), "seccomp.applyPath: must be" },
        { TOP("\"git\":{\"safeDirectories\":[\"\"]}"), "git.safeDirectories[0]: must not be" },
        { TOP("\"windows\":[]"), "windows: must be an object" },
        { TOP("\"ignoreViolations\":{\"*\":\"x\"}"), "ignoreViolations.*: must be an array" },
        { TOP("\"ignoreViolations\":{\"*\":[1]}"), "ignoreViolations.*[0]: must be a string" },
        { X("\"limits\":{\"memory\":512}"), "x.limits.memory: must be between 1048576 and" },
        { X("\"limits\":{\"memory\":\"512MB\"}"), "x.limits.memory: must be a number of bytes" },
        { X("\"limits\":{\"memory\":\"MiB\"}"), "x.limits.memory: must be a number of bytes" },
        { X("\"limits\":{\"memory\":\"99999999999TiB\"}"), "x.limits.memory: " },
        { X("\"limits\":{\"pids\":0}"), "x.limits.pids: must be between 1 and" },
        { X("\"limits\":{\"cpu\":200}"), "x.limits.cpu: must be a percentage" },
        { X("\"limits\":{\"cpu\":\"0%\"}"), "x.limits.cpu: must be a percentage" },
        { X("\"limits\":{\"cpuWeight\":\"unlimited\"}"), "x.limits.cpuWeight: must be a number" },
        { X("\"limits\":{\"tmpSize\":\"unlimited\"}"), "x.limits.tmpSize: must be" },
        { X("\"limits\":{\"diskQuota\":\"unlimited\"}"), "x.limits.diskQuota: must be" },
        { X("\"limits\":{\"diskQuota\":100}"), "x.limits.diskQuota: must be" },
        { "{\"network\":{\"allowedDomains\":[],\"deniedDomains\":[]},\"filesystem\":{\"disabled\":"
          "true,"
          "\"denyRead\":[],\"allowWrite\":[],\"denyWrite\":[]},\"x\":{\"limits\":{\"diskQuota\":"
          "\"1GiB\"}}}",
          "x.limits.diskQuota: counts what is added" },
        { X("\"network\":{\"ports\":{\"in\":[\"0\"]}}"), "x.network.ports.in[0]: must be a port" },
        { X("\"network\":{\"ports\":{\"in\":[\"80:\"]}}"), "x.network.ports.in[0]: must be" },
        { X("\"network\":{\"ports\":{\"in\":[\"1:2:3\"]}}"), "x.network.ports.in[0]: must be" },
        { X("\"network\":{\"ports\":{\"in\":[\"070\"]}}"), "x.network.ports.in[0]: must be" },
        { X("\"network\":{\"ports\":{\"in\":[65536]}}"), "x.network.ports.in[0]: must be" },
        { X("\"network\":{\"ports\":{\"in\":[80,\"80:81\"]}}"), "port 80 is forwarded twice" },
        { X("\"network\":{\"ports\":{\"out\":[\"1:80\",\"2:80\"]}}"),
          "port 80 is forwarded twice" },
        { X("\"network\":{\"ports\":{\"out\":[3128]}}"), "port 3128 inside the sandbox is" },
        { X("\"network\":{\"ports\":{\"in\":[\"9000:1080\"]}}"),
          "port 1080 inside the sandbox is" },
        { X("\"network\":{\"ports\":{\"in\":[\"1:7\"],\"out\":[\"9:7\"]}}"),
          "port 7 inside the sandbox is forwarded both ways" },
        { X("\"network\":{\"ports\":{\"in\":[1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,"
            "21,22,23,24,25,26,27,28,29,30,31,32,33]}}"),
          "x.network.ports.in: has 33 entries; 32 are the most" },
        { X("\"network\":{\"ports\":{\"up\":[]}}"), "x.network.ports.up: unknown key" },
        { X("\"network\":{\"udp\":true}"), "x.network.udp: is not supported" },
        { X("\"network\":{\"icmp\":true}"), "x.network.icmp: is not supported" },
        { X("\"network\":{\"icmp\":0}"), "x.network.icmp: must be" },
        { X("\"env\":{\"set\":{\"A=B\":\"x\"}}"), "x.env.set.A=B: is no name" },
        { X("\"env\":{\"set\":{\"A\":1}}"), "x.env.set.A: must be a string" },
        { X("\"env\":{\"unset\":[\"AWS_*\"]}"), "x.env.unset[0]: is a pattern" },
        { X("\"env\":{\"pass\":[\"A=1\"]}"), "x.env.pass[0]: is no name" },
        { X("\"filesystem\":{\"create\":[{\"path\":\"a\",\"create\":\"file\"}]}"),
          "create must be \"dir\"" },
        { X("\"filesystem\":{\"create\":[{\"create\":\"dir\"}]}"), "path is required" },
        { X("\"filesystem\":{\"create\":[{\"path\":\"a\",\"mode\":7}]}"), "[0].mode: unknown key" },
        { X("\"filesystem\":{\"readOnlyBind\":[{\"host\":\"/a\"}]}"), "[0].inside: required" },
        { X("\"filesystem\":{\"readOnlyBind\":[{\"host\":\"a\",\"inside\":\"/b\"}]}"),
          "[0].host: must be an absolute path" },
        { X("\"filesystem\":{\"readOnlyBind\":[{\"host\":\"/a\",\"inside\":\"/b/../c\"}]}"),
          "[0].inside: must be a plain path" },
        { X("\"filesystem\":{\"readOnlyBind\":[{\"host\":\"/a\",\"inside\":\"/b\",\"rw\":1}]}"),
          "unknown keys" },
        { X("\"filesystem\":{\"overlay\":true}"), "x.filesystem.overlay: is not supported" },
        { X("\"seccomp\":{\"allow\":[\"open-at\"]}"), "x.seccomp.allow[0]: is no name" },
        { X("\"unixSockets\":[{\"path\":\"/s\",\"bind\":\"yes\"}]"), "bind must be a boolean" },
        { X("\"mandatory\":{\"off\":[\".git/hooks\"]}"), "is no deny that can be switched off" },
        { X("\"mandatory\":{\"off\":[\".bashrc\"]}"), "is no deny that can be switched off" },
    };
    all_are_refused(rows, COUNT(rows));
}

static void later_keys_refuse_to_run_and_absent_ones_do_not(void **state)
{
    static const char said[] =
        "is not supported by this version of postern; refusing to run without it";
    static const struct bad_row rows[] = {
        { TOP("\"credentials\":{}"), said },
        { TOP("\"credentials\":{\"envVarz\":[]}"), "credentials.envVarz: unknown key" },
        { NETWORK("\"tlsTerminate\":{}"), said },
        { X("\"requestRules\":[]"), said },
        { X("\"credentials\":{}"), said },
        { X("\"snapshot\":{}"), said },
        { X("\"filesystem\":{\"overlay\":true}"), said },
    };
    all_are_refused(rows, COUNT(rows));
    AUTO_RUN r = parse_good(X("\"filesystem\":{\"overlay\":false}"));
    assert_string_equal(buf_text(&r.warnings), "");
}

static void a_deny_pattern_that_ends_in_a_slash_is_refused(void **state)
{
    static const char *const bad[] = { "/a/*/", "~/x?/", "/[ab]/", "~*/" };
    static const char *const good[] = { "/a/", "~/", "a*/", "/a/*" };
    for (size_t i = 0; i < COUNT(bad); i++) {
        AUTO_BUF text = { 0 };
        buf_addf(&text,
                 "{\"network\":{\"allowedDomains\":[],\"deniedDomains\":[]},\"filesystem\":"
                 "{\"denyRead\":[\"%s\"],\"allowWrite\":[\"%s\"],\"denyWrite\":[\"%s\"]}}",
                 bad[i], bad[i], bad[i]);
        AUTO_RUN r = parse(buf_text(&text));
        assert_false(r.ok);
        assert_string_equal(
            buf_text(&r.problems),
            "filesystem.denyRead[0]: is a pattern that ends in '/' and so matches "
            "nothing; filesystem.denyWrite[0]: is a pattern that ends in '/' and so "
            "matches nothing");
    }
    for (size_t i = 0; i < COUNT(good); i++) {
        AUTO_BUF text = { 0 };
        buf_addf(&text,
                 "{\"network\":{\"allowedDomains\":[],\"deniedDomains\":[]},\"filesystem\":"
                 "{\"denyRead\":[\"%s\"],\"allowWrite\":[],\"denyWrite\":[{\"path\":\"/*/\","
                 "\"literal\":true}]}}",
                 good[i]);
        AUTO_RUN r = parse_good(buf_text(&text));
        assert_true(r.s.deny_write.items[0].literal);
    }
}

static void unknown_keys_warn_outside_and_fail_inside_x(void **state)
{
    AUTO_RUN r = parse_good(FILE_WITH(",\"newThing\":1,\"git\":{\"y\":1}", ",\"allowedDomians\":[]",
                                      ",\"denyRaed\":[]"));
    assert_string_equal(
        buf_text(&r.warnings),
        "network.allowedDomians: unknown key, ignored (did you mean \"allowedDomains\"?)\n"
        "filesystem.denyRaed: unknown key, ignored (did you mean \"denyRead\"?)\n"
        "git.y: unknown key, ignored\n"
        "newThing: unknown key, ignored\n");
    static const struct bad_row rows[] = {
        { X("\"limit\":{}"), "x.limit: unknown key (did you mean \"limits\"?)" },
        { X("\"limits\":{\"ram\":1}"), "x.limits.ram: unknown key" },
        { X("\"tmpdir\":{\"persists\":true}"), "x.tmpdir.persists: unknown key" },
    };
    all_are_refused(rows, COUNT(rows));
}

static void strict_makes_an_unknown_key_an_error(void **state)
{
    AUTO_RUN r =
        parse_with(FILESYSTEM("\"denyRaed\":[]"), (struct settings_options){ .strict = true });
    assert_false(r.ok);
    assert_string_equal(buf_text(&r.problems), "filesystem.denyRaed: unknown key (did you "
                                               "mean \"denyRead\"?)");
}

static void a_key_cannot_forge_a_message(void **state)
{
    AUTO_RUN r = parse_good(TOP("\"a\\nb\\u001b[31m\":1,"
                                "\"0123456789012345678901234567890123456789"
                                "0123456789012345678901234567890123456789\":1"));
    assert_string_equal(buf_text(&r.warnings),
                        "a?b?[31m: unknown key, ignored\n"
                        "0123456789012345678901234567890123456789012345678901234567890123...: "
                        "unknown key, ignored\n");
}

static void network_reaches_the_policy(void **state)
{
    AUTO_RUN r = parse_good(
        "{\"network\":{\"allowedDomains\":[\"Example.com\",\"*.example.org:443\"],"
        "\"deniedDomains\":[\"bad.example.org\",\"*:22\"],"
        "\"deniedDomainReasons\":{\"*:22\":\"no ssh\",\"other\":\"x\"},\"strictAllowlist\":true,"
        "\"deniedResolvedAddresses\":[\"10.0.0.0/8\",\"fd00::/8\"],"
        "\"httpProxyPort\":8080,\"socksProxyPort\":1080,"
        "\"mitmProxy\":{\"socketPath\":\"/run/m.sock\",\"domains\":[\"example.com\"]},"
        "\"parentProxy\":{\"http\":\"http://u:p@up.example:3129\",\"noProxy\":\".local\"},"
        "\"stripResponseHeaders\":[\"Server\",\"X-A\"],\"refuseOpaqueTunnels\":true,"
        "\"requireHostMatch\":true,\"allowPlaintextHeaderSet\":true,"
        "\"ambiguousRequestTarget\":\"normalize\",\"allowUnixSockets\":[\"/a/*.sock\"],"
        "\"allowAllUnixSockets\":true,\"allowLocalBinding\":true,"
        "\"allowMachLookup\":[\"com.apple.*\"]},"
        "\"filesystem\":{\"denyRead\":[],\"allowWrite\":[],\"denyWrite\":[]}}");
    const struct egress_policy *p = &r.s.egress;
    assert_int_equal(p->allowed.count, 2);
    assert_true(p->allowed.items[1].wildcard);
    assert_int_equal(p->denied.count, 2);
    assert_null(p->denied_reasons[0]);
    assert_string_equal(p->denied_reasons[1], "no ssh");
    assert_true(p->strict_allowlist);
    assert_int_equal(p->denied_address_count, 2);
    assert_int_equal(p->http_proxy_port, 8080);
    assert_int_equal(p->socks_proxy_port, 1080);
    assert_string_equal(p->mitm_socket, "/run/m.sock");
    assert_int_equal(p->mitm_domains.count, 1);
    assert_true(p->parent_http.set && p->parent_https.set);
    assert_string_equal(p->parent_https.host, "up.example");
    assert_int_equal(p->parent_https.port, 3129);
    assert_string_equal(p->no_proxy, ".local");
    assert_string_equal(p->strip_response_headers[1], "X-A");
    assert_null(p->strip_response_headers[2]);
    assert_true(p->refuse_opaque_tunnels && p->require_host_match && p->allow_plaintext_header_set);
    assert_int_equal(p->ambiguous_request_target, AMBIGUOUS_NORMALIZE);
    assert_int_equal(r.s.unix_sockets.count, 1);
    assert_true(r.s.unix_sockets.items[0].literal);
    assert_true(r.s.all_unix_sockets);
}

static void the_environment_names_the_parent_proxy_when_the_file_does_not(void **state)
{
    char upper[] = "HTTP_PROXY=http://up.example:1", lower[] = "http_proxy=http://low.example:2";
    char empty[] = "HTTPS_PROXY=", none[] = "no_proxy=.a.example", longer[] = "HTTP_PROXYX=junk://";
    char *environment[] = { longer, lower, upper, empty, none, NULL };
    struct settings_options options = { .environment = environment };
    AUTO_RUN r = parse_with(FILE_WITH("", "", ""), options);
    assert_true(r.ok);
    assert_string_equal(r.s.egress.parent_http.host, "up.example");
    assert_string_equal(r.s.egress.parent_https.host, "up.example");
    assert_string_equal(r.s.egress.no_proxy, ".a.example");
    AUTO_RUN given = parse_with(NETWORK("\"parentProxy\":{}"), options);
    assert_true(given.ok);
    assert_false(given.s.egress.parent_http.set);
    assert_null(given.s.egress.no_proxy);
}

static void a_bad_proxy_variable_refuses_and_keeps_its_secret(void **state)
{
    char bad[] = "https_proxy=ftp://user:hunter2@x.example";
    char *environment[] = { bad, NULL };
    AUTO_RUN r =
        parse_with(FILE_WITH("", "", ""), (struct settings_options){ .environment = environment });
    assert_false(r.ok);
    assert_memory_equal(buf_text(&r.problems), "environment variable https_proxy: ", 34);
    assert_null(strstr(buf_text(&r.problems), "hunter2"));
    assert_null(strstr(r.e.text, "hunter2"));
}

static void paths_keep_their_bytes_and_their_place(void **state)
{
    AUTO_RUN r = parse_good(
        "{\"network\":{\"allowedDomains\":[],\"deniedDomains\":[]},"
        "\"filesystem\":{\"denyRead\":[\"~/.ssh\",{\"path\":\"a[1]\",\"literal\":true}],"
        "\"allowRead\":[\".\"],\"allowWrite\":[\"./b\\n\\u00e9\"],\"denyWrite\":[\"**/x\"],"
        "\"allowGitConfig\":true,\"disabled\":false}}");
    assert_int_equal(r.s.deny_read.count, 2);
    assert_string_equal(r.s.deny_read.items[0].path, "~/.ssh");
    assert_string_equal(r.s.deny_read.items[1].path, "a[1]");
    assert_true(r.s.deny_read.items[1].literal);
    assert_string_equal(r.s.deny_read.items[1].where, "filesystem.denyRead[1]");
    assert_string_equal(r.s.allow_write.items[0].path, "./b\n\xc3\xa9");
    assert_false(r.s.deny_write.items[0].literal);
    assert_true(r.s.allow_git_config);
}

static void our_own_settings_are_read(void **state)
{
    AUTO_RUN r = parse_good(TOP(
        "\"enableWeakerNestedSandbox\":true,\"allowNestedUserNamespaces\":true,\"allowPty\":false,"
        "\"git\":{\"safeDirectories\":[\"/a\"]},\"javaAgentJarPath\":\"/j.jar\","
        "\"ignoreViolations\":{\"*\":[\"/tmp\\n\"],\"npm\":[]},"
        "\"bwrapPath\":\"/"
        "b\",\"ripgrep\":{\"command\":\"rg\"},\"seccomp\":{},\"windows\":{\"a\":1},"
        "\"mandatoryDenySearchDepth\":10,"
        "\"x\":{\"limits\":{\"memory\":\"512MiB\",\"pids\":\"unlimited\",\"cpu\":\"200%\","
        "\"cpuWeight\":50,\"wall\":60,\"fileSize\":\"2G\",\"openFiles\":256,\"tmpSize\":1048576,"
        "\"core\":\"1 KiB\",\"memlock\":1,\"useSystemd\":true},"
        "\"network\":{\"refusePrivate\":true,\"transparent\":false,\"checkSni\":false,"
        "\"ports\":{\"in\":[\"3000\",\"8080:80\"],\"out\":[5432]},\"udp\":false,"
        "\"maxBytesOut\":\"1MiB\",\"maxConnections\":7},"
        "\"env\":{\"mode\":\"allowlist\",\"scrub\":true,\"pass\":[\"PATH\",\"LC_*\"],"
        "\"set\":{\"A\":\"1\",\"B\":\"\"},\"unset\":[\"C\"]},"
        "\"filesystem\":{\"create\":[\"out\",{\"path\":\"a*\",\"create\":\"dir\"}],"
        "\"hide\":\"empty\",\"strictHide\":true,\"hideHome\":true,\"noSetid\":false,"
        "\"execOnly\":[\"/usr\"],\"noExec\":[\"/tmp\"],"
        "\"readOnlyBind\":[{\"host\":\"/a\",\"inside\":\"/b\"}]},"
        "\"seccomp\":{\"preset\":\"strict\",\"allow\":[\"ptrace\"],\"deny\":[\"io_uring_setup\"]},"
        "\"unixSockets\":[\"/s1\",{\"path\":\"/s2\",\"bind\":true},{\"path\":\"/s3\"}],"
        "\"mandatory\":{\"off\":[\".envrc\",\"PATH\"]},\"lenientPatterns\":true,"
        "\"lifetime\":\"last-process\",\"tmpdir\":{\"persist\":true},\"ask\":{\"files\":true},"
        "\"degraded\":[\"landlock\"]}"));
    const struct settings *s = &r.s;
    assert_true(s->weaker_nested && s->nested_user_namespaces);
    assert_int_equal(s->allow_pty, SETTING_OFF);
    assert_string_equal(s->safe_directories.items[0], "/a");
    assert_null(s->safe_directories.items[1]);
    assert_string_equal(s->java_agent_jar, "/j.jar");
    assert_string_equal(s->ignore_violations_json, "{\"*\":[\"/tmp\\n\"],\"npm\":[]}");
    assert_int_equal(s->limits.memory, 512u << 20);
    assert_true(s->limits.memory_set && s->limits.pids_set && s->limits.cpu_set);
    assert_true(s->limits.pids == UINT64_MAX);
    assert_int_equal(s->limits.cpu_percent, 200);
    assert_int_equal(s->limits.cpu_weight, 50);
    assert_int_equal(s->limits.io_weight, 0);
    assert_int_equal(s->limits.wall_seconds, 60);
    assert_true(s->limits.file_size == 2ull << 30);
    assert_int_equal(s->limits.open_files, 256);
    assert_int_equal(s->limits.tmp_size, 1048576);
    assert_int_equal(s->limits.core, 1024);
    assert_true(s->limits.use_systemd);
    assert_true(s->egress.refuse_private);
    assert_int_equal(s->transparent, SETTING_OFF);
    assert_false(s->egress.transparent || s->egress.dns || s->egress.check_sni || s->dns_set);
    assert_int_equal(s->ports_in_count, 2);
    assert_int_equal(s->ports_in[1].outer, 8080);
    assert_int_equal(s->ports_in[1].inner, 80);
    assert_int_equal(s->ports_out[0].inner, 5432);
    assert_int_equal(s->egress.max_bytes_out, 1 << 20);
    assert_int_equal(s->egress.max_connections, 7);
    assert_true(s->env_allowlist && s->env_scrub);
    assert_int_equal(s->env_pass.count, 2);
    assert_int_equal(s->env_set_count, 2);
    assert_string_equal(s->env_set[1].name, "B");
    assert_string_equal(s->env_set[1].value, "");
    assert_string_equal(s->env_unset.items[0], "C");
    assert_int_equal(s->allow_write.count, 2);
    assert_true(s->allow_write.items[0].create_dir && s->allow_write.items[1].create_dir);
    assert_true(s->allow_write.items[1].literal);
    assert_string_equal(s->allow_write.items[1].where, "x.filesystem.create[1].path");
    assert_true(s->hide_empty && s->strict_hide && s->hide_home);
    assert_false(s->no_setid);
    assert_string_equal(s->exec_only.items[0].path, "/usr");
    assert_string_equal(s->no_exec.items[0].path, "/tmp");
    assert_string_equal(s->read_only_binds[0].value, "/b");
    assert_int_equal(s->seccomp_preset, SECCOMP_STRICT);
    assert_string_equal(s->seccomp_deny.items[0], "io_uring_setup");
    assert_int_equal(s->unix_sockets.count, 3);
    assert_int_equal(s->unix_binds.count, 1);
    assert_string_equal(s->unix_binds.items[0].path, "/s2");
    assert_int_equal(s->mandatory_off.count, 2);
    assert_true(s->lenient_patterns && s->last_process && s->tmpdir_persist && s->ask_files);
    assert_string_equal(s->degraded.items[0], "landlock");
    assert_string_equal(buf_text(&r.warnings), "");
}

static void dns_follows_transparent_unless_it_is_given(void **state)
{
    AUTO_RUN on = parse_good(FILE_WITH("", "", ""));
    assert_true(on.s.egress.transparent && on.s.egress.dns);
    AUTO_RUN off = parse_good(X("\"network\":{\"transparent\":false,\"dns\":\"proxy\"}"));
    assert_true(!off.s.egress.transparent && off.s.egress.dns && off.s.dns_set);
    AUTO_RUN none = parse_good(X("\"network\":{\"dns\":\"none\"}"));
    assert_true(none.s.egress.transparent && !none.s.egress.dns);
}

static void create_adds_to_the_writes_wherever_x_stands(void **state)
{
    AUTO_RUN r = parse_good("{\"x\":{\"filesystem\":{\"create\":[\"out\"]},"
                            "\"unixSockets\":[\"/s\"]},"
                            "\"filesystem\":{\"denyRead\":[],\"allowWrite\":[\"w\"],"
                            "\"denyWrite\":[]},\"network\":{\"deniedDomains\":[],"
                            "\"allowedDomains\":[],\"allowUnixSockets\":[\"/t\"]}}");
    assert_int_equal(r.s.allow_write.count, 2);
    assert_string_equal(r.s.allow_write.items[0].path, "w");
    assert_string_equal(r.s.allow_write.items[1].path, "out");
    assert_int_equal(r.s.unix_sockets.count, 2);
}

static void a_profile_stands_under_the_file(void **state)
{
    struct settings_options workspace = { .profile = "workspace" };
    AUTO_RUN alone = parse_with("{}", workspace);
    assert_true(alone.ok);
    assert_int_equal(alone.s.allow_write.count, 1);
    assert_string_equal(alone.s.allow_write.items[0].path, ".");
    size_t denied = alone.s.deny_read.count;
    assert_true(denied > 3);
    assert_string_equal(alone.s.deny_read.items[0].where,
                        "profile workspace: filesystem.denyRead[0]");
    AUTO_RUN both =
        parse_with("{\"filesystem\":{\"allowWrite\":[\"out\"],\"denyRead\":[\"k\"]}}", workspace);
    assert_true(both.ok);
    assert_int_equal(both.s.allow_write.count, 1);
    assert_string_equal(both.s.allow_write.items[0].path, "out");
    assert_int_equal(both.s.deny_read.count, denied + 1);
    assert_string_equal(both.s.deny_read.items[denied].where, "filesystem.denyRead[0]");
}

static void a_profile_does_what_its_name_says(void **state)
{
    AUTO_RUN still = parse_with("{\"filesystem\":{\"allowWrite\":[\".\"]},"
                                "\"x\":{\"filesystem\":{\"create\":[\"out\"]}}}",
                                (struct settings_options){ .profile = "read-only" });
    assert_true(still.ok);
    assert_int_equal(still.s.allow_write.count, 0);
    assert_string_equal(buf_text(&still.warnings), "filesystem.allowWrite: ignored, because the "
                                                   "profile read-only is in force\n");
    AUTO_RUN quiet = parse_with("{\"network\":{\"allowedDomains\":[\"a.example\"],"
                                "\"strictAllowlist\":false}}",
                                (struct settings_options){ .profile = "no-network" });
    assert_true(quiet.ok);
    assert_int_equal(quiet.s.egress.allowed.count, 0);
    assert_true(quiet.s.egress.strict_allowlist);
    assert_int_equal(quiet.s.egress.denied.count, 1);
    AUTO_RUN open = parse_with("{\"filesystem\":{\"disabled\":true}}",
                               (struct settings_options){ .profile = "read-only" });
    assert_false(open.ok);
    AUTO_RUN outside = parse_with("{\"network\":{\"httpProxyPort\":8080}}",
                                  (struct settings_options){ .profile = "no-network" });
    assert_false(outside.ok);
    AUTO_RUN unknown = parse_with("{}", (struct settings_options){ .profile = "none" });
    assert_false(unknown.ok);
    assert_non_null(strstr(buf_text(&unknown.problems), "unknown profile 'none'"));
}

static void ten_thousand_patterns_are_read(void **state)
{
    AUTO_BUF text = { 0 };
    buf_addf(&text, "{\"network\":{\"allowedDomains\":[");
    for (int i = 0; i < 10000; i++)
        buf_addf(&text, "%s\"*.h%d.example:443\"", i ? "," : "", i);
    buf_addf(&text, "],\"deniedDomains\":[]},\"filesystem\":{\"denyRead\":[");
    for (int i = 0; i < 10000; i++)
        buf_addf(&text, "%s\"**/secret-%d-*\"", i ? "," : "", i);
    buf_addf(&text, "],\"allowWrite\":[],\"denyWrite\":[");
    for (int i = 0; i < 10000; i++)
        buf_addf(&text, "%s\"/w/k%d/**\"", i ? "," : "", i);
    buf_addf(&text, "]}}");
    AUTO_RUN r = parse_good(buf_text(&text));
    assert_int_equal(r.s.egress.allowed.count, 10000);
    assert_int_equal(r.s.deny_read.count, 10000);
    assert_int_equal(r.s.deny_write.count, 10000);
    assert_string_equal(r.s.deny_read.items[9999].where, "filesystem.denyRead[9999]");
}

static void bounds_are_said(void **state)
{
    AUTO_BUF large = { 0 }, many = { 0 };
    for (int i = 0; i < (1 << 20); i++)
        buf_add_byte(&large, ' ');
    buf_add(&large, STR("{}"));
    AUTO_RUN r = parse(buf_text(&large));
    assert_string_equal(buf_text(&r.problems), "larger than 1 MiB");
    buf_addf(&many, "{\"filesystem\":{\"allowWrite\":[],\"denyWrite\":[],\"denyRead\":[");
    for (int i = 0; i < 60000; i++)
        buf_addf(&many, "%s\"x\"", i ? "," : "");
    buf_addf(&many, "]}}");
    AUTO_RUN m = parse(buf_text(&many));
    assert_string_equal(buf_text(&m.problems),
                        "network: required; filesystem.denyRead: has 60000 entries; 50000 are the "
                        "most");
}

static void a_flood_of_problems_is_cut(void **state)
{
    AUTO_BUF text = { 0 };
    buf_addf(&text, "{\"filesystem\":{\"denyRead\":[");
    for (int i = 0; i < 5000; i++)
        buf_addf(&text, "%s%d", i ? "," : "", i);
    buf_addf(&text, "]}}");
    AUTO_RUN r = parse(buf_text(&text));
    assert_false(r.ok);
    assert_true(r.problems.n < 20000);
    assert_non_null(strstr(buf_text(&r.problems), "; and 4903 more"));
}

static void differences_name_the_fixed_keys_only(void **state)
{
    AUTO_RUN was = parse_good(FILE_WITH("", "", ""));
    AUTO_RUN now = parse_good(
        "{\"network\":{\"allowedDomains\":[\"a.example\"],\"deniedDomains\":[\"b.example\"],"
        "\"strictAllowlist\":true,\"deniedResolvedAddresses\":[\"10.0.0.0/8\"],"
        "\"deniedDomainReasons\":{\"b.example\":\"r\"},\"httpProxyPort\":1,"
        "\"mitmProxy\":{\"socketPath\":\"/s\",\"domains\":[\"a.example\"]},"
        "\"parentProxy\":{\"http\":\"h.example:1\"},\"allowUnixSockets\":[\"/s\"],"
        "\"stripResponseHeaders\":[\"a\"]},"
        "\"filesystem\":{\"denyRead\":[\"a\"],\"allowWrite\":[],\"denyWrite\":[]},"
        "\"ignoreViolations\":{},\"allowPty\":true,\"git\":{\"safeDirectories\":[\"/\"]},"
        "\"mandatoryDenySearchDepth\":4,\"socatPath\":\"/s\","
        "\"x\":{\"limits\":{\"memory\":\"1GiB\",\"wall\":3},"
        "\"network\":{\"transparent\":true,\"ports\":{\"in\":[1]}},"
        "\"env\":{\"set\":{\"A\":\"b\"}},\"unixSockets\":[{\"path\":\"/b\",\"bind\":true}],"
        "\"seccomp\":{\"preset\":\"compat\"},\"filesystem\":{\"readOnlyBind\":"
        "[{\"host\":\"/a\",\"inside\":\"/b\"}]}}}");
    AUTO_BUF keys = { 0 };
    settings_fixed_difference(&was.s, &now.s, &keys);
    assert_string_equal(buf_text(&keys),
                        "network.allowUnixSockets\nnetwork.httpProxyPort\nnetwork.parentProxy\n"
                        "network.stripResponseHeaders\nfilesystem.denyRead\nignoreViolations\n"
                        "git.safeDirectories\nallowPty\nx.limits.wall\nx.network.transparent\n"
                        "x.network.ports.in\nx.env.set\n"
                        "x.filesystem.readOnlyBind\nx.seccomp.preset\nx.unixSockets\n");
    buf_empty(&keys);
    settings_fixed_difference(&now.s, &now.s, &keys);
    assert_string_equal(buf_text(&keys), "");
}

static void a_warning_names_its_file(void **state)
{
    char path[] = "/tmp/test-settings-XXXXXX";
    AUTO_BUF want = { 0 }, warnings = { 0 }, problems = { 0 };
    struct settings_options options = { .warning = collect_warning, .warning_ctx = &warnings };
    static const char text[] = NETWORK("\"nothing\":[]");
    struct settings s;
    struct err e;
    int fd = mkstemp(path);
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    assert_int_equal(settings_load(path, NULL, &options, &s, &problems, &e), 0);
    settings_release(&s);
    unlink(path);
    buf_addf(&want, "settings '%s': network.nothing: unknown key, ignored\n", path);
    assert_string_equal(buf_text(&warnings), buf_text(&want));
}

static void files_are_loaded_or_refused(void **state)
{
    char dir[] = "/tmp/test-settings-XXXXXX";
    assert_non_null(mkdtemp(dir));
    AUTO_BUF path = { 0 }, problems = { 0 };
    struct settings s;
    struct err e;
    /* The default file is absent. */
    assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), 0);
    assert_string_equal(s.source, "built-in defaults");
    assert_int_equal(s.allow_write.count, 0);
    settings_release(&s);
    /* A named file is absent. */
    buf_addf(&path, "%s/.srt-settings.json", dir);
    assert_int_equal(settings_load(buf_text(&path), dir, NULL, &s, &problems, &e), -1);
    assert_non_null(strstr(buf_text(&problems), "does not exist"));
    assert_int_equal(e.kind, E_INPUT);
    /* The default file is there. */
    int fd = open(buf_text(&path), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    static const char text[] = FILE_WITH("", "", ",\"allowRead\":[\"r\"]");
    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    buf_empty(&problems);
    assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), 0);
    assert_string_equal(s.source, buf_text(&path));
    assert_int_equal(s.allow_read.count, 1);
    settings_release(&s);
    /* It is empty, too large, a directory, a link that leads nowhere. */
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), -1);
    assert_non_null(strstr(buf_text(&problems), "empty"));
    assert_int_equal(ftruncate(fd, (1 << 20) + 1), 0);
    buf_empty(&problems);
    assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), -1);
    assert_non_null(strstr(buf_text(&problems), "is larger than 1 MiB"));
    close(fd);
    buf_empty(&problems);
    assert_int_equal(settings_load(dir, dir, NULL, &s, &problems, &e), -1);
    assert_non_null(strstr(buf_text(&problems), "is a directory, not a regular file"));
    unlink(buf_text(&path));
    assert_int_equal(symlink("nowhere", buf_text(&path)), 0);
    buf_empty(&problems);
    assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), -1);
    assert_non_null(strstr(buf_text(&problems), "does not exist"));
    unlink(buf_text(&path));
    rmdir(dir);
}

static void every_problem_of_a_file_is_said_with_its_name(void **state)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        { "{\n \"a\": 1,}", "not JSON: line 2, column 9" },
        { "{\"network\":1}", "network: must be an object, not a number; filesystem: required" },
    };
    char dir[] = "/tmp/test-settings-XXXXXX";
    assert_non_null(mkdtemp(dir));
    AUTO_BUF path = { 0 };
    buf_addf(&path, "%s/.srt-settings.json", dir);
    for (size_t i = 0; i < COUNT(rows); i++) {
        AUTO_BUF problems = { 0 }, want = { 0 };
        struct settings s;
        struct err e;
        int fd = open(buf_text(&path), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
        size_t n = strlen(rows[i].text);
        assert_int_equal(write(fd, rows[i].text, n), n);
        close(fd);
        assert_int_equal(settings_load(NULL, dir, NULL, &s, &problems, &e), -1);
        buf_addf(&want, "settings '%s': %s", buf_text(&path), rows[i].says);
        assert_true(str_starts(buf_str(&problems), buf_str(&want)));
    }
    unlink(buf_text(&path));
    rmdir(dir);
}

static void what_is_no_regular_file_is_named_and_never_waited_for(void **state)
{
    char dir[] = "/tmp/test-settings-XXXXXX";
    assert_non_null(mkdtemp(dir));
    AUTO_BUF fifo = { 0 };
    struct settings s;
    struct err e;
    buf_addf(&fifo, "%s/fifo", dir);
    assert_int_equal(mkfifo(buf_text(&fifo), 0600), 0);
    const char *const paths[] = { buf_text(&fifo), "/dev/zero", "/dev/null" };
    const char *const kinds[] = { "is a FIFO", "is a device", "is a device" };
    for (size_t i = 0; i < COUNT(paths); i++) {
        AUTO_BUF problems = { 0 };
        assert_int_equal(settings_load(paths[i], dir, NULL, &s, &problems, &e), -1);
        assert_non_null(strstr(buf_text(&problems), paths[i]));
        assert_non_null(strstr(buf_text(&problems), kinds[i]));
    }
    unlink(buf_text(&fifo));
    rmdir(dir);
}

static void a_pipe_without_a_name_is_read(void **state)
{
    static const char text[] = FILE_WITH("", "", "");
    int ends[2];
    AUTO_BUF path = { 0 }, problems = { 0 };
    struct settings s;
    struct err e;
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(write(ends[1], text, sizeof text - 1), sizeof text - 1);
    close(ends[1]);
    buf_addf(&path, "/proc/self/fd/%d", ends[0]);
    assert_int_equal(settings_load(buf_text(&path), "/", NULL, &s, &problems, &e), 0);
    settings_release(&s);
    close(ends[0]);
}

static void a_profile_holds_without_a_file_too(void **state)
{
    char dir[] = "/tmp/test-settings-XXXXXX";
    assert_non_null(mkdtemp(dir));
    AUTO_BUF problems = { 0 };
    struct settings_options options = { .profile = "workspace" };
    struct settings s;
    struct err e;
    assert_int_equal(settings_load(NULL, dir, &options, &s, &problems, &e), 0);
    assert_int_equal(s.allow_write.count, 1);
    assert_string_equal(s.source, "built-in defaults");
    settings_release(&s);
    rmdir(dir);
}

static void without_a_home_the_default_file_is_not_guessed(void **state)
{
    static const char *const homes[] = { NULL, "", "relative" };
    for (size_t i = 0; i < COUNT(homes); i++) {
        AUTO_BUF problems = { 0 };
        struct settings s;
        struct err e;
        assert_int_equal(settings_load(NULL, homes[i], NULL, &s, &problems, &e), -1);
        assert_non_null(strstr(buf_text(&problems), "no home directory"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_file_denies_everything),
        cmocka_unit_test(the_hash_is_that_of_the_bytes),
        cmocka_unit_test(a_bad_file_is_refused),
        cmocka_unit_test(every_problem_is_reported_at_once),
        cmocka_unit_test(wrong_types_are_refused_everywhere),
        cmocka_unit_test(ranges_and_forms_are_checked),
        cmocka_unit_test(later_keys_refuse_to_run_and_absent_ones_do_not),
        cmocka_unit_test(a_deny_pattern_that_ends_in_a_slash_is_refused),
        cmocka_unit_test(unknown_keys_warn_outside_and_fail_inside_x),
        cmocka_unit_test(strict_makes_an_unknown_key_an_error),
        cmocka_unit_test(a_key_cannot_forge_a_message),
        cmocka_unit_test(network_reaches_the_policy),
        cmocka_unit_test(the_environment_names_the_parent_proxy_when_the_file_does_not),
        cmocka_unit_test(a_bad_proxy_variable_refuses_and_keeps_its_secret),
        cmocka_unit_test(paths_keep_their_bytes_and_their_place),
        cmocka_unit_test(our_own_settings_are_read),
        cmocka_unit_test(dns_follows_transparent_unless_it_is_given),
        cmocka_unit_test(create_adds_to_the_writes_wherever_x_stands),
        cmocka_unit_test(a_profile_stands_under_the_file),
        cmocka_unit_test(a_profile_does_what_its_name_says),
        cmocka_unit_test(ten_thousand_patterns_are_read),
        cmocka_unit_test(bounds_are_said),
        cmocka_unit_test(a_flood_of_problems_is_cut),
        cmocka_unit_test(differences_name_the_fixed_keys_only),
        cmocka_unit_test(a_warning_names_its_file),
        cmocka_unit_test(files_are_loaded_or_refused),
        cmocka_unit_test(every_problem_of_a_file_is_said_with_its_name),
        cmocka_unit_test(what_is_no_regular_file_is_named_and_never_waited_for),
        cmocka_unit_test(a_pipe_without_a_name_is_read),
        cmocka_unit_test(a_profile_holds_without_a_file_too),
        cmocka_unit_test(without_a_home_the_default_file_is_not_guessed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
