/* serve.c - `postern serve`: starts a control plane, and looks after its state. */
#include "role/serve.h"

#include "base/fd.h"
#include "cmd/commands.h"
#include "cmd/option_rows.h"
#include "proto/json_write.h"
#include "store/sqlite.h"

#include <stdio.h>

enum { EXIT_DAMAGED = 1, EXIT_USAGE = 2 };

struct options {
    bool help, bootstrap, insecure_listen, json;
    const char *config, *state, *env_file, *script, *log;
    struct option_texts listen;
};

#define ROW(name, value, help, takes, member)                                                      \
    {                                                                                              \
        name, value, help, takes, offsetof(struct options, member)                                 \
    }
static const struct option_row serve_rows[] = {
    ROW("config", "FILE", "postern.yaml; what is given here counts more", OPTION_TEXT, config),
    ROW("state", "DIR", "where sessions, keys and logs are kept", OPTION_TEXT, state),
    ROW("listen", "ADDRESS", "127.0.0.1:8080, [::1]:0, unix:/path; several times", OPTION_TEXTS,
        listen),
    ROW("insecure-listen", NULL, "plain HTTP also beyond this machine", OPTION_FLAG,
        insecure_listen),
    ROW("bootstrap", NULL, "make workspace, environment and keys that are missing", OPTION_FLAG,
        bootstrap),
    ROW("env-file", "FILE", "with --bootstrap: where to write address and keys", OPTION_TEXT,
        env_file),
    ROW("script", "FILE", "a scripted model, called \"scripted\"", OPTION_TEXT, script),
    ROW("log", "FORM", "text or json", OPTION_TEXT, log),
    ROW("help", NULL, "this text", OPTION_FLAG, help),
};
static const struct option_row state_rows[] = {
    ROW("state", "DIR", "the state directory", OPTION_TEXT, state),
    ROW("json", NULL, "print JSON", OPTION_FLAG, json),
    ROW("help", NULL, "this text", OPTION_FLAG, help),
};
enum {
    SERVE_ROWS = sizeof serve_rows / sizeof *serve_rows,
    STATE_ROWS = sizeof state_rows / sizeof *state_rows
};

static void help(FILE *out)
{
    fputs("Usage: postern serve [OPTIONS]\n"
          "       postern serve backup --state DIR FILE\n"
          "       postern serve check --state DIR\n\n"
          "The control plane: agents, environments, sessions with their event streams, the work "
          "queue\n"
          "and the agent loop, over HTTP. Ends on SIGTERM or SIGINT; SIGHUP reads the certificate "
          "again.\n\n"
          "Options:\n",
          out);
    options_print(out, serve_rows, SERVE_ROWS);
    fputs(
        "\nEnvironment: ANTHROPIC_BASE_URL and ANTHROPIC_API_KEY, OPENAI_BASE_URL and "
        "OPENAI_API_KEY are the\n"
        "provider of the MODEL here. (For an SDK client or a worker ANTHROPIC_BASE_URL is this "
        "server.)\n\n"
        "Commands:\n"
        "  backup   writes a consistent copy of the state to FILE, also while the server runs\n"
        "  check    looks whether the state is whole, also while the server runs\n\n"
        "Exit status: 0 ended as asked, 1 cannot be used (or check: damaged), 2 usage, 3 refused,\n"
        "4 there is no such state, 5 another process serves it, or the env file holds other "
        "things,\n"
        "6 busy, 7 input or output failed.\n",
        out);
}

static int usage(const struct err *e)
{
    log_error("serve: %s; 'postern serve --help' tells more", e->text);
    return EXIT_USAGE;
}

static int fail(const struct err *e)
{
    log_error("serve: %s", e->text);
    return err_exit_code(e->kind);
}

