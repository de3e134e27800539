/* seccomp_generate FILE - writes the compiled filters of all presets as C; runs at build time. */
#include "base/check.h"
#include "sandbox/seccomp_rules.h"

#include <stdio.h>
#include <stdlib.h>

static void write_program(FILE *out, unsigned index, const struct sock_filter *filter,
                          unsigned short count)
{
    fprintf(out, "static const struct sock_filter program_%u[] = {\n", index);
    for (unsigned short i = 0; i < count; i++)
        fprintf(out, "    { 0x%x, %u, %u, 0x%x },\n", filter[i].code, filter[i].jt, filter[i].jf,
                filter[i].k);
    fprintf(out, "};\n");
}

int main(int argc, char **argv)
{
    unsigned short counts[SECCOMP_BUILT];
    FILE *out = argc == 2 ? fopen(argv[1], "w") : NULL;
    if (!out) {
        fprintf(stderr, "usage: seccomp_generate FILE\n");
        return 2;
    }
    fprintf(out, "#include \"sandbox/seccomp_rules.h\"\n\n");
    for (unsigned i = 0; i < SECCOMP_BUILT; i++) {
        const unsigned way = i % SECCOMP_WAYS, rest = i / SECCOMP_WAYS;
        struct seccomp_choice choice = { .preset = (int)(rest / 8),
                                         .nested_user_namespaces = rest & 4,
                                         .every_open = rest & 2,
                                         .no_setid = rest & 1,
                                         .notify = way > 0,
                                         .sends = way > 1 };
        struct sock_filter *filter;
        struct err e;
        CHECK(seccomp_built_index(&choice) == i);
        if (seccomp_rules_compile(&choice, &filter, &counts[i], &e) < 0) {
            fprintf(stderr, "seccomp_generate: %s\n", e.text);
            return 1;
        }
        write_program(out, i, filter, counts[i]);
        free(filter);
    }
    fprintf(out, "const struct seccomp_built seccomp_built[SECCOMP_BUILT] = {\n");
    for (unsigned i = 0; i < SECCOMP_BUILT; i++)
        fprintf(out, "    { program_%u, %u },\n", i, counts[i]);
    fprintf(out, "};\n");
    return fclose(out) == 0 ? 0 : 1;
}
