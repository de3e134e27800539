#include "egress/policy.h"

#include "base/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <cmocka.h>

#define COUNT(rows) (sizeof(rows) / sizeof *(rows))

static void add(struct domain_patterns *to, const char *text)
{
    struct err e = { 0 };
    to->items = mem_grow(to->items, (to->count + 1) * sizeof *to->items);
    assert_int_equal(domain_pattern_parse(str_of(text), DOMAIN_DENIED, &to->items[to->count++], &e),
                     0);
}

static struct host host_of(const char *text)
{
    struct err e = { 0 };
    struct host h;
    assert_int_equal(host_parse(str_of(text), &h, &e), 0);
    return h;
}

static struct ip_address ip_of(const char *text)
{
    struct ip_address ip;
    assert_true(ip_parse(str_of(text), &ip));
    return ip;
}

static void an_empty_policy_denies_everything(void **state)
{
    struct egress_policy p;
    egress_policy_init(&p);
    assert_true(p.check_sni);
    assert_int_equal(p.max_connections, 1024);
    struct host h = host_of("example.com");
    struct egress_verdict v = egress_policy_judge(&p, &h, 443, false);
    assert_int_equal(v.decision, EGRESS_DENY);
    assert_string_equal(v.reason, "host is not on the allow list");
    assert_null(v.rule);
    egress_policy_release(&p);
}

static void the_deny_list_is_asked_first_and_gives_its_reason(void **state)
{
    struct egress_policy p;
    egress_policy_init(&p);
    add(&p.allowed, "*.example.com");
    add(&p.denied, "bad.example.com");
    add(&p.denied, "worse.example.com");
    p.denied_reasons = mem_array(2, sizeof *p.denied_reasons);
    p.denied_reasons[1] = str_dup(STR("because"));

    struct host bad = host_of("BAD.example.com."), worse = host_of("worse.example.com");
    struct host good = host_of("good.example.com");
    struct egress_verdict v = egress_policy_judge(&p, &bad, 443, true);
    assert_int_equal(v.decision, EGRESS_DENY);
    assert_string_equal(v.reason, "host is on the deny list");
    assert_string_equal(v.rule, "bad.example.com");
    v = egress_policy_judge(&p, &worse, 443, true);
    assert_string_equal(v.reason, "because");
    v = egress_policy_judge(&p, &good, 443, true);
    assert_int_equal(v.decision, EGRESS_ALLOW);
    assert_string_equal(v.rule, "*.example.com");
    egress_policy_release(&p);
}

static void unknown_hosts_are_asked_about_unless_the_list_is_strict(void **state)
{
    struct egress_policy p;
    egress_policy_init(&p);
    struct host h = host_of("example.com");
    assert_int_equal(egress_policy_judge(&p, &h, 443, true).decision, EGRESS_ASK);
    p.strict_allowlist = true;
    assert_int_equal(egress_policy_judge(&p, &h, 443, true).decision, EGRESS_DENY);
    egress_policy_release(&p);
}

/* One row: the name, what it resolves to, and the class that refuses it (NULL: may be dialled). */
struct address_row {
    const char *name, *address, *class;
};

static void check_addresses(const struct egress_policy *p, const struct address_row *rows,
                            size_t count, uint16_t port)
{
    const struct ip_address own[] = { ip_of("198.51.100.7"), ip_of("2001:db8::7"),
                                      ip_of("127.0.0.1"), ip_of("192.168.1.7") };
    for (size_t i = 0; i < count; i++) {
        struct host h = host_of(rows[i].name);
        struct ip_address address = ip_of(rows[i].address);
        const char *class = egress_address_refused(p, &h, &address, port, own, COUNT(own));
        print_message("%s %s\n", rows[i].name, rows[i].address);
        if (rows[i].class)
            assert_string_equal(class ? class : "(may be dialled)", rows[i].class);
        else
            assert_null(class);
    }
}

