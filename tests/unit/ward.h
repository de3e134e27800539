/* ward.h - runs a function, or a shell script, under the filter and a warden; for tests and bench. */
#pragma once

#include "sandbox/warden.h"

#include <stdbool.h>

struct ward {
    struct file_rules rules;
    struct warden_options options; /* rules and report are filled in */
    int preset;
    bool bare; /* neither filter nor warden: what the kernel itself does */
    bool
        as_nobody; /* root only: both become an unprivileged user, in a user namespace of its own */
    int report[2]; /* SEQPACKET; the reading end is [0], -1 without */
};

/* One write root, no other rule, no reports. */
void ward_init(struct ward *w, const struct file_rule_path *root);

/* Runs work(ctx) in a process of its own, behind a warden in another; gives its exit status (128+k
 * for signal k). Nothing is left running. */
int ward_run(struct ward *w, int (*work)(void *ctx), void *ctx);

/* The same for `sh -c script`, in `directory`. */
int ward_shell(struct ward *w, const char *directory, const char *script);

/* Asks for reports. ward_next_report: false when there is none left. */
void ward_want_reports(struct ward *w);
bool ward_next_report(struct ward *w, struct warden_report *out);
