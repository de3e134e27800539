#include "role/serve_models.h"

#include "base/fd.h"
#include "base/moment.h"
#include "io/timer.h"
#include "model/scripted.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>

struct serve_models {
    struct loop *loop;
    struct script *script;
    struct model_info info;
    struct alarms alarms;
    struct model_set *set;
};

static void *alarm_make(void *ctx, void (*fired)(void *arg), void *arg)
{
    struct serve_models *m = ctx;
    return timer_new(m->loop, fired, arg);
}

static void alarm_set(void *ctx, void *alarm, int64_t microseconds)
{
    (void)ctx;
    timer_start(alarm, (uint64_t)(microseconds + 999) / 1000);
}

static void alarm_free(void *ctx, void *alarm)
{
    (void)ctx;
    timer_free(alarm);
}

static int read_script(struct serve_models *m, const char *path, struct err *e)
{
    AUTO_BUF text = { 0 };
    AUTO_FD fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : 1;
    while (n > 0) {
        n = read(fd, buf_room(&text, 65536), 65536);
        if (n > 0)
            buf_grew(&text, (size_t)n);
    }
    if (n < 0)
        return err_set(e, E_IO, errno, "read '%s'", path);
    return script_parse(buf_str(&text), &m->script, e) < 0 ? err_while(e, "%s", path) : 0;
}

int serve_models_new(struct serve_models **out, const struct serve_config *config, struct loop *l,
                     struct err *e)
{
    struct serve_models *m = mem_get(sizeof *m);
    struct clock clock = clock_of_machine();
    *out = m;
    m->loop = l;
    m->alarms = (struct alarms){ alarm_make, alarm_set, alarm_free, m };
    m->info = (struct model_info){ .id = STR("scripted"),
                                   .display_name = STR("scripted"),
                                   .dialect = STR("scripted"),
                                   .created_at = clock_now(&clock),
                                   .context_window = 200000,
                                   .max_output = 32000 };
    if (!config->script)
        return err_set(e, E_INPUT, 0, "no model: --script FILE");
    if (read_script(m, config->script, e) < 0)
        return -1;
    m->set = scripted_set_new(m->script, &m->info, &m->alarms);
    return 0;
}

void serve_models_free(struct serve_models *m)
{
    if (!m)
        return;
    scripted_set_free(m->set);
    script_free(m->script);
    free(m);
}

struct model_set *serve_models_set(struct serve_models *m)
{
    return m->set;
}
