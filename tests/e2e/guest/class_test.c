// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who is not a fair task, and the CPUs to avoid: real-time tasks and per-CPU
 * kernel threads.
 *
 * The test itself runs at the highest priority used here, or it would wait for
 * the tasks that it is about to judge. That drives real-time tasks away from
 * where it looks, to CPUs to avoid if need be, so it looks from such a CPU.
 */
#include "harness.h"

#include <dirent.h>

#define OWN_PRIORITY 90
#define WORK_TIMEOUT_S 30
/* How many times a real-time task may be seen on a CPU to avoid. */
#define ONE_IN 50

static void start_fifo(int n, int priority, int first, int last)
{
	while (n--)
		set_fifo(start(spin, first, last), priority);
}

/* A real-time task that is pinned keeps its CPU, the fair ones behind it leave. */
static enum outcome test_pinned(void)
{
	int cpu = nr_cpus - 1;

	start_fifo(1, 1, cpu, cpu);
	start_spinners(2 * nr_cpus);
	avoid_upper_half();
	if (!settles_within(first_avoided(), cpu, 1, SETTLE_MS))
		return fail("%d tasks on avoided CPUs", tasks_within(first_avoided(), cpu));
	if (cpu_of(tasks[0]) != cpu)
		return fail("on CPU %d instead of %d", cpu_of(tasks[0]), cpu);
	if (!has_affinity(tasks[0], cpu, cpu))
		return fail("affinity changed");
	return pass("alone on CPU %d", cpu);
}

/*
 * Priority comes first: what runs on the other CPUs for a moment, at a higher
 * priority, may drive a task back for as long.
 */
static enum outcome off_but_for_moments(int first, int last)
{
	long begin = now_ms();
	long settled;
	int seen, all;

	if (!settles_within(first, last, 0, SETTLE_MS))
		return fail("%d of %d tasks still on CPUs %d-%d after %d ms",
			    tasks_within(first, last), nr_tasks, first, last, SETTLE_MS);
	settled = now_ms() - begin;
	seen = seen_within(first, last, WATCH_MS);
	all = nr_tasks * WATCH_MS / SAMPLE_MS;
	if (seen > all / ONE_IN)
		return fail("seen %d times on CPUs %d-%d in %d ms", seen, first, last, WATCH_MS);
	return pass("%d tasks off after %ld ms, seen %d times of about %d", nr_tasks, settled,
		    seen, all);
}

/* One that runs on a CPU to avoid leaves it, and fair tasks do not hold it up. */
static enum outcome test_running(void)
{
	int cpu = nr_cpus - 1;
	enum outcome outcome;

	start_spinners(nr_cpus);
	start_fifo(1, 1, cpu, cpu);
	if (cpu_of(tasks[nr_cpus]) != cpu)
		return fail("on CPU %d at first", cpu_of(tasks[nr_cpus]));
	pin(tasks[nr_cpus], 0, cpu);
	avoid_upper_half();
	outcome = off_but_for_moments(first_avoided(), cpu);
	if (outcome == PASS && !has_affinity(tasks[nr_cpus], 0, cpu))
		return fail("affinity changed");
	return outcome;
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

/* As many that wake up all the time as there are CPUs left; but for moments, see above. */
static enum outcome test_wake_up(void)
{
	for (int i = 0; i < first_avoided(); i++)
		set_fifo(start(nap, 0, nr_cpus - 1), 1 + i);
	return judge_places(ONE_IN);
}

/*
 * One for each CPU, all of the same priority: they do not wait for CPUs that
 * are not to be avoided, and go there as soon as one is free.
 */
static enum outcome test_fall_back(void)
{
	int first = first_avoided();
	pid_t doomed[MAX_CPUS];
	int killed = 0;
	int kept = 0;

