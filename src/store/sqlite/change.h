/* change.h - the changes of a transaction, made in a database.
 *
 * The caller has begun an SQLite transaction and a savepoint; after -1 it goes back to that.
 */
#pragma once

#include "store/sqlite/database.h"
#include "store/tx.h"

/* E_CONFLICT as store.h says, or what database_error says. */
int changes_make(struct database *d, const struct tx *tx, struct err *e);

/* Whether it removes a session. The log is then out of reach at once, but its entries are removed by
 * changes_sweep: of a long log that takes seconds, which nobody else should wait for. */
bool changes_leave_a_log(const struct tx *tx);

/* Removes some entries of removed sessions. 1: there may be more, 0: there are none, -1 with *e. */
int changes_sweep(struct database *d, struct err *e);
