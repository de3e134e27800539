/* http1-int.h - what the two halves of the HTTP/1 reader share: http1.c follows the stream,
 * http1_head.c judges a complete head. */
#pragma once

#include "proto/http1.h"

/* Watches bytes that must consist of lines: every one ends in CR LF, none starts with a blank (a
 * folded field), no control character but tab. */
struct http1_lines {
    bool after_cr;
    bool in_line; /* the current line has a byte */
};

/* One more byte; false when it may not stand there. */
bool http1_lines_byte(struct http1_lines *s, char c);

/* Counts the field lines of a head that http1_lines_byte has passed, empty last line included. */
size_t http1_head_count(struct str bytes);

/* Reads such a head into h->head; `fields` has room for all of them and lives as long as the head. */
int http1_head_parse(struct http1 *h, struct str bytes, struct http1_field *fields, struct err *e);
