/* SPDX-License-Identifier: GPL-2.0-only */
/* What decides how much a host's threads get, besides their number: control groups, clock rates, SMT. */
#ifndef SURROUNDINGS_H
#define SURROUNDINGS_H

#include <sys/types.h>

#include "events.h"

/* The control groups told so far in one snapshot; all zeros at its beginning. */
struct groups_told {
	size_t count, size;
	char **paths;
};

/*
 * Appends the `c` line of a task whose directory `task` is in /proc, and `f` lines for the weight and the limit of its
 * group and all that hold it, except those told already. Nothing where there is no cgroup v2.
 */
void surroundings_group(int task, pid_t tid, struct groups_told *told, struct text *text);

void surroundings_forget(struct groups_told *told);

/* Appends `f` lines of SMT, turbo and each CPU's governor, those that are visible here. */
void surroundings_clocks(struct output *output);

#endif
