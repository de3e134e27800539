#include "cmd/option_rows.h"

#include "base/str.h"

static const struct option_row *find(const struct option_row *rows, size_t count, struct str name)
{
    for (size_t i = 0; i < count; i++)
        if (str_eq(str_of(rows[i].name), name))
            return &rows[i];
    return NULL;
}

static int store_text(const struct option_row *row, const char *text, void *into, struct err *e)
{
    char *at = (char *)into + row->offset;
    if (row->takes == OPTION_TEXT) {
        memcpy(at, &text, sizeof text);
        return 0;
    }
    struct option_texts *texts = (struct option_texts *)(void *)at;
    if (texts->count == OPTION_TEXTS_MAX)
        return err_set(e, E_INPUT, 0, "--%s: at most %d times", row->name, OPTION_TEXTS_MAX);
    texts->items[texts->count++] = text;
    return 0;
}

/* One option at argv[*at]; *at is moved to its last word. */
static int read_one(const struct option_row *rows, size_t count, int argc, char **argv, int *at,
                    void *into, struct err *e)
{
    struct str rest = str_of(argv[*at]), name = { 0 };
    if (str_eq(rest, STR("-h")))
        rest = STR("--help");
    rest = str_skip(rest, 2);
    str_cut(&rest, '=', &name);
    const struct option_row *row = find(rows, count, name);
    if (!row)
        return err_set(e, E_INPUT, 0, "there is no option '%s'", argv[*at]);
    if (row->takes == OPTION_FLAG && rest.p)
        return err_set(e, E_INPUT, 0, "--%s takes no value", row->name);
    if (row->takes == OPTION_FLAG) {
        *((bool *)into + row->offset) = true;
        return 0;
    }
    if (rest.p)
        return store_text(row, rest.p, into, e); /* it ends where the word ends */
    if (*at + 1 >= argc)
        return err_set(e, E_INPUT, 0, "--%s needs a value: %s", row->name, row->value);
    return store_text(row, argv[++*at], into, e);
}

int options_read(const struct option_row *rows, size_t count, int argc, char **argv, void *into,
                 struct err *e)
{
    int words = 0;
    bool all_words = false;
    for (int i = 1; i < argc; i++) {
        bool option = !all_words && argv[i][0] == '-' && argv[i][1];
        if (option && str_eq(str_of(argv[i]), STR("--")))
            all_words = true;
        else if (!option)
            argv[++words] = argv[i];
        else if (read_one(rows, count, argc, argv, &i, into, e) < 0)
            return -1;
    }
    return words;
}

void options_print(FILE *out, const struct option_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char head[64];
        snprintf(head, sizeof head, "--%s%s%s", rows[i].name, rows[i].value ? " " : "",
                 rows[i].value ? rows[i].value : "");
        fprintf(out, "  %-24s %s\n", head, rows[i].help);
    }
}
