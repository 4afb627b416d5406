// SPDX-License-Identifier: GPL-2.0-only
#include "runtimes.h"

#include <stdlib.h>

#define FIRST_SIZE 256u /* a power of two, as every size */

static struct runtime *find_slot(const struct runtimes *runtimes, pid_t tid)
{
	/* Tids of one machine are mostly consecutive: their low bits are hash enough. */
	for (size_t at = (size_t)tid;; at++) {
		struct runtime *slot = &runtimes->slots[at & (runtimes->size - 1)];

		if (slot->tid == tid || slot->tid == 0)
			return slot;
	}
}

bool runtimes_has(const struct runtimes *runtimes, pid_t tid, uint64_t run_ns)
{
	const struct runtime *slot;

	if (runtimes->size == 0)
		return false;
	slot = find_slot(runtimes, tid);
	return slot->tid == tid && slot->run_ns == run_ns;
}

static bool grow(struct runtimes *runtimes)
{
	struct runtimes larger = { .size = runtimes->size ? 2 * runtimes->size : FIRST_SIZE };

	larger.slots = calloc(larger.size, sizeof(*larger.slots));
	if (!larger.slots)
		return false;
	for (size_t i = 0; i < runtimes->size; i++)
		if (runtimes->slots[i].tid != 0)
			*find_slot(&larger, runtimes->slots[i].tid) = runtimes->slots[i];
	larger.count = runtimes->count;
	free(runtimes->slots);
	*runtimes = larger;
	return true;
}

void runtimes_add(struct runtimes *runtimes, pid_t tid, uint64_t run_ns)
{
	if (2 * runtimes->count >= runtimes->size && !grow(runtimes))
		return;
	*find_slot(runtimes, tid) = (struct runtime){ tid, run_ns };
	runtimes->count++;
}

void runtimes_free(struct runtimes *runtimes)
{
	free(runtimes->slots);
	*runtimes = (struct runtimes){ 0 };
}
