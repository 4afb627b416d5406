/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Snapshots of the host: everything that can have run on it, and how the lab's own threads are bound, weighed and
 * limited. Between two of them it can be told what else ran beside the guests, and whether somebody changed anything.
 */
#ifndef TASKS_H
#define TASKS_H

#include "events.h"
#include "watched.h"

struct tasks;

/* NULL without memory. */
struct tasks *tasks_create(void);

/* "NAME PIDFILE|PID": that process, or the one whose number stands in that file, is the lab's own from now on. */
void tasks_own(struct tasks *tasks, const char *arguments);

/* It is not any more. */
void tasks_disown(struct tasks *tasks, const char *name);

/* Writes a snapshot, `s` line to `z` line (STREAM.md). */
void tasks_snapshot(struct tasks *tasks, const char *name, const struct watched *guests, struct output *output);

#endif
