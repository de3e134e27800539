#include "control/builtin.h"

/* A schema is its first member, more of them, and the list of those that must be there. */
#define SCHEMA(members, required)                                                                  \
    "{\"type\":\"object\",\"properties\":{" members "},\"required\":[" required "]}"
#define MEMBER(name, type, description)                                                            \
    "\"" name "\":{\"type\":\"" type "\",\"description\":\"" description "\"}"
#define MORE(name, type, description) "," MEMBER(name, type, description)
#define FILE_PATH                                                                                  \
    MEMBER("file_path", "string", "Path, absolute or relative to the working directory.")
#define VIEW_RANGE                                                                                 \
    ",\"view_range\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":2,"         \
    "\"maxItems\":2,\"description\":\"First and last line, from 1; 0 as the last is the end.\"}"

static const char bash_schema[] =
    SCHEMA(MEMBER("command", "string", "The command to run.")
               MORE("restart", "boolean", "Start a fresh shell first.")
                   MORE("timeout_ms", "integer", "Give up after so many milliseconds; 120000."),
           "");
static const char read_schema[] = SCHEMA(FILE_PATH VIEW_RANGE, "\"file_path\"");
static const char write_schema[] =
    SCHEMA(FILE_PATH MORE("content", "string", "The whole text."), "\"file_path\",\"content\"");
static const char edit_schema[] =
    SCHEMA(FILE_PATH MORE("old_string", "string", "The text that is there.")
               MORE("new_string", "string", "The text that shall be there.")
                   MORE("replace_all", "boolean", "Replace every occurrence."),
           "\"file_path\",\"old_string\",\"new_string\"");
static const char glob_schema[] =
    SCHEMA(MEMBER("pattern", "string", "A relative pattern, such as **/*.c.")
               MORE("path", "string", "Where to look; else the working directory."),
           "\"pattern\"");
static const char grep_schema[] =
    SCHEMA(MEMBER("pattern", "string", "The regular expression.")
               MORE("path", "string", "File or directory; else the working directory."),
           "\"pattern\"");
static const char fetch_schema[] =
    SCHEMA(MEMBER("url", "string", "The address, http or https."), "\"url\"");
static const char search_schema[] =
    SCHEMA(MEMBER("query", "string", "What to look for."), "\"query\"");

const struct builtin builtins[BUILTIN_COUNT] = {
    { "bash",
      "Runs a command in a bash shell that lives as long as the session: working directory, "
      "variables and background jobs stay between calls. Standard output and standard error come "
      "back together, the last 102400 characters of them. A failed command is an error result.",
      bash_schema, OWNER_WORKER, false },
    { "read", "Reads a text file. Files above 262144 bytes need a view_range.", read_schema,
      OWNER_WORKER, false },
    { "write", "Writes a whole file; missing directories are made, an existing file is replaced.",
      write_schema, OWNER_WORKER, false },
    { "edit",
      "Replaces a piece of text in a file, letter by letter. It must occur exactly once unless "
      "replace_all is true.",
      edit_schema, OWNER_WORKER, false },
    { "glob",
      "Lists files whose path matches a pattern (*, **, ?, [...], {a,b}), the newest first, at "
      "most 200.",
      glob_schema, OWNER_WORKER, false },
    { "grep", "Searches files for a regular expression. Gives lines as path:line:text.",
      grep_schema, OWNER_WORKER, false },
    { "web_fetch", "Fetches a web page or document by its URL.", fetch_schema, OWNER_SERVER,
      false },
    { "web_search", "Searches the web and gives titles, addresses and excerpts.", search_schema,
      OWNER_SERVER, true },
};
