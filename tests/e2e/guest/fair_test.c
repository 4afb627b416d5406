// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fair tasks and the CPUs to avoid: placement, balancing, pushing.
 */
#include "harness.h"

static enum outcome test_busy(void)
{
	enum outcome outcome;

	start_spinners(nr_cpus);
	if (!spreads_over(nr_cpus, 10 * SETTLE_MS))
		return fail("busy tasks use %d CPUs of %d without a mask", cpus_in_use(), nr_cpus);
	avoid_upper_half();
	outcome = off_and_staying_off(first_avoided(), nr_cpus - 1);
	if (outcome != PASS)
		return outcome;
	if (cpus_in_use() != first_avoided())
		return fail("%d CPUs in use instead of %d", cpus_in_use(), first_avoided());
	for (int i = 0; i < nr_tasks; i++)
		if (!has_affinity(tasks[i], 0, nr_cpus - 1))
			return fail("the affinity of a task was changed");
	avoid_none();
	if (!spreads_over(nr_cpus, 10 * SETTLE_MS))
		return fail("back on %d CPUs only after clearing", cpus_in_use());
	return PASS;
}

static enum outcome test_lower_cpus(void)
{
	start_spinners(nr_cpus);
	avoid(0, nr_cpus - 2);
	return off_and_staying_off(0, nr_cpus - 2);
}

static enum outcome test_many(void)
{
	start_spinners(8 * nr_cpus);
	sleep_ms(SETTLE_MS);
	avoid_upper_half();
	return off_and_staying_off(first_avoided(), nr_cpus - 1);
}

static enum outcome test_pinned(void)
{
	int cpu = nr_cpus - 1;
	pid_t pid = start(spin, cpu, cpu);
	long long before;

	start_spinners(nr_cpus);
	sleep_ms(SETTLE_MS);
	avoid_upper_half();
	sleep_ms(SETTLE_MS);
	before = run_ns(pid);
	sleep_ms(SETTLE_MS);
	if (cpu_of(pid) != cpu)
		return fail("the pinned task is on CPU %d instead of %d", cpu_of(pid), cpu);
	if (tasks_within(first_avoided(), cpu) != 1)
		return fail("%d tasks with the pinned one on avoided CPUs",
			    tasks_within(first_avoided(), cpu) - 1);
	if (run_ns(pid) <= before)
		return fail("the pinned task does not run");
	if (!has_affinity(pid, cpu, cpu))
		return fail("the affinity of the pinned task was changed");
	return pass("ran %lld ms of %d", (run_ns(pid) - before) / 1000000, SETTLE_MS);
}

/* Tasks that may run on avoided CPUs only still use all of these. */
static enum outcome test_pinned_spread(void)
{
	int first = nr_cpus - 2;

	avoid(first, nr_cpus - 1);
	start(spin, first, nr_cpus - 1);
	start(spin, first, nr_cpus - 1);
	if (!spreads_over(2, 5 * SETTLE_MS))
		return fail("both on CPU %d", cpu_of(tasks[0]));
	if (tasks_within(first, nr_cpus - 1) != 2)
		return fail("one left its affinity");
	return PASS;
}

static enum outcome test_set_affinity(void)
{
	int cpu = nr_cpus - 1;
	pid_t pid = start(spin, 0, nr_cpus - 1);

	avoid_upper_half();
	if (!settles_within(first_avoided(), cpu, 0, SETTLE_MS))
		return fail("on CPU %d", cpu_of(pid));
	pin(pid, cpu, cpu);
	if (!settles_within(cpu, cpu, 1, SETTLE_MS))
		return fail("on CPU %d in spite of its affinity", cpu_of(pid));
	pin(pid, 0, cpu);
	return off_and_staying_off(first_avoided(), cpu);
}

static void fork_and_exec(void)
{
	char flag[16];

	snprintf(flag, sizeof(flag), "%d", first_avoided());
	for (;;) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			note_place();
			execl("/proc/self/exe", "fair_test", "--place", flag, NULL);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
			__atomic_add_fetch(&shared->misplaced, 1, __ATOMIC_RELAXED);
		note_place();
	}
}

static enum outcome test_fork_exec(void)
{
	for (int i = 0; i < nr_cpus; i++)
		start(fork_and_exec, 0, nr_cpus - 1);
	return judge_places(0);
}

static int pipe_in[2], pipe_out[2];

static void ping(void)
{
	char byte = 0;

	while (write(pipe_in[1], &byte, 1) == 1 && read(pipe_out[0], &byte, 1) == 1)
		note_place();
}

static void pong(void)
{
	char byte;

	while (read(pipe_in[0], &byte, 1) == 1 && write(pipe_out[1], &byte, 1) == 1)
		note_place();
}

/* Several readers and writers a pipe, so that wake-ups hit tasks anywhere. */
static enum outcome test_pipes(void)
{
	for (int group = 0; group < 4; group++) {
		if (pipe(pipe_in) || pipe(pipe_out))
			die("pipe");
		for (int i = 0; i < 4; i++) {
			start(ping, 0, nr_cpus - 1);
			start(pong, 0, nr_cpus - 1);
		}
		for (int i = 0; i < 2; i++) {
			close(pipe_in[i]);
			close(pipe_out[i]);
		}
	}
	return judge_places(0);
}

static void nap(void)
{
	for (;;) {
		long end = now_ms() + 3;

		while (now_ms() < end)
			;
		note_place();
		sleep_ms(7);
	}
}

static enum outcome test_sleepers(void)
{
	for (int i = 0; i < 2 * nr_cpus; i++)
		start(nap, 0, nr_cpus - 1);
	return judge_places(0);
}

/* The mask changes while everything moves about. */
static enum outcome test_flapping(void)
{
	long end = now_ms() + WATCH_MS;

	for (int i = 0; i < nr_cpus; i++)
		start(fork_and_exec, 0, nr_cpus - 1);
	start_spinners(nr_cpus);
	for (int i = 0; now_ms() < end; i++) {
		avoid(i % nr_cpus, i % nr_cpus);
		sleep_ms(i % 5);
		avoid_none();
	}
	return judge_places(0);
}

int main(int argc, char **argv)
{
	/* What fork_and_exec() executes: did exec() leave the avoided CPUs alone? */
	if (argc == 3 && !strcmp(argv[1], "--place"))
		return sched_getcpu() >= atoi(argv[2]);

	prepare(3);
	run_case("busy tasks leave, stay away and come back", test_busy);
	run_case("lower CPUs avoided", test_lower_cpus);
	run_case("many busy tasks", test_many);
	run_case("pinned task stays", test_pinned);
	run_case("pinned tasks spread", test_pinned_spread);
	run_case("affinity set and widened", test_set_affinity);
	run_case("fork and exec", test_fork_exec);
	run_case("pipes", test_pipes);
	run_case("sleepers", test_sleepers);
	run_case("mask flapping", test_flapping);
	finish();
}
