/* operator.h - what the person at the server's machine may do: workspaces, keys, first objects.
 *
 * The same requests come from a running server's control socket and from a command that has opened the
 * store itself; both are answered here, in JSON. There is no credential: who may reach the store's
 * directory may do all of it.
 *
 *   {"do":"workspace.create","name":"n"}                     the workspace, with a first API key
 *   {"do":"workspace.list"}                                  {"data":[...]}
 *   {"do":"key.create","workspace_id"?|"environment_id"?,"name"?,"role"?,"expires_in_seconds"?}
 *   {"do":"key.list","workspace_id"?|"environment_id"?}      {"data":[...]}, revoked ones left out
 *   {"do":"key.revoke","id":"apikey_..."|"envkey_..."}       the key
 *
 * A workspace may be left out while there is one only.
 */
#pragma once

#include "api/credential.h"
#include "proto/json.h"

struct operator_parts {
    struct store *store;
    struct credentials *credentials; /* told of new and revoked keys; NULL: nobody is there */
    struct clock clock;
    struct random_source random;
};

/* `json` is borrowed for the call, `e` tells why not when its kind is not E_NONE. */
typedef void operator_done(void *ctx, const struct err *e, struct str json);

/* Parts and request are borrowed for the call, store and credentials until `done`, which may come at
 * once or later from the loop. */
void operator_do(const struct operator_parts *parts, const struct json *request,
                 operator_done *done, void *ctx);

/* The body of a new workspace's record, appended. */
void workspace_body(struct buf *out, struct str name);