static void names_do_not_lead_to_refused_classes(void **state)
{
    static const struct address_row rows[] = {
        { "a.example", "203.0.113.9", NULL },
        { "a.example", "2001:db8::9", NULL },
        { "a.example", "127.0.0.1", "loopback address" },
        { "a.example", "127.255.255.254", "loopback address" },
        { "a.example", "::1", "loopback address" },
        { "a.example", "::ffff:127.0.0.1", "loopback address" },
        { "a.example", "::127.0.0.1", "loopback address" },
        { "a.example", "::ffff:0:127.0.0.1", "loopback address" },
        { "a.example", "64:ff9b::127.0.0.1", "loopback address" },
        { "a.example", "2002:7f00:1::", "loopback address" },
        { "a.example", "0.0.0.0", "unspecified address" },
        { "a.example", "0.1.2.3", "unspecified address" },
        { "a.example", "::", "unspecified address" },
        { "a.example", "64:ff9b::", "unspecified address" },
        { "a.example", "169.254.169.254", "link-local address" },
        { "a.example", "64:ff9b::a9fe:a9fe", "link-local address" },
        { "a.example", "2002:a9fe:a9fe::1", "link-local address" },
        { "a.example", "fe80::1", "link-local address" },
        { "a.example", "febf::1", "link-local address" },
        { "a.example", "fec0::1", NULL },
        { "a.example", "224.0.0.1", "multicast address" },
        { "a.example", "239.255.255.250", "multicast address" },
        { "a.example", "ff02::1", "multicast address" },
        { "a.example", "255.255.255.255", "broadcast address" },
        { "a.example", "100.100.100.200", "cloud metadata address" },
        { "a.example", "168.63.129.16", "cloud metadata address" },
        { "a.example", "192.0.0.192", "cloud metadata address" },
        { "a.example", "64:ff9b::a83f:8110", "cloud metadata address" },
        { "a.example", "fd00:ec2::254", "cloud metadata address" },
        { "a.example", "fd20:ce::254", "cloud metadata address" },
        { "a.example", "fd00:c1::a9fe:a9fe", "cloud metadata address" },
        { "a.example", "fd00:42::42", "cloud metadata address" },
        { "a.example", "fd00:a9fe:a9fe::1", "cloud metadata address" },
        { "a.example", "fd00:100::100:200", "cloud metadata address" },
        { "a.example", "fd00:42::43", NULL },
        { "a.example", "198.51.100.7", "address of this host" },
        { "a.example", "64:ff9b::198.51.100.7", "address of this host" },
        { "a.example", "2001:db8::7", "address of this host" },
        { "a.example", "10.0.0.1", NULL },
        { "a.example", "192.168.1.1", NULL },
        { "localhost", "127.0.0.1", NULL },
        { "localhost", "127.9.9.9", NULL },
        { "a.localhost", "::1", NULL },
        { "localhost", "10.0.0.1", "address that is not loopback" },
        { "localhost", "169.254.169.254", "link-local address" },
        { "localhost", "64:ff9b::127.0.0.1", "loopback address" },
        { "notlocalhost", "127.0.0.1", "loopback address" },
    };
    struct egress_policy p;
    egress_policy_init(&p);
    check_addresses(&p, rows, COUNT(rows), 443);
    egress_policy_release(&p);
}

static void private_addresses_are_refused_on_request(void **state)
{
    static const struct address_row rows[] = {
        { "a.example", "10.0.0.1", "private address" },
        { "a.example", "172.31.255.1", "private address" },
        { "a.example", "172.32.0.1", NULL },
        { "a.example", "192.168.0.1", "private address" },
        { "a.example", "100.127.0.1", "private address" },
        { "a.example", "100.128.0.1", NULL },
        { "a.example", "fc00::1", "private address" },
        { "a.example", "fdff::1", "private address" },
        { "a.example", "2002:0a00:1::", "private address" },
        { "a.example", "192.168.1.7", "address of this host" },
    };
    struct egress_policy p;
    egress_policy_init(&p);
    p.refuse_private = true;
    check_addresses(&p, rows, COUNT(rows), 443);
    egress_policy_release(&p);
}

