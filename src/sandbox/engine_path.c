#include "sandbox/engine_path.h"

#include "base/buf.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int own_program_path(char path[PATH_MAX], struct err *e)
{
    ssize_t n = readlink("/proc/self/exe", path, PATH_MAX);
    if (n <= 0 || n == PATH_MAX)
        return err_set(e, E_SANDBOX, n < 0 ? errno : ENAMETOOLONG,
                       "find our own program (is /proc mounted?)");
    path[n] = '\0';
    return 0;
}

int sibling_path(const char *own, const char *name, char path[PATH_MAX], struct err *e)
{
    static const char *const places[] = { "", "../libexec/postern/" };
    int directory = (int)str_last_index(str_of(own), '/');
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        AUTO_BUF place = { 0 };
        buf_addf(&place, "%.*s/%s%s", directory, own, places[i], name);
        if (access(buf_text(&place), X_OK) == 0 && realpath(buf_text(&place), path))
            return 0;
    }
    return err_set(e, E_MISSING, 0, "%s is not beside '%s'", name, own);
}

int engine_path(const char *own, char path[PATH_MAX], struct err *e)
{
    if (sibling_path(own, "postern-engine", path, e) == 0)
        return 0;
    e->kind = E_SANDBOX;
    return err_while(e, "layer proxy");
}
