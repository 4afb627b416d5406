/* SPDX-License-Identifier: GPL-2.0-only */
/* The process that watches over one run of a load, from before its beginning to after its end. */
#ifndef SUPERVISE_H
#define SUPERVISE_H

#include <stddef.h>

#include "loadfiles.h"

/*
 * Leaves a supervisor behind whose child waits for `trigger` to become `command`, and returns 0 when both wait.
 * At most `limit` bytes of its output are kept.
 */
int supervise(const struct load_files *files, char **command, size_t limit);

#endif
