/* serve_config.h - how a control plane is set up: postern.yaml and what the command line adds.
 *
 * docs/postern.yaml.example shows every key. An unknown key is an error.
 */
#pragma once

#include "api/api.h"
#include "web/web.h"
#include "base/log.h"
#include "control/engine.h"
#include "model/models_config.h"
#include "net/server.h"
#include "proto/places.h"

enum { SERVE_LISTEN_MAX = 16 };

struct serve_config {
    const char *listen[SERVE_LISTEN_MAX]; /* addresses as server_listen takes them */
    size_t listen_count;
    const char *certificate, *key; /* PEM files; NULL: plain HTTP */
    const char *state;             /* directory */
    bool bootstrap;                /* make what is missing, and write it to `env_file` */
    const char *env_file;          /* NULL: none */
    const char *script;            /* of a scripted model "scripted"; NULL: none */
    enum log_form log;
    struct server_options server;
    struct api_settings api;
    struct engine_settings engine;
    struct web_settings web;
    struct models_config models; /* of the file alone */
    /* Owned; everything above borrows from it, or from the command line. */
    struct json *tree;
    struct places *places;
    char *file;
};

/* What holds without a file. */
void serve_config_init(struct serve_config *c);

/* Reads the file over it; relative paths in it begin where it lies. Fails with E_INPUT naming file, line and key of every problem. */
int serve_config_read(struct serve_config *c, const char *path, struct err *e);
void serve_config_release(struct serve_config *c);
