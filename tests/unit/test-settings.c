/* What a settings file means: claims of sandbox/settings.h about good ones. */
#include "settings_text.h"

#include <stdio.h>
#include <stdlib.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_least_file_denies_everything),
        cmocka_unit_test(the_hash_is_that_of_the_bytes),
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
        cmocka_unit_test(differences_name_the_fixed_keys_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
