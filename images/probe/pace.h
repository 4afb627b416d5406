/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Working for a part of the time: a task of 10 % duty *demands* 10 % of its CPU.
 *
 * What counts is the task's own CPU time, not the time that it was willing to run: credit comes with the clock, duty
 * times what passes, and is spent by running. With credit the task works, without it sleeps until there is enough for
 * its part of one period. So a task that had to wait for its CPU makes up for it, and gets its duty wherever that is
 * less than its fair share; where it is more, it always wants to run. Credit for more than PACE_BACKLOG periods is lost,
 * so that a task does not make up for minutes of starvation.
 */
#ifndef PACE_H
#define PACE_H

#include <stdbool.h>
#include <stdint.h>

#define PPM 1000000u
#define PACE_BACKLOG 10

struct pace {
	uint64_t clock_ns, run_ns;
	double credit_ns, duty;
	bool resting;
};

/* How long to sleep, in ns, when the clock shows `clock_ns` and the task has run for `run_ns`; 0: work. */
uint64_t pace_rest(struct pace *pace, uint64_t clock_ns, uint64_t run_ns, uint32_t duty_ppm, uint64_t period_ns);

#endif