/* `postern serve backup` and `check`: argv[0] is that word. */
static int read_state_options(int argc, char **argv, int words, struct options *o, struct err *e)
{
    int found = options_read(state_rows, STATE_ROWS, argc, argv, o, e);
    if (found < 0 || o->help)
        return found;
    if (found != words)
        return err_set(e, E_INPUT, 0, words ? "%s needs one FILE" : "%s takes no such word",
                       argv[0]);
    return o->state ? found : err_set(e, E_INPUT, 0, "%s needs --state DIR", argv[0]);
}

static int backup(int argc, char **argv)
{
    struct options o = { 0 };
    struct err e = { 0 };
    if (read_state_options(argc, argv, 1, &o, &e) < 0)
        return usage(&e);
    if (o.help) {
        help(stdout);
        return 0;
    }
    if (sqlite_store_backup(o.state, argv[1], &e) < 0)
        return fail(&e);
    if (!o.json) {
        printf("%s\n", argv[1]);
        return 0;
    }
    AUTO_BUF out = { 0 };
    json_write_object(&out);
    json_member_text(&out, "file", argv[1]);
    json_write_object_end(&out);
    puts(buf_text(&out));
    return 0;
}

static int check(int argc, char **argv)
{
    struct options o = { 0 };
    struct err e = { 0 };
    AUTO_BUF report = { 0 };
    AUTO_BUF out = { 0 };
    if (read_state_options(argc, argv, 0, &o, &e) < 0)
        return usage(&e);
    if (o.help) {
        help(stdout);
        return 0;
    }
    int problems = sqlite_store_check(o.state, &report, &e);
    if (problems < 0)
        return fail(&e);
    if (o.json) {
        struct str rest = buf_str(&report), line;
        json_write_object(&out);
        json_member_bool(&out, "whole", problems == 0);
        json_write_key(&out, STR("problems"));
        json_write_array(&out);
        while (str_cut(&rest, '\n', &line))
            if (line.n)
                json_write_str(&out, line);
        json_write_array_end(&out);
        json_write_object_end(&out);
        puts(buf_text(&out));
    } else {
        fputs(problems ? buf_text(&report) : "whole\n", stdout);
    }
    return problems ? EXIT_DAMAGED : 0;
}

/* What the command line says counts more than the file. */
static int apply(const struct options *o, struct serve_config *c, struct err *e)
{
    if (o->listen.count) {
        memcpy(c->listen, o->listen.items, o->listen.count * sizeof *c->listen);
        c->listen_count = o->listen.count;
    }
    if (o->state)
        c->state = o->state;
    c->server.allow_plain = c->server.allow_plain || o->insecure_listen;
    c->bootstrap = o->bootstrap;
    c->env_file = o->env_file;
    c->script = o->script;
    if (o->log && str_eq(str_of(o->log), STR("json")))
        c->log = LOG_AS_JSON;
    else if (o->log && !str_eq(str_of(o->log), STR("text")))
        return err_set(e, E_INPUT, 0, "--log takes text or json");
    if (o->env_file && !o->bootstrap)
        return err_set(e, E_INPUT, 0, "--env-file goes with --bootstrap");
    return 0;
}

static int serve(const struct options *o)
{
    struct err e = { 0 };
    CLEANUP(serve_config_release) struct serve_config config;
    serve_config_init(&config);
    if (o->config && serve_config_read(&config, o->config, &e) < 0)
        return fail(&e);
    if (apply(o, &config, &e) < 0)
        return usage(&e);
    return role_serve(&config);
}

int cmd_serve(int argc, char **argv)
{
    struct options o = { 0 };
    struct err e = { 0 };
    const char *word = argc > 1 ? argv[1] : "";
    if (str_eq(str_of(word), STR("backup")))
        return backup(argc - 1, argv + 1);
    if (str_eq(str_of(word), STR("check")))
        return check(argc - 1, argv + 1);
    int words = options_read(serve_rows, SERVE_ROWS, argc, argv, &o, &e);
    if (words > 0)
        err_set(&e, E_INPUT, 0, "there is no command '%s'", argv[1]);
    if (words != 0)
        return usage(&e);
    if (o.help) {
        help(stdout);
        return 0;
    }
    return serve(&o);
}
