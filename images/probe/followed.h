/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file that grows, for somebody who looks at it now and then: a stream of pvprobe, of which the last whole sample is
 * told and whatever stands between samples, or a text, of which every new line is.
 */
#ifndef FOLLOWED_H
#define FOLLOWED_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "text.h"

/* Longer lines are cut: a name of 40 characters, and numbers. Lines of consoles may be anything. */
#define FOLLOWED_LINE 1024
/* One sample of a host with hundreds of vCPUs. */
#define FOLLOWED_SAMPLE (128 * 1024)

struct followed {
	struct followed *next;
	char *name, *path;
	bool is_text;
	off_t trim; /* where it is as long as this, it is emptied; 0: never */
	int fd;
	off_t offset;
	size_t length;
	bool greeted, in_sample, in_snapshot, has_whole;
	struct text coming, whole;
	char line[FOLLOWED_LINE];
};

/* Takes `name` and `path` over, which were allocated. NULL where there is no memory. */
struct followed *followed_start(char *name, char *path, bool is_text, off_t trim);

/* Prints what is new. */
void followed_look(struct followed *followed);

void followed_stop(struct followed *followed);

#endif
