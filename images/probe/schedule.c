// SPDX-License-Identifier: GPL-2.0-only
#include "schedule.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "monotonic.h"

const char *schedule_be_punctual(void)
{
	struct sched_param priority = { .sched_priority = 1 };

	/* Not fatal when refused: a page fault on the sampling path is rare and only makes one sample later. */
	mlockall(MCL_CURRENT | MCL_FUTURE);
	if (sched_setscheduler(0, SCHED_FIFO, &priority) == 0)
		return "fifo";
	setpriority(PRIO_PROCESS, 0, -20);
	return "other";
}

uint64_t schedule_sleep_until_next(uint64_t due_ns, uint64_t interval_ns)
{
	uint64_t now_ns = monotonic_ns();
	struct timespec due;

	due_ns += interval_ns;
	if (due_ns < now_ns)
		due_ns += (now_ns - due_ns + interval_ns - 1) / interval_ns * interval_ns;
	due.tv_sec = (time_t)(due_ns / NS_PER_S);
	due.tv_nsec = (long)(due_ns % NS_PER_S);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &due, NULL) == EINTR)
		;
	return due_ns;
}
