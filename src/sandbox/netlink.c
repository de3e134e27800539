#include "sandbox/netlink.h"

#include "base/check.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>

void netlink_init(struct netlink *n, char *bytes, size_t room)
{
    *n = (struct netlink){ .bytes = bytes, .room = room };
}

static void add(struct netlink *n, const void *data, size_t size)
{
    CHECK(size <= n->room - n->used);
    if (size)
        memcpy(n->bytes + n->used, data, size);
    n->used += size;
}

/* The kernel reads headers and attributes at multiples of four bytes. */
static void pad(struct netlink *n)
{
    static const char zeros[NLMSG_ALIGNTO];
    size_t over = n->used % NLMSG_ALIGNTO;
    if (over)
        add(n, zeros, NLMSG_ALIGNTO - over);
}

/* Headers are read and written by copy: the room need not be aligned. */
static struct nlmsghdr open_header(const struct netlink *n)
{
    struct nlmsghdr head;
    memcpy(&head, n->bytes + n->message, sizeof head);
    return head;
}

static void set_open_header(struct netlink *n, struct nlmsghdr head)
{
    memcpy(n->bytes + n->message, &head, sizeof head);
}

static void end_message(struct netlink *n)
{
    if (n->sequence == 0)
        return;
    struct nlmsghdr head = open_header(n);
    head.nlmsg_len = (uint32_t)(n->used - n->message);
    set_open_header(n, head);
}

void netlink_message(struct netlink *n, uint16_t type, uint16_t flags, const void *head,
                     size_t head_size)
{
    end_message(n);
    n->message = n->used;
    struct nlmsghdr own = { .nlmsg_type = type,
                            .nlmsg_flags = NLM_F_REQUEST | flags,
                            .nlmsg_seq = ++n->sequence };
    add(n, &own, sizeof own);
    add(n, head, head_size);
    pad(n);
}

void netlink_put(struct netlink *n, uint16_t type, const void *data, size_t size)
{
    CHECK(size < UINT16_MAX - NLA_HDRLEN);
    struct nlattr head = { .nla_len = (uint16_t)(NLA_HDRLEN + size), .nla_type = type };
    add(n, &head, sizeof head);
    add(n, data, size);
    pad(n);
}

void netlink_put_text(struct netlink *n, uint16_t type, const char *text)
{
    netlink_put(n, type, text, strlen(text) + 1);
}

void netlink_put_u32(struct netlink *n, uint16_t type, uint32_t value)
{
    netlink_put(n, type, &value, sizeof value);
}

void netlink_put_be32(struct netlink *n, uint16_t type, uint32_t value)
{
    netlink_put_u32(n, type, htonl(value));
}

size_t netlink_nest(struct netlink *n, uint16_t type)
{
    size_t at = n->used;
    netlink_put(n, type | NLA_F_NESTED, NULL, 0);
    return at;
}

void netlink_unnest(struct netlink *n, size_t nest)
{
    size_t size = n->used - nest;
    CHECK(size < UINT16_MAX);
    struct nlattr head;
    memcpy(&head, n->bytes + nest, sizeof head);
    head.nla_len = (uint16_t)size;
    memcpy(n->bytes + nest, &head, sizeof head);
}

void netlink_acknowledge(struct netlink *n)
{
    CHECK(n->sequence > 0 && n->last == 0);
    struct nlmsghdr head = open_header(n);
    head.nlmsg_flags |= NLM_F_ACK;
    set_open_header(n, head);
    n->last = n->sequence;
}

/* One datagram of answers. 1 = the last acknowledgement was in it, 0 = not yet, -1 = refused. */
static int read_answers(const struct netlink *n, const char *bytes, size_t size, struct err *e)
{
    const struct nlmsghdr *head = (const struct nlmsghdr *)bytes;
    for (; NLMSG_OK(head, size); head = NLMSG_NEXT(head, size)) {
        struct nlmsgerr answer;
        if (head->nlmsg_type != NLMSG_ERROR || head->nlmsg_len < NLMSG_LENGTH(sizeof answer))
            continue;
        memcpy(&answer, NLMSG_DATA(head), sizeof answer);
        if (answer.error)
            return err_set(e, E_SANDBOX, -answer.error, "the kernel refused message %u of %u",
                           head->nlmsg_seq, n->sequence);
        if (head->nlmsg_seq == n->last)
            return 1;
    }
    return 0;
}

int netlink_open(int protocol, struct err *e)
{
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
    return fd < 0 ? err_set(e, E_SANDBOX, errno, "netlink socket") : fd;
}

int netlink_send(struct netlink *n, int socket, struct err *e)
{
    CHECK(n->last > 0);
    end_message(n);
    if (send(socket, n->bytes, n->used, 0) < 0)
        return err_set(e, E_SANDBOX, errno, "netlink send");
    for (;;) {
        _Alignas(struct nlmsghdr) char answers[4096];
        /* Never waits: whatever the kernel has to say was queued before send returned. */
        ssize_t got = recv(socket, answers, sizeof answers, MSG_DONTWAIT);
        if (got < 0)
            return err_set(e, E_SANDBOX, errno, "netlink answer");
        int done = read_answers(n, answers, (size_t)got, e);
        if (done)
            return done < 0 ? -1 : 0;
    }
}