	start_fifo(nr_cpus, 1, 0, nr_cpus - 1);
	if (!spreads_over(nr_cpus, 5 * SETTLE_MS))
		return fail("%d CPUs in use without a mask", cpus_in_use());
	avoid_upper_half();
	sleep_ms(2 * SETTLE_MS);
	if (cpus_in_use() != nr_cpus)
		return fail("%d CPUs in use with a mask", cpus_in_use());
	/* All of them first: the others come as soon as one is gone. */
	for (int i = 0; i < nr_cpus; i++) {
		if (cpu_of(tasks[i]) < first)
			doomed[killed++] = tasks[i];
		else
			tasks[kept++] = tasks[i];
	}
	nr_tasks = kept;
	for (int i = 0; i < killed; i++) {
		kill(doomed[i], SIGKILL);
		waitpid(doomed[i], NULL, 0);
	}
	if (killed != first)
		return fail("%d on CPUs not to be avoided", killed);
	return off_but_for_moments(first, nr_cpus - 1);
}

/* Those that have no other place are balanced among the CPUs to avoid. */
static enum outcome test_no_choice(void)
{
	int first = nr_cpus - 2;

	avoid(first, nr_cpus - 1);
	start_fifo(2, 1, first, nr_cpus - 1);
	if (!spreads_over(2, 5 * SETTLE_MS))
		return fail("both on CPU %d", cpu_of(tasks[0]));
	if (tasks_within(first, nr_cpus - 1) != 2)
		return fail("one left its affinity");
	return pass("one on each of CPUs %d-%d", first, nr_cpus - 1);
}

/* ---- per-CPU kernel threads ---- */

/* The threads that each CPU has for good, and that have run on it once. */
static const char *const bound[] = { "cpuhp", "migration", "ksoftirqd" };
#define NR_BOUND (sizeof(bound) / sizeof(*bound))

/* 0 if there is none. */
static pid_t thread_of(const char *name, int cpu)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	char comm[32];
	pid_t found = 0;

	if (!dir)
		die("/proc");
	snprintf(comm, sizeof(comm), "%s/%d", name, cpu);
	while (!found && (entry = readdir(dir))) {
		char path[300];

		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		if (atoi(entry->d_name) && !strcmp(get(path), comm))
			found = atoi(entry->d_name);
	}
	closedir(dir);
	return found;
}

static enum outcome judge_bound(int cpu)
{
	for (unsigned int i = 0; i < NR_BOUND; i++) {
		pid_t pid = thread_of(bound[i], cpu);

		if (!pid)
			return fail("there is no %s/%d", bound[i], cpu);
		if (cpu_of(pid) != cpu || !has_affinity(pid, cpu, cpu))
			return fail("%s/%d is on CPU %d", bound[i], cpu, cpu_of(pid));
	}
	return PASS;
}

/* Refreshing the statistics of memory runs a piece of work on each CPU, and waits. */
static bool every_cpu_works(long *ms)
{
	long begin = now_ms();
	int status = 0;
	pid_t pid = fork();

	if (!pid)
		_exit(put("/proc/sys/vm/stat_refresh", "1"));
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ms() - begin > WORK_TIMEOUT_S * 1000L)
			return false;
		sleep_ms(1);
	}
	*ms = now_ms() - begin;
	return status == 0;
}

static enum outcome test_kernel_threads(void)
{
	int cpu = nr_cpus - 1;
	long long pushing;
	long ms = 0;

	start_spinners(2 * nr_cpus);
	sleep_ms(SETTLE_MS);
	pushing = run_ns(thread_of("migration", cpu));
	avoid_upper_half();
	sleep_ms(SETTLE_MS);
	for (int i = 0; i < 20; i++)
		if (!every_cpu_works(&ms))
			return fail("work was not done on each CPU within %d s", WORK_TIMEOUT_S);
	if (judge_bound(cpu) != PASS)
		return FAIL;
	/* What moved the tasks away from there is such a thread itself. */
	if (run_ns(thread_of("migration", cpu)) <= pushing)
		return fail("migration/%d has not run", cpu);
	return pass("all of CPU %d there; work on each CPU done 20 times, at last in %ld ms",
		    cpu, ms);
}

int main(void)
{
	prepare(4);
	/* Children are fair unless a case says otherwise. */
	if (sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK,
			       &(struct sched_param){ .sched_priority = OWN_PRIORITY }))
		die("sched_setscheduler");
	pin(0, nr_cpus - 1, nr_cpus - 1);
	run_case("pinned real-time task stays", test_pinned);
	run_case("running real-time task leaves", test_running);
	run_case("real-time tasks wake up elsewhere", test_wake_up);
	run_case("real-time tasks fall back to avoided CPUs", test_fall_back);
	run_case("real-time tasks without a choice", test_no_choice);
	run_case("per-CPU kernel threads work", test_kernel_threads);
	finish();
}
