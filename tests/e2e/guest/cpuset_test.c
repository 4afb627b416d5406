// SPDX-License-Identifier: GPL-2.0-only
/*
 * Cpusets of the unified hierarchy and the CPUs to avoid: a cpuset with the CPUs
 * that it has, and an isolated partition, which nothing is balanced into.
 */
#include "harness.h"

#define ROOT "/sys/fs/cgroup"
#define GROUP ROOT "/avoid-test"

static void must_put(const char *path, const char *text)
{
	errno = put(path, text);
	if (errno)
		die(path);
}

static void make_group(int first, int last, const char *partition)
{
	char list[32];

	must_put(ROOT "/cgroup.subtree_control", "+cpuset");
	if (mkdir(GROUP, 0755))
		die(GROUP);
	snprintf(list, sizeof(list), "%d-%d", first, last);
	must_put(GROUP "/cpuset.cpus", list);
	must_put(GROUP "/cpuset.cpus.partition", partition);
	if (strcmp(get(GROUP "/cpuset.cpus.partition"), partition)) {
		printf("partition: %s\n", get(GROUP "/cpuset.cpus.partition"));
		errno = EINVAL;
		die(GROUP "/cpuset.cpus.partition");
	}
}

static void remove_group(void)
{
	long end = now_ms() + 10 * SETTLE_MS;

	/* What was killed a moment ago may still be in it. */
	while (rmdir(GROUP) && now_ms() < end)
		sleep_ms(SAMPLE_MS);
	if (!access(GROUP, F_OK))
		die("rmdir " GROUP);
}

static pid_t start_in_group(void)
{
	pid_t pid = start(spin, 0, nr_cpus - 1);
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	must_put(GROUP "/cgroup.procs", text);
	return pid;
}

static enum outcome end_with(enum outcome outcome)
{
	stop_tasks();
	avoid_none();
	remove_group();
	return outcome;
}

/* A task of a cpuset goes where the cpuset lets it, and no further. */
static enum outcome judge_member(void)
{
	int last = nr_cpus - 1;

	for (int i = 0; i < 2; i++)
		start_in_group();
	if (!settles_within(last - 1, last, 2, SETTLE_MS))
		return fail("not within its cpuset at first");
	avoid(last, last);
	if (!settles_within(last - 1, last - 1, 2, SETTLE_MS))
		return fail("%d of 2 on CPU %d with CPU %d avoided",
			    tasks_within(last - 1, last - 1), last - 1, last);
	avoid(last - 1, last);
	if (!spreads_over(2, 10 * SETTLE_MS) || tasks_within(last - 1, last) != 2)
		return fail("%d of 2 in its cpuset with all of that avoided",
			    tasks_within(last - 1, last));
	if (!has_affinity(tasks[0], last - 1, last))
		return fail("affinity changed");
	return pass("within CPUs %d-%d", last - 1, last);
}

static enum outcome test_member(void)
{
	make_group(nr_cpus - 2, nr_cpus - 1, "member");
	return end_with(judge_member());
}

/* The only CPU of an isolated partition: avoided or not, its task stays. */
static enum outcome judge_isolated_one(void)
{
	int last = nr_cpus - 1;
	long long ran;
	int seen;

	start_in_group();
	if (!settles_within(last, last, 1, SETTLE_MS))
		return fail("not within its partition at first");
	avoid(last, last);
	ran = run_ns(tasks[0]);
	seen = seen_within(0, last - 1, 2 * SETTLE_MS);
	if (seen || run_ns(tasks[0]) <= ran)
		return fail("seen %d times elsewhere, ran %lld ns", seen, run_ns(tasks[0]) - ran);
	return pass("ran %lld ms of %d", (run_ns(tasks[0]) - ran) / 1000000, 2 * SETTLE_MS);
}

static enum outcome test_isolated_one(void)
{
	make_group(nr_cpus - 1, nr_cpus - 1, "isolated");
	return end_with(judge_isolated_one());
}

/* Two CPUs of a partition, one of them avoided: the other one takes its task. */
static enum outcome judge_isolated_two(void)
{
	int last = nr_cpus - 1;
	pid_t pid = start_in_group();

	pin(pid, last, last);
	if (!settles_within(last, last, 1, SETTLE_MS))
		return fail("not on CPU %d at first", last);
	pin(pid, last - 1, last);
	sleep_ms(SETTLE_MS);
	if (cpu_of(pid) != last)
		return fail("balanced within an isolated partition");
	avoid(last, last);
	if (!settles_within(last - 1, last - 1, 1, SETTLE_MS))
		return fail("on CPU %d", cpu_of(pid));
	return pass("moved to CPU %d", last - 1);
}

static enum outcome test_isolated_two(void)
{
	make_group(nr_cpus - 2, nr_cpus - 1, "isolated");
	return end_with(judge_isolated_two());
}

/* Tasks outside of a partition do not come into it, however few CPUs are left. */
static enum outcome judge_outside(void)
{
	int last = nr_cpus - 1;
	int seen;

	start_spinners(2 * nr_cpus);
	avoid(1, last - 1);
	if (!settles_within(0, 0, nr_tasks, 10 * SETTLE_MS))
		return fail("%d of %d on CPU 0", tasks_within(0, 0), nr_tasks);
	seen = seen_within(1, last, 2 * SETTLE_MS);
	if (seen)
		return fail("seen %d times beyond CPU 0", seen);
	return pass("%d on CPU 0", nr_tasks);
}

static enum outcome test_outside(void)
{
	make_group(nr_cpus - 1, nr_cpus - 1, "isolated");
	return end_with(judge_outside());
}

int main(void)
{
	prepare(4);
	run_case("cpuset is honoured", test_member);
	run_case("isolated partition of one CPU", test_isolated_one);
	run_case("isolated partition of two CPUs", test_isolated_two);
	run_case("isolated partition keeps others out", test_outside);
	finish();
}
