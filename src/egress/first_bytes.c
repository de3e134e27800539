#include "egress/first_bytes.h"

#include "proto/client_hello.h"

/* May the greeting name this host, although another was asked for? */
static bool name_is_allowed(const struct egress_policy *p, const struct host *name, uint16_t port)
{
    return egress_policy_judge(p, name, port, false).decision == EGRESS_ALLOW;
}

static enum first_bytes refuse(const char **reason, const char *text)
{
    *reason = text;
    return FIRST_BYTES_REFUSE;
}

static enum first_bytes judge_hello(const struct egress_policy *p, const struct host *h,
                                    uint16_t port, const struct client_hello *hello,
                                    const char **reason)
{
    struct host name;
    struct err e;
    if (!hello->name[0]) {
        if (p->require_host_match && !h->is_ip)
            return refuse(reason, "TLS without a server name");
        return FIRST_BYTES_PASS;
    }
    if (host_parse(str_of(hello->name), &name, &e) < 0)
        return refuse(reason, "malformed TLS server name");
    if (strcmp(name.text, h->text) == 0)
        return FIRST_BYTES_PASS;
    if ((hello->ech || h->is_ip) && name_is_allowed(p, &name, port))
        return FIRST_BYTES_PASS;
    return refuse(reason, hello->ech ? "encrypted TLS greeting under another name"
                                     : "TLS server name is another host");
}

/* A TLS record that is no greeting (alert, change of cipher, data): some servers skip it and read the
 * greeting behind it, which we would not have judged. */
static enum first_bytes judge_other_record(struct str bytes, const char **reason)
{
    enum { CHANGE_CIPHER_SPEC = 20, HEARTBEAT = 24, MAJOR_VERSION = 3 };
    if (bytes.n == 0 || bytes.p[0] < CHANGE_CIPHER_SPEC || bytes.p[0] > HEARTBEAT)
        return FIRST_BYTES_PASS;
    if (bytes.n < 2)
        return FIRST_BYTES_MORE;
    return bytes.p[1] == MAJOR_VERSION ? refuse(reason, "TLS that does not begin with a greeting")
                                       : FIRST_BYTES_PASS;
}

enum first_bytes first_bytes_judge(const struct egress_policy *p, const struct host *h,
                                   uint16_t port, struct str bytes, const char **reason)
{
    struct client_hello hello;
    switch (client_hello_read(bytes, &hello)) {
    case CLIENT_HELLO_MORE:
        return FIRST_BYTES_MORE;
    case CLIENT_HELLO_NOT_TLS:
        return judge_other_record(bytes, reason);
    case CLIENT_HELLO_BAD:
        return refuse(reason, "malformed TLS greeting");
    case CLIENT_HELLO_READ:
        return judge_hello(p, h, port, &hello, reason);
    }
    return refuse(reason, "malformed TLS greeting");
}
