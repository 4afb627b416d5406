/* SPDX-License-Identifier: GPL-2.0-only */
/* Being on time next to busy CPUs. */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdint.h>

/*
 * Locks memory and asks for SCHED_FIFO at the lowest priorities: a busy fair task then delays no sample, and
 * the probe's few microseconds disturb it less than a migration would. Where real time is not permitted, the
 * best nice value is taken. Returns "fifo" or "other", for the stream's first line.
 */
const char *schedule_be_punctual(void);

/* Sleeps until the next multiple of `interval_ns` after `due_ns` that lies ahead, and returns it. Samples
 * that were missed are left out, never made up for in a burst. */
uint64_t schedule_sleep_until_next(uint64_t due_ns, uint64_t interval_ns);

#endif
