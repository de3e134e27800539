/* Settings that are refused, or warned about: every problem is said, at its place. */
#include "settings_text.h"

#include <stdio.h>
#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bad_file_is_refused),
        cmocka_unit_test(every_problem_is_reported_at_once),
        cmocka_unit_test(wrong_types_are_refused_everywhere),
        cmocka_unit_test(ranges_and_forms_are_checked),
        cmocka_unit_test(later_keys_refuse_to_run_and_absent_ones_do_not),
        cmocka_unit_test(a_deny_pattern_that_ends_in_a_slash_is_refused),
        cmocka_unit_test(unknown_keys_warn_outside_and_fail_inside_x),
        cmocka_unit_test(strict_makes_an_unknown_key_an_error),
        cmocka_unit_test(a_key_cannot_forge_a_message),
        cmocka_unit_test(bounds_are_said),
        cmocka_unit_test(a_flood_of_problems_is_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
