/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The duty of a load that runs, in its counter file. A task that rests sleeps on it, so that it wakes up neither
 * before its time nor later than when it is told another duty: on the host, a hog that woke up only to look would
 * preempt a vCPU each time.
 */
#ifndef LOADDUTY_H
#define LOADDUTY_H

#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "load_layout.h"
#include "monotonic.h"

/* Rests for so long, or until the duty is not `duty_ppm` any more. */
static inline void load_rest(struct load_header *header, uint32_t duty_ppm, uint64_t rest_ns)
{
	struct timespec span = { (time_t)(rest_ns / NS_PER_S), (long)(rest_ns % NS_PER_S) };

	syscall(SYS_futex, &header->duty_ppm, FUTEX_WAIT, duty_ppm, &span, NULL, 0);
}

/* Tells all tasks, which are of another process: `header` is a shared mapping of the file. */
static inline void load_tell_duty(struct load_header *header, uint32_t duty_ppm)
{
	atomic_store(&header->duty_ppm, duty_ppm);
	syscall(SYS_futex, &header->duty_ppm, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

#endif
