// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPUs that were set aside at boot and the CPUs to avoid: nohz_full CPUs, and
 * CPUs without load balancing.
 *
 * Needs four CPUs and the command line "nohz_full=3 isolcpus=domain,2".
 */
#include "harness.h"

#define ISOLATED 2
#define TICKLESS 3
#define OWN_PRIORITY 90
#define COUNT_MS 2000
/* Fewer ticks in a second than this are none: the kernel asks for some itself. */
#define QUIET_PER_S 20
#define CALM_DOWN_MS 15000

/* Interrupts of a CPU's local timer so far. */
static long timer_interrupts(int cpu)
{
	char *p = strstr(get_all("/proc/interrupts"), "LOC:");

	if (!p) {
		errno = ENOENT;
		die("LOC in /proc/interrupts");
	}
	p += strlen("LOC:");
	for (int i = 0; i < cpu; i++)
		strtol(p, &p, 10);
	return strtol(p, NULL, 10);
}

static long ticks_per_s(int cpu, long ms)
{
	long begin = now_ms();
	long before = timer_interrupts(cpu);

	sleep_ms(ms);
	return (timer_interrupts(cpu) - before) * 1000 / (now_ms() - begin);
}

/* The last rate that was seen: quiet, or what it still was after some time. */
static long rate_when_calm(void)
{
	long end = now_ms() + CALM_DOWN_MS;
	long rate;

	do {
		rate = ticks_per_s(TICKLESS, COUNT_MS);
	} while (rate >= QUIET_PER_S && now_ms() < end);
	return rate;
}

static pid_t start_tickless(void)
{
	pid_t pid = start(spin, TICKLESS, TICKLESS);

	if (!settles_within(TICKLESS, TICKLESS, 1, SETTLE_MS))
		die("place a task");
	return pid;
}

static enum outcome test_set_up(void)
{
	if (strcmp(get(CPUS "/nohz_full"), "3"))
		return fail("nohz_full is '%s'", get(CPUS "/nohz_full"));
	if (strcmp(get(CPUS "/isolated"), "2"))
		return fail("isolated is '%s'", get(CPUS "/isolated"));
	return PASS;
}

/* What all the other cases rely on, so that they do not pass for nothing. */
static enum outcome test_tick_stops(void)
{
	long rate;

	start_tickless();
	rate = rate_when_calm();
	if (rate >= QUIET_PER_S)
		return fail("%ld ticks/s with one task", rate);
	return pass("%ld ticks/s", rate);
}

/* A pinned task is nothing to give up, so there is no tick for its sake. */
static enum outcome test_pinned(void)
{
	pid_t pid = start_tickless();
	long before = rate_when_calm();
	long long ran = run_ns(pid);
	long rate;

	avoid(TICKLESS, TICKLESS);
	rate = rate_when_calm();
	if (before >= QUIET_PER_S || rate >= QUIET_PER_S)
		return fail("%ld ticks/s, with the mask %ld", before, rate);
	if (cpu_of(pid) != TICKLESS || run_ns(pid) <= ran)
		return fail("the task is on CPU %d and ran %lld ns", cpu_of(pid), run_ns(pid) - ran);
	return pass("%ld ticks/s, with the mask %ld", before, rate);
}

/*
 * A task that may go anywhere, and runs without a tick; -1 for none. The other
 * CPUs are kept busy: the load balancer would move it to an idle one as soon as
 * its own CPU loses time to somebody outside.
 */
static long start_tickless_and_free(pid_t *pid)
{
	long rate;

	for (int cpu = 0; cpu < ISOLATED; cpu++)
		start(spin, cpu, cpu);
	*pid = start_tickless();
	for (int i = 0; i < 10; i++) {
		pin(*pid, TICKLESS, TICKLESS);
		rate_when_calm();
		pin(*pid, 0, TICKLESS);
		rate = ticks_per_s(TICKLESS, 500);
		if (cpu_of(*pid) == TICKLESS && rate < QUIET_PER_S)
			return rate;
	}
	return -1;
}

/* It gets a tick, which moves it. */
static enum outcome test_leaves(void)
{
	pid_t pid;
	long rate = start_tickless_and_free(&pid);
	long begin;

	if (rate < 0)
		return fail("on CPU %d without a mask", cpu_of(pid));
	begin = now_ms();
	avoid(TICKLESS, TICKLESS);
	if (!settles_within(TICKLESS, TICKLESS, 0, SETTLE_MS))
		return fail("still there after %d ms", SETTLE_MS);
	return pass("%ld ticks/s before, left after %ld ms", rate, now_ms() - begin);
}

