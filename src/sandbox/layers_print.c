#include "sandbox/layers.h"

#include "base/buf.h"
#include "proto/json_write.h"

#include <string.h>

static const struct {
    const char *word, *colour;
} states[] = {
    [LAYER_ON] = { "on", "\033[32m" },
    [LAYER_DEGRADED] = { "degraded", "\033[33m" },
    [LAYER_OFF] = { "off", "\033[31m" },
};

static const char *grade_text(char grade)
{
    switch (grade) {
    case 'A':
        return "every layer is on";
    case 'B':
        return "usable; only limits or the transparent redirect are weaker";
    case 'C':
        return "usable, but weaker: what is missing must be accepted with --allow-degraded";
    default:
        return "unusable: a layer is missing that nothing replaces";
    }
}

void layers_print(const struct layers *l, FILE *out, bool colour)
{
    for (int i = 0; i < LAYERS; i++) {
        const struct layer_report *r = &l->of[i];
        const char *word = states[r->state].word;
        fprintf(out, "%-13s %s%s%s", layer_name(i), colour ? states[r->state].colour : "", word,
                colour ? "\033[0m" : "");
        if (r->why[0])
            fprintf(out, "%*s  %s", 8 - (int)strlen(word), "", r->why);
        fputc('\n', out);
        if (r->cure[0])
            fprintf(out, "%13s %8s  cure: %s\n", "", "", r->cure);
    }
    fprintf(out, "\nGrade %c: %s.\n", l->grade, grade_text(l->grade));
    if (l->grade == 'C' &&
        (l->of[LAYER_NAMESPACES].state == LAYER_OFF || l->of[LAYER_NET].state == LAYER_OFF ||
         l->of[LAYER_MOUNT].state == LAYER_OFF))
        fputs("A run without namespaces is possible, held by Landlock, the filter and the proxy "
              "alone:\n"
              "postern run --allow-degraded=namespaces; docs/degraded.md says what it lacks.\n",
              out);
}

void layers_print_json(const struct layers *l, FILE *out)
{
    AUTO_BUF b = { 0 };
    const char grade[2] = { l->grade, '\0' };
    json_write_object(&b);
    json_member_text(&b, "grade", grade);
    json_member_u64(&b, "landlockAbi", (uint64_t)l->landlock_abi);
    json_member_text(&b, "cgroupPlacement", l->placement);
    json_write_key(&b, STR("layers"));
    json_write_object(&b);
    for (int i = 0; i < LAYERS; i++) {
        json_write_key(&b, str_of(layer_name(i)));
        json_write_object(&b);
        json_member_text(&b, "state", states[l->of[i].state].word);
        json_member_text(&b, "why", l->of[i].why);
        json_member_text(&b, "cure", l->of[i].cure);
        json_write_object_end(&b);
    }
    json_write_object_end(&b);
    json_write_object_end(&b);
    fputs(buf_text(&b), out);
}
