// SPDX-License-Identifier: GPL-2.0-only
/*
 * What is counted of pushes off the CPUs to avoid, for tasks and for CPUs.
 */
#include "harness.h"

#define PUSHED "nr_paravirt_pushed"
#define MOVED "nr_paravirt_moved"

struct counts {
	long pushed;
	long moved;
};

static struct counts of_task(pid_t pid)
{
	return (struct counts){ sched_value(pid, PUSHED), sched_value(pid, MOVED) };
}

static struct counts of_cpu(int cpu)
{
	struct counts counts = { -1, -1 };
	char path[96];

	snprintf(path, sizeof(path), CPUS "/cpu%d/paravirt/nr_pushed", cpu);
	if (*get(path))
		counts.pushed = atol(get(path));
	snprintf(path, sizeof(path), CPUS "/cpu%d/paravirt/nr_moved", cpu);
	if (*get(path))
		counts.moved = atol(get(path));
	return counts;
}

static pid_t start_on(void (*run)(void), int cpu)
{
	pid_t pid = start(run, cpu, cpu);

	sleep_ms(200);
	return pid;
}

static enum outcome test_present(void)
{
	pid_t pid = start_on(spin, nr_cpus - 1);
	struct counts task = of_task(pid);

	if (task.pushed != 0 || task.moved != 0)
		return fail("a new task has %ld pushed, %ld moved", task.pushed, task.moved);
	for (int cpu = 0; cpu < nr_cpus; cpu++)
		if (of_cpu(cpu).pushed < 0 || of_cpu(cpu).moved < 0)
			return fail("CPU %d has no counters", cpu);
	return pass("on %d CPUs", nr_cpus);
}

static enum outcome test_pushed(void)
{
	int cpu = nr_cpus - 1;
	pid_t pid = start_on(spin, cpu);
	struct counts before = of_cpu(cpu);
	struct counts other = of_cpu(0);
	struct counts task, after;

	/* The mask first: without it the load balancer might move the task. */
	avoid(cpu, cpu);
	pin(pid, 0, cpu);
	if (!settles_within(cpu, cpu, 0, SETTLE_MS))
		return fail("still on CPU %d", cpu);
	task = of_task(pid);
	after = of_cpu(cpu);
	if (task.moved != 1 || task.pushed < task.moved)
		return fail("task: %ld pushed, %ld moved", task.pushed, task.moved);
	if (after.moved <= before.moved ||
	    after.pushed - before.pushed < after.moved - before.moved)
		return fail("CPU: %ld pushed, %ld moved", after.pushed - before.pushed,
			    after.moved - before.moved);
	if (of_cpu(0).pushed != other.pushed)
		return fail("CPU 0 counts as well, and is not avoided");
	return pass("task: %ld pushed, %ld moved; CPU: %ld, %ld", task.pushed, task.moved,
		    after.pushed - before.pushed, after.moved - before.moved);
}

/* Nothing is counted for a task that has to stay, however long it runs there. */
static enum outcome test_pinned(void)
{
	int cpu = nr_cpus - 1;
	pid_t pid = start_on(spin, cpu);
	long long ran = run_ns(pid);
	struct counts task;

	avoid(cpu, cpu);
	sleep_ms(2 * SETTLE_MS);
	task = of_task(pid);
	if (cpu_of(pid) != cpu || run_ns(pid) <= ran)
		return fail("on CPU %d, ran %lld ns", cpu_of(pid), run_ns(pid) - ran);
	if (task.pushed || task.moved)
		return fail("%ld pushed, %ld moved", task.pushed, task.moved);
	return pass("ran %lld ms, nothing counted", (run_ns(pid) - ran) / 1000000);
}

/* 'R', 'S' and so on, as in /proc/PID/stat. */
static char state_of(pid_t pid)
{
	char path[64];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	p = strrchr(get(path), ')');
	return p ? p[2] : '?';
}

static void doze(void)
{
	pause();
}

/* Nor for one that sleeps: it is woken up elsewhere, which is not a push. */
static enum outcome test_sleeping(void)
{
	int cpu = nr_cpus - 1;
	pid_t pid = start_on(doze, cpu);
	long end = now_ms() + 10 * SETTLE_MS;
	struct counts task;

	/* It may be that it has not come to sleep yet. */
	while ((state_of(pid) != 'S' || cpu_of(pid) != cpu) && now_ms() < end)
		sleep_ms(SAMPLE_MS);
	pin(pid, 0, cpu);
	if (cpu_of(pid) != cpu)
		return fail("on CPU %d before the mask", cpu_of(pid));
	avoid(cpu, cpu);
	sleep_ms(SETTLE_MS);
	task = of_task(pid);
	if (task.pushed || task.moved)
		return fail("%ld pushed, %ld moved", task.pushed, task.moved);
	return pass("nothing counted");
}

/* Counts of tasks and of CPUs describe the same pushes. */
static enum outcome test_sums(void)
{
	struct counts cpus = { 0, 0 }, sum = { 0, 0 };
	int cpu = nr_cpus - 1;

	for (int i = 0; i < 6; i++)
		start(spin, cpu, cpu);
	sleep_ms(500);
	for (int i = 0; i < nr_cpus; i++)
		cpus.moved -= of_cpu(i).moved;
	for (int i = 0; i < nr_tasks; i++)
		pin(tasks[i], 0, cpu);
	for (int i = 0; i < 10; i++) {
		avoid(i % nr_cpus, i % nr_cpus);
		sleep_ms(200);
	}
	avoid_none();
	sleep_ms(200);
	for (int i = 0; i < nr_cpus; i++)
		cpus.moved += of_cpu(i).moved;
	for (int i = 0; i < nr_tasks; i++) {
		sum.pushed += of_task(tasks[i]).pushed;
		sum.moved += of_task(tasks[i]).moved;
	}
	/* Other tasks of the system may have been pushed as well. */
	if (sum.moved < 1 || sum.moved > cpus.moved || sum.pushed < sum.moved)
		return fail("tasks: %ld pushed, %ld moved; CPUs: %ld moved", sum.pushed,
			    sum.moved, cpus.moved);
	return pass("tasks: %ld pushed, %ld moved; CPUs: %ld moved", sum.pushed, sum.moved,
		    cpus.moved);
}

int main(void)
{
	prepare(2);
	run_case("counters are there", test_present);
	run_case("pushed task counts", test_pushed);
	run_case("pinned task does not count", test_pinned);
	run_case("sleeping task does not count", test_sleeping);
	run_case("sums agree", test_sums);
	finish();
}
