/* SPDX-License-Identifier: GPL-2.0-only */
/* The answer to `state`: what was seen last, for whoever governs guests while they run. */
#ifndef ANSWER_H
#define ANSWER_H

#include "watched.h"

/*
 * Prints the lines that STREAM.md has under "state". Reads nothing anew. An answer that its reader does not make room
 * for is given up, since sampling must not wait for a reader: the asker's deadline passes then.
 */
void answer_state(const struct watched *guests);

#endif
