/* log.h - one line per happening on stderr, for people and for machines.
 *
 * An event name first, fixed; then fields. The name never contains data. Secrets have no way in:
 * callers pass names and numbers, never header values, tokens or bodies.
 */
#pragma once

#include <stdbool.h>

/* Turns debug lines on; each starts with "[SandboxDebug] " (sandbox contract 1, -d). */
void log_set_debug(bool on);
bool log_is_debug(void);

/* Only written with debug on. */
__attribute__((format(printf, 1, 2))) void log_debug(const char *fmt, ...);

/* "postern: warning: ..." on stderr, control characters replaced. */
__attribute__((format(printf, 1, 2))) void log_warn(const char *fmt, ...);

/* "postern: error: ..." on stderr, control characters replaced. */
__attribute__((format(printf, 1, 2))) void log_error(const char *fmt, ...);
