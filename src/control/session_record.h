/* session_record.h - a session as the store keeps it, so that reading and listing sessions needs no
 * log.
 *
 * The record's body holds the members of the session object that are only carried, as JSON text, and
 * beside them the numbers that change by themselves. state: the status; due_at: when the session
 * wants to be looked at although nobody speaks to it.
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "core/session.h"
#include "postern/store.h"

/* Members of the session object that do not change by themselves; JSON text. */
enum session_member {
    MEMBER_AGENT,
    MEMBER_TITLE,
    MEMBER_METADATA,
    MEMBER_RESOURCES,
    MEMBER_VAULT_IDS,
    MEMBER_BUDGET,
    MEMBER_DEPLOYMENT_ID,
    SESSION_MEMBERS
};

struct session_record {
    struct id id, workspace, environment, agent;
    int64_t agent_version;
    enum session_status status;
    int64_t created_at, updated_at, archived_at, due_at;
    int64_t ended_at; /* terminated; 0: not yet */
    int64_t revision; /* of the store; 0: not written yet */
    struct usage usage;
    int64_t running_since;          /* while running */
    size_t queued;                  /* inputs that wait for their turn */
    char *members[SESSION_MEMBERS]; /* owned */
};

struct str session_member_name(enum session_member member);

/* Gives back the members. */
void session_record_release(struct session_record *r);

/* Takes the members over from text without braces; what is missing becomes null or empty. False: it is
 * no JSON. */
bool session_record_members(struct session_record *r, struct str members);

/* Replaces one member; the text is copied. */
void session_record_set(struct session_record *r, enum session_member member, struct str json);

/* For tx_put: texts are borrowed from *r and `body`, which is emptied first. */
void session_record_write(const struct session_record *r, struct buf *body, struct record *out);

/* From a record of the store. -1 with *e (E_BUG). On success *out is the caller's to release. */
int session_record_read(const struct record *record, struct session_record *out, struct err *e);

/* "sthr_" and the same chance as the session's id: there is one thread. */
struct id session_thread_id(const struct id *session);

/* As the API shows them (2.4, 2.7), appended. */
void session_record_show(const struct session_record *r, int64_t now, struct buf *out);
void session_record_show_thread(const struct session_record *r, int64_t now, struct buf *out);
