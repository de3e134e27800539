/* change.h - the changes of a transaction, made in a database.
 *
 * The caller has begun an SQLite transaction and a savepoint; after -1 it goes back to that.
 */
#pragma once

#include "store/sqlite/database.h"
#include "store/tx.h"

/* E_CONFLICT as store.h says, or what database_error says. */
int changes_make(struct database *d, const struct tx *tx, struct err *e);
