/* layers.h - the layers of the sandbox and what this machine grants of each (contract 11).
 *
 * `check` fills the table by trying, never by guessing from version numbers. The plan needs some
 * layers; what it needs and the host cannot give is refused unless the owner accepted it.
 */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdio.h>

enum layer {
    LAYER_NAMESPACES, /* user, mount, pid, ipc, uts, cgroup */
    LAYER_NET,        /* network namespace */
    LAYER_MOUNT,      /* mounts by descriptor, read-only tree, hidden paths */
    LAYER_LANDLOCK,
    LAYER_SECCOMP, /* static filter and notification */
    LAYER_CAPABILITIES,
    LAYER_CGROUP, /* memory, pids, cpu limits */
    LAYER_RLIMIT,
    LAYER_PROXY,
    LAYER_TRANSPARENT, /* redirect (routes, nftables) and private resolver */
    LAYER_KEYRING,
    LAYERS
};

enum layer_state { LAYER_ON, LAYER_DEGRADED, LAYER_OFF };

struct layer_report {
    enum layer_state state;
    char why[160];  /* empty when on */
    char cure[240]; /* what the owner can do; empty when nothing */
};

struct layers {
    struct layer_report of[LAYERS];
    int landlock_abi;    /* 0 = none */
    char placement[512]; /* where the groups of a run go, and for which limits; empty = nowhere */
    char grade; /* 'A' all on, 'B' only limits or transparent degraded, 'C' weaker, 'F' unusable */
};

/* "namespaces", "net", ... ; layer_find gives -1 for an unknown name. */
const char *layer_name(enum layer l);
int layer_find(const char *name);

/* Tries each layer in short-lived child processes; leaves nothing behind. Takes some tenths
 * of a second and is for doctor: `run` notices while it builds. */
void layers_check(struct layers *out);

/* Tries one layer: some milliseconds. */
void layer_check(enum layer layer, struct layer_report *out);

/* The doctor's table, for people (colour only when `colour`) or as JSON. */
void layers_print(const struct layers *l, FILE *out, bool colour);
void layers_print_json(const struct layers *l, FILE *out);
