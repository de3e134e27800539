/* workspace.c - `postern workspace`: the tenants of a control plane, on its machine. */
#include "base/log.h"
#include "cmd/commands.h"
#include "cmd/operate.h"
#include "cmd/option_rows.h"
#include "proto/json_write.h"

enum { EXIT_USAGE = 2 };

struct options {
    bool help, json;
    const char *state;
};

#define ROW(name, value, help, takes, member)                                                      \
    {                                                                                              \
        name, value, help, takes, offsetof(struct options, member)                                 \
    }
static const struct option_row rows[] = {
    ROW("state", "DIR", "the state directory of the control plane", OPTION_TEXT, state),
    ROW("json", NULL, "print JSON", OPTION_FLAG, json),
    ROW("help", NULL, "this text", OPTION_FLAG, help),
};
enum { ROW_COUNT = sizeof rows / sizeof *rows };

static void help(FILE *out)
{
    fputs(
        "Usage: postern workspace create NAME --state DIR [--json]\n"
        "       postern workspace list --state DIR [--json]\n\n"
        "Workspaces are the tenants of a control plane: no key of one sees anything of another.\n"
        "create also makes a first API key and prints it; it cannot be shown again. Works on the\n"
        "server's machine, whether the server runs or not.\n\n"
        "Options:\n",
        out);
    options_print(out, rows, ROW_COUNT);
    fputs("\nExit status: 0 done, 2 usage, 4 there is no such state, 5 taken, 6 busy, 7 failed.\n",
          out);
}

static int usage(const char *text)
{
    log_error("workspace: %s; 'postern workspace --help' tells more", text);
    return EXIT_USAGE;
}

static void print_one(const struct json *workspace)
{
    const char *key = operate_text(workspace, "key");
    printf("%s\t%s\n", operate_text(workspace, "id"), operate_text(workspace, "name"));
    if (key[0])
        printf("%s\n", key);
}

static void print(const struct json *answer, bool as_json)
{
    const struct json *data = json_get(answer, "data");
    if (as_json) {
        AUTO_BUF out = { 0 };
        json_write_value(&out, answer);
        puts(buf_text(&out));
        return;
    }
    for (size_t i = 0; i < json_count(data); i++)
        print_one(json_at(data, i));
    if (!data)
        print_one(answer);
}

int cmd_workspace(int argc, char **argv)
{
    struct options o = { 0 };
    struct err e = { 0 };
    AUTO_BUF request = { 0 };
    AUTO_JSON answer = NULL;
    int words = options_read(rows, ROW_COUNT, argc, argv, &o, &e);
    if (words < 0)
        return usage(e.text);
    if (o.help) {
        help(stdout);
        return 0;
    }
    bool create = words == 2 && str_eq(str_of(argv[1]), STR("create"));
    if (!create && !(words == 1 && str_eq(str_of(argv[1]), STR("list"))))
        return usage("say 'create NAME' or 'list'");
    if (!o.state)
        return usage("--state DIR is needed");
    json_write_object(&request);
    json_member_text(&request, "do", create ? "workspace.create" : "workspace.list");
    if (create)
        json_member_text(&request, "name", argv[2]);
    json_write_object_end(&request);
    if (operate(o.state, buf_str(&request), &answer, &e) < 0) {
        log_error("workspace: %s", e.text);
        return err_exit_code(e.kind);
    }
    print(answer, o.json);
    return 0;
}
