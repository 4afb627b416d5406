/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A bounded queue of whole samples between the thread that samples and the thread that writes.
 *
 * When it is full the *oldest* samples go: a reader that attaches after an hour should see the last minutes,
 * not the first. What went is counted, and a `d TOTAL` line stands in the bytes exactly where samples are
 * missing. The lock is held for a memory copy only; both threads run at real-time priority where that is
 * permitted, so that no busy task of the guest can delay whoever holds it.
 */
#ifndef RING_H
#define RING_H

#include <stddef.h>

struct ring;

/* A ring for `size` bytes of samples; NULL if there is no memory. */
struct ring *ring_create(size_t size);

/* Adds a sample, dropping the oldest ones until it fits; one larger than the ring is itself dropped. */
void ring_push(struct ring *ring, const char *sample, size_t length);

/* Counts a sample that could not even be pushed. */
void ring_count_drop(struct ring *ring);

/* Moves as many whole samples as fit into `bytes` (with a `d` line where some are missing). Returns bytes. */
size_t ring_take(struct ring *ring, char *bytes, size_t size);

#endif