static void entries_of_the_settings_refuse_and_open_addresses(void **state)
{
    static const struct address_row rows[] = {
        { "a.example", "203.0.113.1", "deny-listed address" },
        { "a.example", "64:ff9b::203.0.113.1", "deny-listed address" },
        { "a.example", "127.0.0.2", "deny-listed address" },
        { "a.example", "203.0.113.2", NULL },
        { "a.example", "127.0.0.1", NULL },
        { "a.example", "169.254.169.254", "link-local address" },
        { "a.example", "198.18.0.1", "denied address" },
        { "a.example", "198.18.0.9", NULL },
        { "localhost", "127.77.0.1", "denied address" },
        { "a.example", "127.77.0.1", "loopback address" },
    };
    struct err e = { 0 };
    struct egress_policy p;
    egress_policy_init(&p);
    add(&p.denied, "203.0.113.1");
    add(&p.denied, "203.0.113.2:80");
    add(&p.denied, "127.0.0.2");
    add(&p.allowed, "127.0.0.2");
    add(&p.allowed, "127.0.0.1:443");
    add(&p.allowed, "169.254.169.254:80");
    add(&p.allowed, "198.18.0.9");
    p.denied_address_count = 2;
    p.denied_addresses = mem_array(2, sizeof *p.denied_addresses);
    assert_int_equal(ip_block_parse(STR("198.18.0.0/15"), &p.denied_addresses[0], &e), 0);
    assert_int_equal(ip_block_parse(STR("127.77.0.0/16"), &p.denied_addresses[1], &e), 0);
    check_addresses(&p, rows, COUNT(rows), 443);
    egress_policy_release(&p);
}

static void no_proxy_entries_send_hosts_direct(void **state)
{
    static const struct {
        const char *list, *host;
        bool direct;
    } rows[] = {
        { NULL, "example.com", false },
        { "", "example.com", false },
        { "*", "example.com", true },
        { "example.com", "example.com", true },
        { "example.com", "a.b.example.com", true },
        { "example.com", "notexample.com", false },
        { ".example.com", "example.com", true },
        { "*.example.com", "www.example.com", true },
        { "a.example , Example.com:8080", "example.com", true },
        { "10.0.0.0/8", "10.1.2.3", true },
        { "10.0.0.0/8", "11.1.2.3", false },
        { "10.0.0.0/8", "a.example", false },
        { "10.0.0.1", "10.0.0.1", true },
        { "10.0.0.1:80", "10.0.0.1", true },
        { "fd00::/8", "fd00::1", true },
        { "2001:db8::1", "2001:db8::1", true },
        { "[2001:db8::1]:443", "2001:db8::1", true },
        { "2001:db8::1", "2001:db8::2", false },
        { "%bad%,,", "example.com", false },
        { NULL, "127.9.9.9", true },
        { NULL, "::1", true },
        { NULL, "localhost", true },
        { NULL, "a.localhost", true },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct egress_policy p;
        egress_policy_init(&p);
        p.no_proxy = rows[i].list ? str_dup(str_of(rows[i].list)) : NULL;
        struct host h = host_of(rows[i].host);
        print_message("%s %s\n", rows[i].list ? rows[i].list : "(none)", rows[i].host);
        assert_int_equal(egress_policy_bypasses_parent(&p, &h), rows[i].direct);
        egress_policy_release(&p);
    }
}

