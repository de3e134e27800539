/* main.c - the program that people start.
 *
 * A static-pie: no dynamic loader runs before the filter is on (T31), and a sandbox starts 3 ms
 * earlier. It holds what needs that, and hands every other command to a program beside it, with the
 * loader's variables taken out.
 */
#include "base/log.h"
#include "cmd/commands.h"
#include "sandbox/engine_path.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct row {
    const char *name;
    int (*run)(int argc, char **argv); /* NULL: in the program below */
    const char *help;                  /* NULL: hidden */
    const char *program;
};

static const struct row rows[] = {
    { "run", cmd_run, "run a command in the sandbox" },
    { "doctor", cmd_doctor, "what this machine can enforce, and how to fix what it can't" },
    { "audit", cmd_audit, "verify an audit log" },
    { "serve", NULL, "the control plane: sessions, work queue and agent loop", "postern-control" },
    { "workspace", NULL, "make and list workspaces of a control plane", "postern-control" },
    { "key", NULL, "make, list and revoke keys of a control plane", "postern-control" },
    { "connect-helper", cmd_connect_helper, NULL },
    { "egress", NULL, NULL, "postern-engine" },
};
enum { ROWS = sizeof rows / sizeof *rows };

static void help(FILE *out)
{
    fprintf(out, "Usage: postern COMMAND [ARGUMENTS]\n\n"
                 "Keeps an agent's work behind its owner's walls.\n\nCommands:\n");
    for (size_t i = 0; i < ROWS; i++)
        if (rows[i].help)
            fprintf(out, "  %-10s %s\n", rows[i].name, rows[i].help);
    fprintf(out,
            "\nOptions:\n  -h, --help     this text\n  -V, --version  the version\n\n"
            "`postern COMMAND --help` tells more; so do the manual pages (man postern-run).\n");
}

/* The loader's variables would run code of the caller's choosing in a program that holds rights. */
static void drop_loader_variables(void)
{
    extern char **environ;
    char **keep = environ;
    for (char **at = environ; *at; at++)
        if (strncmp(*at, "LD_", 3) != 0 && strncmp(*at, "GLIBC_TUNABLES=", 15) != 0)
            *keep++ = *at;
    *keep = NULL;
}

static int hand_over(const char *program, char **argv)
{
    char self[PATH_MAX], path[PATH_MAX];
    struct err e;
    if (own_program_path(self, &e) < 0 || sibling_path(self, program, path, &e) < 0) {
        log_error("%s", e.text);
        return 125;
    }
    drop_loader_variables();
    execv(path, argv);
    log_error("cannot start '%s': %s", path, strerrordesc_np(errno));
    return 125;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    if (argc < 2) {
        help(stderr);
        return 2;
    }
    if (strcmp(name, "-h") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "help") == 0) {
        help(stdout);
        return 0;
    }
    if (strcmp(name, "-V") == 0 || strcmp(name, "--version") == 0) {
        puts("postern " POSTERN_VERSION);
        return 0;
    }
    for (size_t i = 0; i < ROWS; i++)
        if (strcmp(rows[i].name, name) == 0)
            return rows[i].run ? rows[i].run(argc - 1, argv + 1) : hand_over(rows[i].program, argv);
    fprintf(stderr, "postern: '%s' is no command of postern; 'postern --help' lists them\n", name);
    return 2;
}
