/* SPDX-License-Identifier: GPL-2.0-only */
/* What the instance records of each CPU, page by page into one file each. */
#ifndef TRACESTREAM_H
#define TRACESTREAM_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "cpulist.h"

struct stream;

/*
 * Opens DIR/cpuN.raw and the instance's buffer of each CPU of `cpus`. Pages have `page_size` bytes; of more than
 * `limit` bytes in all, nothing is written any more. Both are closed at exit.
 */
struct stream *stream_open(const char *directory, const uint64_t cpus[MASK_WORDS], size_t page_size, uint64_t limit);

/* How many buffers there are, and what makes poll() wait for them; `descriptors` has room for that many. */
size_t stream_count(const struct stream *stream);
void stream_watch(const struct stream *stream, struct pollfd *descriptors);

/* Takes all pages that are full. Whether there were any. */
bool stream_drain(struct stream *stream);

/* After the end of recording: takes what is left, the pages that are not full too, and closes all. */
void stream_finish(struct stream *stream);

/* Whether a file could not be written. */
bool stream_failed(const struct stream *stream);

/* Writes the lines "cpu N ...". Returns the bytes that were read and not written, of whatever reason. */
uint64_t stream_tell(const struct stream *stream, FILE *about);

#endif
