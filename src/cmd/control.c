/* control.c - postern-control: the control plane's part of the program (architecture 4).
 *
 * The static front starts it with the command as first argument; people do not call it. */
#include "base/log.h"
#include "base/str.h"
#include "cmd/commands.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's word */
} commands[] = {
    { "serve", cmd_serve },
    { "key", cmd_key },
    { "workspace", cmd_workspace },
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        log_error("postern-control is started by postern");
        return 2;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (str_eq(str_of(argv[1]), str_of(commands[i].name)))
            return commands[i].run(argc - 1, argv + 1);
    log_error("postern-control: unknown command '%s'", argv[1]);
    return 2;
}
