// SPDX-License-Identifier: GPL-2.0-only
#include "pace.h"

/* Of a task that wants nothing. Whoever gives it another duty wakes it up (loadduty.h). */
#define LONGEST_REST_NS 10e9
/* Going to sleep and waking up costs some of what the task rested for. It does not rest again for that. */
#define NEARLY 0.95

static double least(double one, double other)
{
	return one < other ? one : other;
}

/* What passed until now passed with the duty of the last call. */
static void take_account(struct pace *pace, uint64_t clock_ns, uint64_t run_ns, double duty, double most_ns)
{
	if (pace->clock_ns) /* else there is nothing to compare with yet */
		pace->credit_ns += pace->duty * (double)(clock_ns - pace->clock_ns) - (double)(run_ns - pace->run_ns);
	pace->credit_ns = least(pace->credit_ns, most_ns);
	pace->duty = duty;
	pace->clock_ns = clock_ns;
	pace->run_ns = run_ns;
}

uint64_t pace_rest(struct pace *pace, uint64_t clock_ns, uint64_t run_ns, uint32_t duty_ppm, uint64_t period_ns)
{
	double duty = (double)duty_ppm / PPM;
	/* While it works, credit comes in, too: this much lasts for duty times a period. */
	double enough_ns = duty * (1 - duty) * (double)period_ns;

	take_account(pace, clock_ns, run_ns, duty, PACE_BACKLOG * duty * (double)period_ns);
	if (duty_ppm >= PPM)
		pace->resting = false;
	else if (pace->resting)
		pace->resting = duty_ppm == 0 || pace->credit_ns < NEARLY * enough_ns;
	else
		pace->resting = pace->credit_ns <= 0;
	if (!pace->resting)
		return 0;
	return (uint64_t)least(LONGEST_REST_NS, duty_ppm ? (enough_ns - pace->credit_ns) / duty + 1 : LONGEST_REST_NS);
}
