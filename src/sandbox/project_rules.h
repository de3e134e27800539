/* project_rules.h - answers that hold for a project, kept in files a person can read and edit.
 *
 * $XDG_CONFIG_HOME/postern/rules.d or ~/.config/postern/rules.d holds *.json (contract 8), one file
 * per project that we write; a person may add more. Each rule has its date and the command that asked.
 * What stands there was either answered by a person or is not used at all: the folder must lie outside
 * every allowed write path, and it and its files must be writable by their owner alone.
 *
 *   { "project": "/work/app",
 *     "rules": [
 *       { "allow": true, "kind": "network", "host": "example.com", "port": 443,
 *         "date": "2026-11-24T17:00:00Z", "command": "curl https://example.com/" } ] }
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "sandbox/questions.h"

#include <stdbool.h>
#include <time.h>

struct project_rules;

/* The folder's path from $XDG_CONFIG_HOME (NULL, empty or relative: not used) and the home directory. */
void project_rules_folder(struct buf *out, const char *xdg_config_home, const char *home);

struct project_rules_options {
    const char *folder;             /* absolute; need not exist */
    const char *project;            /* canonical working directory */
    const char *const *write_roots; /* canonical allowed write paths */
    size_t write_root_count;
};

/* Reads the rules of the project. An absent folder has none. A folder that cannot be trusted is not
 * read and nothing is kept in it; project_rules_refusal tells why. Fails with E_INPUT for a file that
 * is malformed or cannot be trusted, with its name and what is wrong: a deny in it must not be lost. */
int project_rules_open(const struct project_rules_options *options, struct project_rules **out,
                       struct err *e);
void project_rules_free(struct project_rules *r);

/* NULL when answers can be kept, else one line that tells a person why not. */
const char *project_rules_refusal(const struct project_rules *r);

/* Calls `each` for every rule of the project; the question is borrowed for the call. */
void project_rules_each(const struct project_rules *r,
                        void (*each)(void *ctx, const struct question *question, bool allow),
                        void *ctx);

/* Adds an answer and writes the file (0600, replaced as a whole). Questions about requests and limits
 * cannot be kept: E_INPUT; a folder that is refused: E_DENIED. */
int project_rules_add(struct project_rules *r, const struct question *question, bool allow,
                      time_t now, struct err *e);
