/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What pvknob prints: lines of a first word and KEY=VALUE words (KNOBS.md). In a value everything that is no
 * printable ASCII character, and spaces and backslashes, is written as \xHH; it has to be read the same way.
 */
#ifndef KNOBOUT_H
#define KNOBOUT_H

#include <stdint.h>

#include "blob.h"

void out_begin(const char *kind);
void out_number(const char *key, uint64_t number);
void out_text(const char *key, const char *text);
void out_blob(const char *key, const struct blob *blob);
void out_end(void);

/* Takes \xHH back; false where a backslash is followed by anything else. */
bool unescape(const char *text, struct blob *value);

#endif
