/* hostile-socket - every family, type and protocol of sockets (T11).
 *
 * Allowed are AF_UNIX, AF_INET, AF_INET6 with ordinary streams and datagrams, and AF_NETLINK for
 * routes (contract 4.5). Whatever else can be made is an escape, also when the family number has high
 * bits that the kernel cuts off.
 */
#include "attack.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { HIGHEST_FAMILY = 60, NETLINK_HIGHEST = 31, MPTCP = 262 };

static bool made(int family, int type, int protocol)
{
    int fd = socket(family, type, protocol);
    if (fd < 0)
        return false;
    attack_note("family %d, type %d, protocol %d", family, type, protocol);
    close(fd);
    return true;
}

static bool family_is_ordinary(int family)
{
    return family == AF_UNIX || family == AF_INET || family == AF_INET6 || family == AF_NETLINK;
}

static bool by_other_families(void)
{
    for (int family = 0; family < HIGHEST_FAMILY; family++)
        for (int type = SOCK_STREAM; type <= SOCK_SEQPACKET && !family_is_ordinary(family); type++)
            if (made(family, type, 0))
                return true;
    errno = EPERM;
    return false;
}

static bool by_vsock(void)
{
    return made(AF_VSOCK, SOCK_STREAM, 0) || made(AF_VSOCK, SOCK_DGRAM, 0) ||
           made(AF_VSOCK, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static bool by_crypto(void)
{
    return made(AF_ALG, SOCK_SEQPACKET, 0);
}

static bool by_packet(void)
{
    return made(AF_PACKET, SOCK_RAW, 0) || made(AF_PACKET, SOCK_DGRAM, 0) ||
           made(AF_INET, SOCK_PACKET, 0);
}

static bool by_raw(void)
{
    static const int protocols[] = { IPPROTO_ICMP, IPPROTO_RAW, IPPROTO_TCP, IPPROTO_UDP };
    for (size_t i = 0; i < sizeof protocols / sizeof *protocols; i++)
        if (made(AF_INET, SOCK_RAW, protocols[i]) || made(AF_INET6, SOCK_RAW, protocols[i]) ||
            made(AF_INET, SOCK_RAW | SOCK_CLOEXEC, protocols[i]))
            return true;
    return false;
}

static bool by_ping(void)
{
    return made(AF_INET, SOCK_DGRAM, IPPROTO_ICMP) || made(AF_INET6, SOCK_DGRAM, IPPROTO_ICMPV6);
}

static bool by_multipath(void)
{
    return made(AF_INET, SOCK_STREAM, MPTCP) || made(AF_INET6, SOCK_STREAM, MPTCP);
}

static bool by_other_protocols(void)
{
    return made(AF_INET, SOCK_STREAM, IPPROTO_SCTP) ||
           made(AF_INET, SOCK_SEQPACKET, IPPROTO_SCTP) || made(AF_INET, SOCK_SEQPACKET, 0) ||
           made(AF_INET, SOCK_DCCP, IPPROTO_DCCP);
}

static bool by_netlink(void)
{
    for (int protocol = 1; protocol < NETLINK_HIGHEST; protocol++)
        if (made(AF_NETLINK, SOCK_RAW, protocol) || made(AF_NETLINK, SOCK_DGRAM, protocol))
            return true;
    return false;
}

static bool high(unsigned long family, unsigned long type, unsigned long protocol)
{
    long fd = raw_call(SYS_socket, family, type, protocol, 0, 0, 0);
    if (fd < 0)
        return false;
    close((int)fd);
    return true;
}

static bool by_high_bits(void)
{
    const unsigned long bit = 1ul << 32;
    return high(AF_VSOCK | bit, SOCK_STREAM, 0) || high(AF_ALG | bit, SOCK_SEQPACKET, 0) ||
           high(AF_PACKET | bit, SOCK_RAW | bit, bit) ||
           high(AF_INET, SOCK_RAW | bit, IPPROTO_ICMP) || high(AF_INET, SOCK_STREAM, MPTCP | bit) ||
           high(AF_NETLINK | bit, SOCK_RAW, 16 | bit);
}

static bool by_socketpair(void)
{
    int pair[2];
    for (int family = 0; family < HIGHEST_FAMILY; family++)
        if (family != AF_UNIX && socketpair(family, SOCK_STREAM, 0, pair) == 0) {
            attack_note("family %d", family);
            return true;
        }
    return false;
}

int main(int argc, char **argv)
{
    static const struct way ways[] = {
        { "other families", by_other_families },
        { "AF_VSOCK", by_vsock },
        { "AF_ALG", by_crypto },
        { "AF_PACKET", by_packet },
        { "raw", by_raw },
        { "ping", by_ping },
        { "MPTCP", by_multipath },
        { "other protocols", by_other_protocols },
        { "netlink", by_netlink },
        { "high bits", by_high_bits },
        { "socketpair", by_socketpair },
    };
    attack_begin(argc, argv);
    return attack_run(ways, sizeof ways / sizeof *ways);
}
