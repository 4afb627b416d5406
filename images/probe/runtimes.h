/* SPDX-License-Identifier: GPL-2.0-only */
/* What tasks had run when they were last looked at, by tid: only those that ran since are worth a line. */
#ifndef RUNTIMES_H
#define RUNTIMES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct runtime {
	pid_t tid; /* 0 in a free slot */
	uint64_t run_ns;
};

/* A hash table with linear probing; all zeros is an empty one. */
struct runtimes {
	size_t count, size;
	struct runtime *slots;
};

/* Whether `tid` is known with exactly this run time. */
bool runtimes_has(const struct runtimes *runtimes, pid_t tid, uint64_t run_ns);

/* Adds a tid that is not there yet. Without memory it is left out, which costs a line at the next look. */
void runtimes_add(struct runtimes *runtimes, pid_t tid, uint64_t run_ns);

void runtimes_free(struct runtimes *runtimes);

#endif
