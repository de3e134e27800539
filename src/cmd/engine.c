/* postern-engine - the dynamic part of the program (architecture 4): what needs shared libraries.
 *
 * The static front starts it with the command as first argument; people do not call it. */
#include "base/log.h"
#include "base/str.h"
#include "role/egress.h"

#include <stdio.h>

static int run_egress(int argc, char **argv)
{
    (void)argv;
    if (argc > 1) {
        log_error("egress takes no arguments");
        return 2;
    }
    return role_egress();
}

static const struct {
    const char *name;
    int (*run)(int argc, char **argv); /* argv[0] is the command's word */
} commands[] = {
    { "egress", run_egress },
};

int main(int argc, char **argv)
{
    if (argc < 2) {
        log_error("postern-engine is started by postern");
        return 2;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (str_eq(str_of(argv[1]), str_of(commands[i].name)))
            return commands[i].run(argc - 1, argv + 1);
    log_error("postern-engine: unknown command '%s'", argv[1]);
    return 2;
}
