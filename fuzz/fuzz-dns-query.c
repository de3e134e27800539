/* DNS queries: the text of a name stands for exactly the bytes that were asked, no shorter message
 * is a query, and answers have their size and repeat the question. */
#include "fuzz.h"

#include "proto/dns.h"

/* The bytes of a name in a message, made from its text again. */
static size_t name_write(const char *name, char *out)
{
    size_t n = 0;
    struct str rest = str_of(name);
    for (struct str label; rest.n && str_cut(&rest, '.', &label);) {
        out[n++] = (char)label.n;
        memcpy(out + n, label.p, label.n);
        n += label.n;
    }
    out[n++] = 0;
    return n;
}

static void check_answers(const struct dns_query *q)
{
    char out[DNS_ANSWER_MAX], wire[DNS_NAME_MAX + 2];
    struct dns_query back;
    size_t n = dns_write_a(q, (struct in_addr){ 0 }, 60, out);
    CHECK(n <= sizeof out);
    CHECK(dns_query_parse((struct str){ out, n }, &back) == DNS_NO_ANSWER);
    n = dns_write(q, DNS_RCODE_NXDOMAIN, out);
    CHECK(n == 12 + q->question.n + (q->edns ? 11 : 0));
    CHECK(str_eq((struct str){ out + 12, q->question.n }, q->question));
    size_t name_n = name_write(q->name, wire);
    CHECK(name_n + 4 == q->question.n && memcmp(wire, q->question.p, name_n) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    struct str message = { (const char *)bytes, n };
    struct dns_query q, shorter;
    char out[DNS_ANSWER_MAX];
    enum dns_verdict verdict = dns_query_parse(message, &q);
    if (verdict == DNS_FORMERR || verdict == DNS_NOTIMP)
        CHECK(dns_write(&q, DNS_RCODE_FORMERR, out) <= sizeof out);
    if (verdict != DNS_QUERY)
        return 0;
    check_answers(&q);
    for (size_t cut = 0; cut < n; cut++)
        CHECK(dns_query_parse((struct str){ message.p, cut }, &shorter) != DNS_QUERY);
    return 0;
}
