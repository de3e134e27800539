/* schema.h - the tables, and how an older database gets them.
 *
 * A database knows its version (user_version). What a version changes is one SQL text; they are never
 * edited once released, only new ones are added.
 */
#pragma once

#include "store/sqlite/database.h"

/* "Pstn": says whose file it is (file(1) can show it). */
#define SCHEMA_APPLICATION 1349743726

/* Writes and changes nothing. */
#define SCHEMA_MARK SCHEMA_MARK_TEXT(SCHEMA_APPLICATION)
#define SCHEMA_MARK_TEXT(number) SCHEMA_MARK_OF(number)
#define SCHEMA_MARK_OF(number) "PRAGMA application_id = " #number

struct schema {
    const char *const *changes; /* changes[i] leads from version i to i + 1 */
    int64_t version;            /* how many there are */
};

/* Ours. */
extern const struct schema schema_postern;

/* Brings a database up to the newest version, all changes in one transaction. Fails when it is newer
 * than this program, or none of ours. */
int schema_migrate(struct database *d, const struct schema *schema, struct err *e);

/* The same without changing anything: also an older one is refused. */
int schema_is_ours(struct database *d, const struct schema *schema, struct err *e);
