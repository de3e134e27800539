/* http-server.c - src/net with nothing behind it: answers every request with the same body, and /stream
 * with a stream of events that has none but pings.
 *
 *   bench-http-server BYTES [log]
 *
 * Prints its port and serves until it is ended. With "log" it writes its access log. */
#include "base/check.h"
#include "base/moment.h"
#include "net/server.h"
#include "net/sse_stream.h"

#include <stdio.h>
#include <stdlib.h>

static struct buf body;

static bool admit(void *ctx, struct request *r, size_t *body_limit)
{
    return true;
}

static void on_ready(void *ctx)
{
}

static void on_gone(void *ctx)
{
    sse_stream_end(*(struct sse_stream **)ctx);
    free(ctx);
}

static void handle(void *ctx, struct request *r)
{
    if (str_eq(r->path, STR("/stream"))) {
        struct sse_stream **reader = mem_get(sizeof *reader);
        *reader = sse_stream_begin(r, &(struct stream_owner){ on_ready, on_gone, reader });
        return;
    }
    request_answer(r, &(struct answer){ .status = 200, .body = buf_str(&body) });
}

int main(int argc, char **argv)
{
    struct err e;
    struct loop *loop;
    uint16_t port;
    struct server_options options = server_options_default;
    size_t n = argc > 1 ? strtoul(argv[1], NULL, 10) : 0;
    options.access_log = argc > 2;
    memset(buf_room(&body, n), 'x', n);
    buf_grew(&body, n);
    CHECK(loop_new(&loop, &e) == 0);
    struct server *s = server_new(loop, &options, &(struct server_handler){ admit, handle, NULL },
                                  random_of_kernel());
    if (server_listen(s, "127.0.0.1:0", NULL, &port, &e) != 0) {
        fprintf(stderr, "%s\n", e.text);
        return 1;
    }
    printf("%u\n", port);
    fflush(stdout);
    loop_run(loop);
    return 0;
}
