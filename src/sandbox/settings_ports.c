/* `x.network` with its port forwards (contract 4.2). */
#include "sandbox/settings_rows.h"

#define AT(field) offsetof(struct settings, field)
#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool read_port(struct str digits, uint16_t *out)
{
    uint64_t port;
    if (digits.n > 5 || digits.p[0] == '0' || !str_to_u64(digits, &port) || port > 65535)
        return false;
    *out = (uint16_t)port;
    return true;
}

/* 3000, "3000" or "8080:80": the host's port stands first, as people know it from containers. */
static bool read_forward(struct settings_check *c, const struct json *v,
                         struct settings_port_forward *out)
{
    struct str text, outer;
    int64_t number;
    if (json_to_i64(v, &number) && number >= 1 && number <= 65535) {
        out->outer = out->inner = (uint16_t)number;
        return true;
    }
    if (json_to_str(v, &text) && str_cut(&text, ':', &outer) && outer.n) {
        bool pair = text.p != NULL;
        if (read_port(outer, &out->outer) && (!pair || (text.n && read_port(text, &out->inner)))) {
            out->inner = pair ? out->inner : out->outer;
            return true;
        }
    }
    check_problem(c, "must be a port such as \"3000\", or host and sandbox port such as "
                     "\"8080:80\"");
    return false;
}

/* Two forwards cannot listen on one port. `side` is the offset of the port that is listened on. */
static void check_twice(struct settings_check *c, const struct settings_port_forward *all, size_t n,
                        size_t side)
{
    uint16_t port = *(const uint16_t *)((const char *)&all[n] + side);
    for (size_t i = 0; i < n; i++)
        if (*(const uint16_t *)((const char *)&all[i] + side) == port)
            check_problem(c, "port %u is forwarded twice", port);
}

static void forwards_read(struct settings_check *c, const struct json *v, size_t side,
                          const struct settings_port_forward **out, size_t *count)
{
    if (!check_array(c, v))
        return;
    if (json_count(v) > SETTINGS_FORWARDS_MAX) {
        check_problem(c, "has %zu entries; %d are the most", json_count(v), SETTINGS_FORWARDS_MAX);
        return;
    }
    struct settings_port_forward *all = check_get(c, json_count(v) * sizeof *all);
    size_t n = 0;
    for (size_t i = 0; all && i < json_count(v); i++) {
        size_t was = check_enter_index(c, i);
        if (read_forward(c, json_at(v, i), &all[n])) {
            check_twice(c, all, n, side);
            n++;
        }
        check_leave(c, was);
    }
    *out = all;
    *count = all ? n : 0;
}

/* Inside, the two ports of the proxy are taken. */
static void check_inner(struct settings_check *c, const struct settings_port_forward *all, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (all[i].inner == 3128 || all[i].inner == 1080)
            check_problem(c, "port %u inside the sandbox is the proxy's", all[i].inner);
}

static void in_read(struct settings_check *c, const struct json *v, const struct settings_row *row)
{
    forwards_read(c, v, offsetof(struct settings_port_forward, outer), &c->s->ports_in,
                  &c->s->ports_in_count);
    check_inner(c, c->s->ports_in, c->s->ports_in_count);
}

/* A port inside where we listen and that we also connect to would lead round in a circle. `in` has been
 * read before. */
static void out_read(struct settings_check *c, const struct json *v, const struct settings_row *row)
{
    struct settings *s = c->s;
    forwards_read(c, v, offsetof(struct settings_port_forward, inner), &s->ports_out,
                  &s->ports_out_count);
    check_inner(c, s->ports_out, s->ports_out_count);
    for (size_t i = 0; i < s->ports_out_count; i++)
        for (size_t k = 0; k < s->ports_in_count; k++)
            if (s->ports_in[k].inner == s->ports_out[i].inner)
                check_problem(c, "port %u inside the sandbox is forwarded both ways",
                              s->ports_out[i].inner);
}

static bool forwards_same(const struct settings_port_forward *a, size_t a_count,
                          const struct settings_port_forward *b, size_t b_count)
{
    bool same = a_count == b_count;
    for (size_t i = 0; same && i < a_count; i++)
        same = a[i].outer == b[i].outer && a[i].inner == b[i].inner;
    return same;
}

static bool in_same(const void *a, const void *b)
{
    const struct settings *left = a, *right = b;
    return forwards_same(left->ports_in, left->ports_in_count, right->ports_in,
                         right->ports_in_count);
}

static bool out_same(const void *a, const void *b)
{
    const struct settings *left = a, *right = b;
    return forwards_same(left->ports_out, left->ports_out_count, right->ports_out,
                         right->ports_out_count);
}

static const char *const dns_words[] = { "none", "proxy", NULL };

static void dns_read(struct settings_check *c, const struct json *v, const struct settings_row *row)
{
    c->s->dns_set = true;
    KIND_EITHER.read(c, v, row);
}

/* `false` is all there is; no use of `true` can be carried out, so it is no key for a later version. */
static void never_read(struct settings_check *c, const struct json *v,
                       const struct settings_row *row)
{
    bool on = false;
    if (check_kind(c, v, JSON_IS_BOOL) && json_to_bool(v, &on) && on)
        check_problem(
            c, "is not supported: TCP connections and name look-ups leave the sandbox, by way "
               "of the proxy, and nothing else does; set it to false or leave it out");
}

static bool dns_same(const void *a, const void *b)
{
    return *(const bool *)a == *(const bool *)b;
}

static const struct settings_kind KIND_IN = { in_read, in_same };
static const struct settings_kind KIND_OUT = { out_read, out_same };
static const struct settings_kind KIND_DNS = { dns_read, dns_same };
static const struct settings_kind KIND_NEVER = { never_read, NULL };

static const struct settings_row port_rows[] = {
    { "in", &KIND_IN, 0 }, /* these two fill a pair of fields each, and compare whole settings */
    { "out", &KIND_OUT, 0 },
};
static const struct settings_table ports_table = { port_rows, COUNT(port_rows), true };

static const struct settings_row rows[] = {
    { "refusePrivate", &KIND_BOOL, AT(egress.refuse_private) },
    { "transparent", &KIND_SWITCH, AT(transparent) },
    { "dns", &KIND_DNS, AT(egress.dns), .words = dns_words },
    { "checkSni", &KIND_BOOL, AT(egress.check_sni) },
    { "ports", &KIND_OBJECT, SETTINGS_NOWHERE, .table = &ports_table },
    { "udp", &KIND_NEVER, SETTINGS_NOWHERE },
    { "icmp", &KIND_NEVER, SETTINGS_NOWHERE },
    { "maxBytesOut", &KIND_SIZE, AT(egress.max_bytes_out), 0, 1, INT64_MAX },
    { "maxConnections", &KIND_NUMBER32, AT(egress.max_connections), 0, 1, 65536 },
};

const struct settings_table settings_x_network_table = { rows, COUNT(rows), true };
