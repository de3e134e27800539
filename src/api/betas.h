/* betas.h - the anthropic-beta header (contract 1.3). */
#pragma once

#include "net/request.h"

/* 0: fine; else the status to refuse with, and *why. `strict`: a path that has a beta needs it. */
int betas_check(const struct request *r, bool strict, struct str *why);
