/* connect ADDRESS PORT - one TCP connection to a literal; says "connected" or the error's name. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    unsigned short port = htons((unsigned short)strtoul(argv[2], NULL, 10));
    struct sockaddr_in four = { .sin_family = AF_INET, .sin_port = port };
    struct sockaddr_in6 six = { .sin6_family = AF_INET6, .sin6_port = port };
    int is_four = inet_pton(AF_INET, argv[1], &four.sin_addr);
    if (!is_four && inet_pton(AF_INET6, argv[1], &six.sin6_addr) != 1)
        return 2;

    int fd = socket(is_four ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int failed = is_four ? connect(fd, (struct sockaddr *)&four, sizeof four)
                         : connect(fd, (struct sockaddr *)&six, sizeof six);
    puts(failed ? strerrorname_np(errno) : "connected");
    return failed ? 1 : 0;
}
