/* SPDX-License-Identifier: GPL-2.0-only */
/* What a command writes, kept in a file of bounded size: its beginning, and its end, where results stand. */
#ifndef OUTPUT_H
#define OUTPUT_H

#include <stddef.h>
#include <stdint.h>

struct output {
	int in, file;
	size_t head, tail; /* how much of the beginning and of the end is kept */
	char *ring;	   /* the last `tail` bytes after the beginning */
	uint64_t written;
};

/* Makes the file. The caller sets `in`, from which it does not block to read. */
void output_open(struct output *output, const char *path, size_t limit);

/* Takes what there is to be read; after the end of it, `in` is -1. */
void output_take(struct output *output);

/* Takes the rest, and completes the file. */
void output_close(struct output *output);

/* How many bytes are not in the file. */
uint64_t output_lost(const struct output *output);

#endif