/* A task that gets a choice while it runs without a tick. */
static enum outcome test_widened(void)
{
	pid_t pid = start_tickless();
	long rate;

	avoid(TICKLESS, TICKLESS);
	rate = rate_when_calm();
	if (rate >= QUIET_PER_S)
		return fail("%ld ticks/s while pinned", rate);
	pin(pid, 0, TICKLESS);
	if (!settles_within(TICKLESS, TICKLESS, 0, SETTLE_MS))
		return fail("still there after %d ms", SETTLE_MS);
	return pass("%ld ticks/s while pinned, then left", rate);
}

/*
 * A real-time task that may leave and cannot, because all other CPUs run
 * something more important, has the tick until the mask is cleared. The others
 * leave some time over, or the whole guest would stand still.
 */
static enum outcome test_given_back(void)
{
	pid_t pid = start_tickless();
	long before, during, after;

	set_fifo(pid, 1);
	for (int cpu = 0; cpu < TICKLESS; cpu++)
		set_fifo(start(spin, cpu, cpu), 2);
	sleep_ms(SETTLE_MS);
	pin(pid, 0, TICKLESS);
	before = rate_when_calm();
	avoid(TICKLESS, TICKLESS);
	during = ticks_per_s(TICKLESS, COUNT_MS);
	if (cpu_of(pid) != TICKLESS)
		return fail("on CPU %d", cpu_of(pid));
	avoid_none();
	after = rate_when_calm();
	if (before >= QUIET_PER_S || during < 2 * QUIET_PER_S || after >= QUIET_PER_S)
		return fail("%ld ticks/s, with the mask %ld, then %ld", before, during, after);
	return pass("%ld ticks/s, with the mask %ld, then %ld", before, during, after);
}

/* ---- a CPU without load balancing ---- */

/* Nobody is sent to it because of the mask, although the affinity holds it. */
static enum outcome test_isolated_takes_nothing(void)
{
	pid_t pid = start(spin, 1, 1);
	int seen;

	if (!settles_within(1, 1, 1, SETTLE_MS))
		return fail("on CPU %d at first", cpu_of(pid));
	pin(pid, 0, TICKLESS);
	for (int i = 0; i < 5; i++) {
		avoid(1, 1);
		seen = seen_within(ISOLATED, ISOLATED, 300);
		avoid(0, 0);
		seen += seen_within(ISOLATED, ISOLATED, 300);
		avoid_list("0-1\n");
		seen += seen_within(ISOLATED, ISOLATED, 300);
		if (seen)
			return fail("seen there %d times", seen);
	}
	if (cpu_of(pid) != TICKLESS)
		return fail("on CPU %d with CPUs 0-1 avoided", cpu_of(pid));
	avoid_list("0-1,3\n");
	seen = seen_within(ISOLATED, ISOLATED, SETTLE_MS);
	if (seen)
		return fail("seen there %d times with all other CPUs avoided", seen);
	return pass("never seen there");
}

/* Whoever was put there stays, as it would without a mask. */
static enum outcome test_isolated_keeps(void)
{
	pid_t pid = start(spin, ISOLATED, ISOLATED);
	int seen;

	if (!settles_within(ISOLATED, ISOLATED, 1, SETTLE_MS))
		return fail("on CPU %d at first", cpu_of(pid));
	pin(pid, 0, TICKLESS);
	avoid(ISOLATED, ISOLATED);
	seen = seen_within(0, 1, 2 * SETTLE_MS) + seen_within(TICKLESS, TICKLESS, SETTLE_MS);
	if (seen)
		return fail("seen %d times elsewhere", seen);
	return pass("stayed on CPU %d", cpu_of(pid));
}

int main(void)
{
	prepare(4);
	/* Above the tasks that take all CPUs; children are fair unless a case says otherwise. */
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK,
			       &(struct sched_param){ .sched_priority = OWN_PRIORITY }))
		die("sched_setscheduler");
	pin(0, 0, 0);
	run_case("set-up", test_set_up);
	run_case("tick stops", test_tick_stops);
	run_case("no tick for a pinned task", test_pinned);
	run_case("tickless task leaves", test_leaves);
	run_case("tickless task with a new choice leaves", test_widened);
	run_case("tick is given back", test_given_back);
	run_case("isolated CPU takes nothing over", test_isolated_takes_nothing);
	run_case("isolated CPU keeps its own", test_isolated_keeps);
	finish();
}
