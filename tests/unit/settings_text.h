/* settings_text.h - settings files as text, and one parse with all that comes out of it. */
#pragma once

#include "base/buf.h"
#include "sandbox/settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* A whole file: what is required, with other members of each object put in. */
#define FILE_WITH(top, network, filesystem)                                                        \
    "{\"network\":{\"allowedDomains\":[],\"deniedDomains\":[]" network "},"                        \
    "\"filesystem\":{\"denyRead\":[],\"allowWrite\":[],\"denyWrite\":[]" filesystem "}" top "}"
#define TOP(members) FILE_WITH("," members, "", "")
#define NETWORK(members) FILE_WITH("", "," members, "")
#define FILESYSTEM(members) FILE_WITH("", "", "," members)
#define X(members) TOP("\"x\":{" members "}")

/* A warning_ctx that is a struct buf gets each warning as a line. */
void collect_warning(void *ctx, const char *text);

/* One parse with all that comes out of it. */
struct run {
    struct settings s;
    struct buf problems, warnings;
    struct err e;
    bool ok;
};

void run_release(struct run *r);
#define AUTO_RUN CLEANUP(run_release) struct run

/* `options` without a place for warnings: they are collected. */
struct run parse_with(const char *text, struct settings_options options);
struct run parse(const char *text);

/* Fails the test when the text is refused. */
struct run parse_good(const char *text);
