/* key.c - `postern key`: API keys and environment keys of a control plane, on its machine. */
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/operate.h"
#include "cmd/option_rows.h"
#include "proto/json_write.h"

enum { EXIT_USAGE = 2 };

struct options {
    bool help, json, read_only;
    const char *state, *workspace, *environment, *name, *expires;
};

#define ROW(name, value, help, takes, member)                                                      \
    {                                                                                              \
        name, value, help, takes, offsetof(struct options, member)                                 \
    }
static const struct option_row rows[] = {
    ROW("state", "DIR", "the state directory of the control plane", OPTION_TEXT, state),
    ROW("workspace", "ID", "API keys of this workspace; not needed while there is one only",
        OPTION_TEXT, workspace),
    ROW("environment", "ID", "keys for the workers of this environment", OPTION_TEXT, environment),
    ROW("name", "NAME", "what people call the key", OPTION_TEXT, name),
    ROW("expires", "TIME", "90s, 15m, 12h, 30d: how long it is good", OPTION_TEXT, expires),
    ROW("read-only", NULL, "an API key that may only read", OPTION_FLAG, read_only),
    ROW("json", NULL, "print JSON", OPTION_FLAG, json),
    ROW("help", NULL, "this text", OPTION_FLAG, help),
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

static void help(FILE *out)
{
    fputs("Usage: postern key create [--workspace ID | --environment ID] [OPTIONS] --state DIR\n"
          "       postern key list [--workspace ID | --environment ID] --state DIR\n"
          "       postern key revoke KEY_ID --state DIR\n\n"
          "Keys of a control plane, made and revoked on its machine, whether it runs or not. A new "
          "key\n"
          "is printed once and cannot be shown again; only its hash is kept. A revoked one is "
          "refused\n"
          "from the next request on.\n\n"
          "Options:\n",
          out);
    options_print(out, rows, ROW_COUNT);
    fputs("\nExit status: 0 done, 1 cannot be used, 2 usage, 4 there is no such thing, 5 revoked\n"
          "already, or the state is taken, 6 busy, 7 failed.\n",
          out);
}

static int usage(const char *text)
{
    log_error("key: %s; 'postern key --help' tells more", text);
    return EXIT_USAGE;
}

/* "90s", "15m", "12h", "30d" as seconds; 0: cannot be read. */
static int64_t seconds_of(const char *text)
{
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
    struct str number = str_of(text);
    uint64_t n = 0;
    if (number.n < 2)
        return 0;
    char unit = number.p[--number.n];
    for (size_t i = 0; i < sizeof units / sizeof *units; i++)
        if (units[i].unit == unit && str_to_u64(number, &n) && n > 0 &&
            n <= INT32_MAX / (uint64_t)units[i].seconds)
            return (int64_t)n * units[i].seconds;
    return 0;
}

static void member_if(struct buf *out, const char *key, const char *text)
{
    if (text)
        json_member_text(out, key, text);
}

static void write_request(struct buf *out, const char *what, const struct options *o,
                          const char *id, int64_t expires)
{
    json_write_object(out);
    json_member_text(out, "do", what);
    member_if(out, "id", id);
    member_if(out, "workspace_id", o->workspace);
    member_if(out, "environment_id", o->environment);
    member_if(out, "name", o->name);
    if (o->read_only)
        json_member_text(out, "role", "read_only");
    if (expires)
        json_member_i64(out, "expires_in_seconds", expires);
    json_write_object_end(out);
}

static void print_row(const struct json *key)
{
    const char *expires = operate_text(key, "expires_at"), *role = operate_text(key, "role");
    printf("%s\t%s\t%s\t%s\t%s\n", operate_text(key, "id"), operate_text(key, "name"),
           role[0] ? role : "worker", operate_text(key, "created_at"),
           expires[0] ? expires : "never");
}

static void print(const struct json *answer, bool as_json)
{
    const struct json *data = json_get(answer, "data");
    const char *key = operate_text(answer, "key");
    if (as_json) {
        AUTO_BUF out = { 0 };
        json_write_value(&out, answer);
        puts(buf_text(&out));
    } else if (data) {
        for (size_t i = 0; i < json_count(data); i++)
            print_row(json_at(data, i));
    } else if (key[0]) {
        printf("%s\n", key); /* alone, so that it can be taken by a script */
    } else {
        print_row(answer);
    }
}

/* What the words ask for: the operation's name, or NULL with *why. */
static const char *operation_of(int words, char **argv, const char **why)
{
    struct str word = str_of(words > 0 ? argv[1] : "");
    *why = "say 'create', 'list' or 'revoke KEY_ID'";
    if (str_eq(word, STR("create")) && words == 1)
        return "key.create";
    if (str_eq(word, STR("list")) && words == 1)
        return "key.list";
    return str_eq(word, STR("revoke")) && words == 2 ? "key.revoke" : NULL;
}

int cmd_key(int argc, char **argv)
{
    struct options o = { 0 };
    struct err e = { 0 };
    AUTO_BUF request = { 0 };
    AUTO_JSON answer = NULL;
    const char *why = NULL;
    int words = options_read(rows, ROW_COUNT, argc, argv, &o, &e);
    if (words < 0)
        return usage(e.text);
    if (o.help) {
        help(stdout);
        return 0;
    }
    const char *what = operation_of(words, argv, &why);
    if (o.read_only && o.environment)
        return usage("--read-only is for API keys; a worker's key serves a queue");
    int64_t expires = o.expires ? seconds_of(o.expires) : 0;
    if (!what)
        return usage(why);
    if (!o.state)
        return usage("--state DIR is needed");
    if (o.workspace && o.environment)
        return usage("--workspace or --environment, not both");
    if (o.expires && !expires)
        return usage("--expires takes a number and s, m, h or d");
    write_request(&request, what, &o, words == 2 ? argv[2] : NULL, expires);
    if (operate(o.state, buf_str(&request), &answer, &e) < 0) {
        log_error("key: %s", e.text);
        return err_exit_code(e.kind);
    }
    print(answer, o.json);
    return 0;
}
