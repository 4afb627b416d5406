/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The counter file of a load: pvspin writes it, pvprobe reads it, both through a shared mapping, so that
 * neither ever waits for the other. DIR/NAME holds one header and then one record per task, each on cache
 * lines of its own so that tasks do not slow each other down. The file appears complete, by rename.
 */
#ifndef LOAD_LAYOUT_H
#define LOAD_LAYOUT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpulist.h"

#define LOAD_DIR "/run/lab/load"
#define LOAD_MAGIC "PVSPIN\0"
#define LOAD_VERSION 1u
#define LOAD_MAX_TASKS 1024u
#define LOAD_MAX_NAME 31

struct load_header {
	char magic[8];
	uint32_t version;
	uint32_t tasks;
	_Atomic uint32_t duty_ppm;
	uint32_t unused;
	uint64_t period_ns;
	char padding[32];
};

/*
 * `duty_ppm` may be changed by anybody while the tasks run (pace.h, loadduty.h). `run_ns` is the task's own CPU time when it last
 * looked at it.
 *
 * `affinity_turn` is odd while the task writes `affinity`, and grows by two for each writing: a reader that
 * sees the same even number before and after has a whole mask.
 */
struct load_task {
	_Atomic uint64_t work;
	_Atomic int32_t tid;
	_Atomic uint32_t vcpu;
	_Atomic uint32_t affinity_turn;
	uint32_t unused;
	_Atomic uint64_t affinity[MASK_WORDS];
	_Atomic uint64_t run_ns;
	char padding[32];
};

_Static_assert(sizeof(struct load_header) == 64, "the header is one cache line");
_Static_assert(sizeof(struct load_task) == 192, "a task is three cache lines");

struct load_file {
	struct load_header header;
	struct load_task task[];
};

static inline bool load_name_valid(const char *name)
{
	size_t length = strlen(name);

	return length > 0 && length <= LOAD_MAX_NAME && name[0] >= 'a' && name[0] <= 'z' &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

#endif
