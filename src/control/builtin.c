#include "control/builtin.h"

#define OBJECT(members, required)                                                                  \
    "{\"type\":\"object\",\"properties\":{" members "},\"required\":[" required "]}"
#define MEMBER(name, type, description)                                                            \
    "\"" name "\":{\"type\":\"" type "\",\"description\":\"" description "\"}"

const struct builtin builtins[BUILTIN_COUNT] = {
    { "bash",
      "Runs a command in a bash shell that lives as long as the session: working directory, "
      "variables and background jobs stay between calls. Standard output and standard error come "
      "back together, the last 102400 characters of them. A failed command is an error result.",
      OBJECT(MEMBER("command", "string", "The command to run.") "," MEMBER(
                 "restart", "boolean",
                 "Start a fresh shell first.") "," MEMBER("timeout_ms", "integer",
                                                          "Stop the command after so many "
                                                          "milliseconds; 120000 if not given."),
             ""),
      OWNER_WORKER, false },
    { "read", "Reads a text file. Files above 262144 bytes need a view_range.",
      OBJECT(
          MEMBER("file_path", "string",
                 "Path, absolute or relative to the working directory.") ","
                                                                         "\"view_range\":{\"type\":"
                                                                         "\"array\",\"items\":{"
                                                                         "\"type\":\"integer\"},"
                                                                         "\"minItems\":2,"
                                                                         "\"maxItems\":2,"
                                                                         "\"description\":\"First "
                                                                         "and last line, from 1; 0 "
                                                                         "as the last is the "
                                                                         "end of the file.\"}",
          "\"file_path\""),
      OWNER_WORKER, false },
    { "write", "Writes a whole file; missing directories are made, an existing file is replaced.",
      OBJECT(MEMBER("file_path", "string",
                    "Path, absolute or relative to the working directory.") "," MEMBER("content",
                                                                                       "string",
                                                                                       "The whole "
                                                                                       "new text."),
             "\"file_path\",\"content\""),
      OWNER_WORKER, false },
    { "edit",
      "Replaces a piece of text in a file, letter by letter. It must occur exactly once unless "
      "replace_all is true.",
      OBJECT(
          MEMBER("file_path", "string", "Path, absolute or relative to the working directory.") "," MEMBER(
              "old_string", "string",
              "The text that is there.") "," MEMBER("new_string", "string",
                                                    "The text that shall be there.") "," MEMBER("re"
                                                                                                "pl"
                                                                                                "ac"
                                                                                                "e_"
                                                                                                "al"
                                                                                                "l",
                                                                                                "bo"
                                                                                                "ol"
                                                                                                "ea"
                                                                                                "n",
                                                                                                "Re"
                                                                                                "pl"
                                                                                                "ac"
                                                                                                "e "
                                                                                                "ev"
                                                                                                "er"
                                                                                                "y "
                                                                                                "oc"
                                                                                                "cu"
                                                                                                "rr"
                                                                                                "en"
                                                                                                "ce"
                                                                                                "."),
          "\"file_path\",\"old_string\",\"new_string\""),
      OWNER_WORKER, false },
    { "glob",
      "Lists files whose path matches a pattern (*, **, ?, [...], {a,b}), the newest first, at "
      "most "
      "200.",
      OBJECT(MEMBER("pattern", "string", "A relative pattern, such as **/*.c.") "," MEMBER(
                 "path", "string", "Where to look; the working directory if not given."),
             "\"pattern\""),
      OWNER_WORKER, false },
    { "grep", "Searches files for a regular expression. Gives lines as path:line:text.",
      OBJECT(MEMBER("pattern", "string", "The regular expression.") "," MEMBER(
                 "path", "string", "File or directory; the working directory if not given."),
             "\"pattern\""),
      OWNER_WORKER, false },
    { "web_fetch", "Fetches a web page or document by its URL.",
      OBJECT(MEMBER("url", "string", "The address, http or https."), "\"url\""), OWNER_SERVER,
      false },
    { "web_search", "Searches the web and gives titles, addresses and excerpts.",
      OBJECT(MEMBER("query", "string", "What to look for."), "\"query\""), OWNER_SERVER, true },
};
