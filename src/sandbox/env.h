/* env.h - the environment of the command (contract 2.1 and 4.3).
 *
 * The caller's environment, filtered by x.env, then git's safe directories, then what points programs
 * at the proxy, then the owner's own x.env.unset and x.env.set. The token stands in this block only: in
 * no argument list, and git's ssh gets a helper of ours that reads it from here.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "sandbox/settings.h"

#include <stdbool.h>

enum { ENV_TOKEN_ROOM = 33 };

struct env_request {
    const struct settings *settings;
    char *const *caller;            /* NULL-terminated "NAME=value" */
    const char *token;              /* 32 hex digits */
    struct str attribution;         /* the command's text, or the embedder's id */
    const char *tmpdir;             /* the plan's TMPDIR, or NULL: the caller's stays as it is */
    const char *java_agent_jar;     /* the plan's, or NULL */
    const char *postern;            /* absolute path of this program as the command sees it */
    uint16_t http_port, socks_port; /* where the proxy listens; 0 = the ports of netns.h */
    bool debug;                     /* -d: SRT_DEBUG=true */
};

struct env {
    char **items; /* owned, NULL-terminated, fit for execve */
    size_t count, room;
};

/* Fills *out; an earlier content is not looked at. Fails with E_INPUT when `postern` is not absolute. */
int env_build(const struct env_request *request, struct env *out, struct err *e);

/* Wipes (the token is in there) and gives back. */
void env_release(struct env *env);

/* The value of a variable in the block, borrowed, or NULL. */
const char *env_get(const struct env *env, const char *name);

/* 128 random bits as hex (contract 2.1). */
int env_new_token(char token[ENV_TOKEN_ROOM], struct err *e);

/* The proxy's user name: "srt", or "srt." and the base64 of the first 100 characters of the key;
 * "srt" alone when that would pass 255 bytes, and for an empty key. */
void env_proxy_user(struct buf *out, struct str attribution);

/* $CLAUDE_CODE_TMPDIR, else $CLAUDE_TMPDIR, else "/tmp/claude"; borrowed. An empty value counts as
 * unset. */
const char *env_wanted_tmpdir(char *const *environment);

/* True when `name` matches a pattern of x.env: "*" is any run, "?" one byte. */
bool env_matches(struct str pattern, struct str name);