static void proxy_urls_are_read(void **state)
{
    static const struct {
        const char *url, *host;
        bool tls;
        uint16_t port;
        const char *authorization;
    } rows[] = {
        { "http://proxy.example:3128", "proxy.example", false, 3128, NULL },
        { "proxy.example:3128", "proxy.example", false, 3128, NULL },
        { "proxy.example", "proxy.example", false, 80, NULL },
        { "HTTPS://Proxy.example/", "proxy.example", true, 443, NULL },
        { "http://[::1]:8080/", "::1", false, 8080, NULL },
        { "http://[::1]", "::1", false, 80, NULL },
        { "http://user:pass@p.example:1", "p.example", false, 1, "Basic dXNlcjpwYXNz" },
        { "user@p.example", "p.example", false, 80, "Basic dXNlcjo=" },
        { "http://a%40b:p%3a%2F@p.example", "p.example", false, 80, "Basic YUBiOnA6Lw==" },
        { "http://u:p@q@p.example", "p.example", false, 80, "Basic dTpwQHE=" },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct proxy_hop hop;
        print_message("%s\n", rows[i].url);
        assert_int_equal(proxy_hop_parse(str_of(rows[i].url), &hop, &e), 0);
        assert_true(hop.set);
        assert_string_equal(hop.host, rows[i].host);
        assert_int_equal(hop.tls, rows[i].tls);
        assert_int_equal(hop.port, rows[i].port);
        if (rows[i].authorization)
            assert_string_equal(hop.authorization, rows[i].authorization);
        else
            assert_null(hop.authorization);
        proxy_hop_release(&hop);
    }
}

static void bad_proxy_urls_are_refused_without_repeating_secrets(void **state)
{
    static const char *const rows[] = {
        "",
        "http://",
        "socks5://p.example:1080",
        "ftp://p.example",
        "http://p.example:0",
        "http://p.example:65536",
        "http://p.example:x",
        "http://p.example:",
        "http://p.example/path",
        "http://p.example?x",
        "http://sesame:sesame@",
        "http://sesame:sesame@p.example:sesame",
        "http://ses%zame:sesame@p.example",
        "http://sesame:ses%0aame@p.example",
        "http://sesame%3a:x@p.example",
        "http://[::1",
        "http://[::1]x",
        "http://p_ exa.mple",
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct err e = { 0 };
        struct proxy_hop hop;
        print_message("%s\n", rows[i]);
        assert_int_equal(proxy_hop_parse(str_of(rows[i]), &hop, &e), -1);
        assert_false(str_has(str_of(e.text), STR("sesame")));
    }
}

static void a_forward_is_denied_by_the_names_of_loopback_at_both_of_its_ports(void **state)
{
    static const struct {
        const char *entry;
        bool denies;
    } rows[] = {
        { "*", true },
        { "*:8080", true },
        { "*:80", true },
        { "*:443", false },
        { "localhost", true },
        { "localhost:8080", true },
        { "localhost:80", true },
        { "localhost:81", false },
        { "127.0.0.1", true },
        { "127.1:80", true },
        { "127.0.0.2", false },
        { "[::1]:8080", true },
        { "[::2]", false },
        { "*.localhost.example", false },
        { "example.com", false },
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct egress_policy p;
        egress_policy_init(&p);
        add(&p.denied, rows[i].entry);
        struct egress_verdict v = egress_policy_judge_forward(&p, 8080, 80);
        if ((v.decision == EGRESS_DENY) != rows[i].denies)
            fail_msg("'%s'", rows[i].entry);
        if (rows[i].denies)
            assert_string_equal(v.rule, rows[i].entry);
        else
            assert_int_equal(v.decision, EGRESS_ALLOW);
        egress_policy_release(&p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_policy_denies_everything),
        cmocka_unit_test(the_deny_list_is_asked_first_and_gives_its_reason),
        cmocka_unit_test(unknown_hosts_are_asked_about_unless_the_list_is_strict),
        cmocka_unit_test(names_do_not_lead_to_refused_classes),
        cmocka_unit_test(private_addresses_are_refused_on_request),
        cmocka_unit_test(entries_of_the_settings_refuse_and_open_addresses),
        cmocka_unit_test(no_proxy_entries_send_hosts_direct),
        cmocka_unit_test(proxy_urls_are_read),
        cmocka_unit_test(a_forward_is_denied_by_the_names_of_loopback_at_both_of_its_ports),
        cmocka_unit_test(bad_proxy_urls_are_refused_without_repeating_secrets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
