/* SPDX-License-Identifier: GPL-2.0-only */
/* What the host probe says: events as lines on stdout, samples as lines in a file. */
#ifndef EVENTS_H
#define EVENTS_H

#include "text.h"

/* One line on stdout. */
__attribute__((format(printf, 1, 2))) void event(const char *format, ...);

/* The sample file: bytes are gathered here and written when `output_flush` is called or it gets full. */
struct output {
	int fd;
	struct text text;
};

void output_flush(struct output *output);

/* Flushes if less than `room` bytes are free. */
void output_make_room(struct output *output, size_t room);

#endif
