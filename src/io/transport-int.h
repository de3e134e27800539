/* transport-int.h - what a kind of transport has to offer; transport.h is the outside. */
#pragma once

#include "io/transport.h"

struct transport_ops {
    ssize_t (*read)(struct transport *t, void *to, size_t n);
    ssize_t (*write)(struct transport *t, struct str bytes);
    void (*want)(struct transport *t, unsigned events);
    void (*finish)(struct transport *t);
    void (*free)(struct transport *t);
};

/* First in every kind. */
struct transport {
    const struct transport_ops *ops;
    struct watch *watch;
};
