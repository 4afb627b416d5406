// SPDX-License-Identifier: GPL-2.0-only
/*
 * The file of the CPUs to avoid: what it takes, and what CPU hotplug does to it.
 */
#include "harness.h"

static enum outcome test_file(void)
{
	struct stat st;

	if (stat(MASK, &st))
		return fail("stat: %s", strerror(errno));
	if ((st.st_mode & 07777) != 0644)
		return fail("mode %o instead of 644", st.st_mode & 07777);
	if (*get(MASK))
		return fail("'%s' instead of nothing at first", get(MASK));
	return PASS;
}

static enum outcome test_read_back(void)
{
	static const char *const clears[] = { "\n", " \n", " " };
	char list[32];

	for (unsigned int i = 0; i < sizeof(clears) / sizeof(*clears); i++) {
		avoid(1, 1);
		if (strcmp(get(MASK), "1"))
			return fail("'%s' instead of '1'", get(MASK));
		if (put(MASK, clears[i]) || *get(MASK))
			return fail("'%s' after clearing (form %u)", get(MASK), i);
	}
	if (nr_cpus < 4)
		return PASS;
	avoid(1, 2);
	if (strcmp(get(MASK), "1-2"))
		return fail("'%s' instead of '1-2'", get(MASK));
	snprintf(list, sizeof(list), "1,%d", nr_cpus - 1);
	if (put(MASK, list) || strcmp(get(MASK), list))
		return fail("'%s' instead of '%s'", get(MASK), list);
	return PASS;
}

static enum outcome test_refused(void)
{
	char next[16], all[16], mixed[16];
	const char *const lists[] = {
		"x\n", "1-\n", "-1\n", "1,,x\n", "0x1\n", "2-1\n", "99999\n",
		"99999999999999999999\n", "all\n", next, all, mixed,
	};

	snprintf(next, sizeof(next), "%d\n", nr_cpus);
	snprintf(all, sizeof(all), "0-%d\n", nr_cpus - 1);
	snprintf(mixed, sizeof(mixed), "1,%d\n", nr_cpus);
	avoid(1, 1);
	for (unsigned int i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		int err = put(MASK, lists[i]);

		if (err != EINVAL)
			return fail("errno %d for list %u, %s", err, i, lists[i]);
		if (strcmp(get(MASK), "1"))
			return fail("'%s' after a refused %s", get(MASK), lists[i]);
	}
	return PASS;
}

/* ---- CPU hotplug ---- */

/* CPUs of a list as bits. */
static unsigned long long bits_of(const char *list)
{
	unsigned long long bits = 0;

	while (*list >= '0' && *list <= '9') {
		char *end;
		long first = strtol(list, &end, 10);
		long last = *end == '-' ? strtol(end + 1, &end, 10) : first;

		for (; first <= last && first < 64; first++)
			bits |= 1ULL << first;
		list = *end == ',' ? end + 1 : end;
	}
	return bits;
}

/*
 * Reads the mask all the time. It must never cover all CPUs that are online,
 * as far as these are the same before and after the mask is read, and nothing
 * went off or on in between (the phase is odd meanwhile).
 */
static void watch_mask(void)
{
	for (;;) {
		long phase = shared->phase;
		unsigned long long online = bits_of(get(CPUS "/online"));
		unsigned long long mask = bits_of(get(MASK));
		unsigned long long after = bits_of(get(CPUS "/online"));

		if (online != after || phase != shared->phase)
			continue;
		shared->runs++;
		if (phase % 2)
			online = bits_of(get(CPUS "/present"));
		if (!(online & ~mask))
			shared->misplaced++;
	}
}

static int switch_cpu(int cpu, bool online)
{
	int err;

	shared->phase++;
	err = set_online(cpu, online);
	shared->phase++;
	return err;
}

static char *all_but_last(void)
{
	static char list[16];

	snprintf(list, sizeof(list), nr_cpus > 2 ? "0-%d" : "0", nr_cpus - 2);
	return list;
}

/* The last CPU that is not avoided goes and comes back. */
static enum outcome test_last_usable(void)
{
	int last = nr_cpus - 1;
	const char *list = all_but_last();
	enum outcome outcome;
	int err;

	start_spinners(nr_cpus);
	avoid_list(list);
	if (!settles_within(0, last - 1, 0, SETTLE_MS))
		return fail("%d tasks on avoided CPUs", tasks_within(0, last - 1));
	err = set_online(last, false);
	if (err)
		return fail("offline: %s", strerror(err));
	if (*get(MASK))
		return fail("'%s' in effect with CPUs %s online", get(MASK), list);
	if (!settles_within(last, last, 0, SETTLE_MS) || !spreads_over(last, 10 * SETTLE_MS))
		return fail("%d of %d CPUs in use with none avoided", cpus_in_use(), last);
	if (put(MASK, list) != EINVAL)
		return fail("a mask of all online CPUs was taken");
	err = set_online(last, true);
	if (err)
		return fail("online: %s", strerror(err));
	if (strcmp(get(MASK), list))
		return fail("'%s' instead of '%s' after online", get(MASK), list);
	outcome = off_and_staying_off(0, last - 1);
	if (outcome == PASS && !has_affinity(tasks[0], 0, last))
		return fail("affinity changed");
	return outcome;
}

/* While nothing is in effect, another request replaces the old one for good. */
static enum outcome test_replaced_meanwhile(void)
{
	int last = nr_cpus - 1;

	avoid_list(all_but_last());
	errno = set_online(last, false);
	if (errno)
		return fail("offline: %s", strerror(errno));
	avoid(1, 1);
	if (strcmp(get(MASK), "1"))
		return fail("'%s' instead of '1'", get(MASK));
	errno = set_online(last, true);
	if (errno)
		return fail("online: %s", strerror(errno));
	if (strcmp(get(MASK), "1"))
		return fail("'%s' instead of '1' after online", get(MASK));
	return pass("the new one stays");
}

static enum outcome test_cleared_meanwhile(void)
{
	int last = nr_cpus - 1;

	avoid_list(all_but_last());
	errno = set_online(last, false);
	if (errno)
		return fail("offline: %s", strerror(errno));
	avoid_none();
	errno = set_online(last, true);
	if (errno)
		return fail("online: %s", strerror(errno));
	if (*get(MASK))
		return fail("'%s' after it was cleared", get(MASK));
	return pass("it stays cleared");
}

/* All but one go and come back, in both orders, and somebody watches. */
static enum outcome test_always_legal(void)
{
	int last = nr_cpus - 1;

	start(watch_mask, 0, last);
	for (int round = 0; round < 3; round++) {
		avoid_list(all_but_last());
		for (int cpu = last; cpu > 0; cpu--)
			if (switch_cpu(cpu, false))
				return fail("CPU %d offline: %s", cpu, strerror(errno));
		if (*get(MASK))
			return fail("'%s' with one CPU online", get(MASK));
		for (int i = 1; i <= last; i++)
			if (switch_cpu(round % 2 ? i : last + 1 - i, true))
				return fail("online: %s", strerror(errno));
		if (strcmp(get(MASK), all_but_last()))
			return fail("'%s' instead of '%s'", get(MASK), all_but_last());
	}
	if (shared->misplaced)
		return fail("%ld of %ld reads covered all CPUs", shared->misplaced, shared->runs);
	if (shared->runs < ENOUGH_RUNS)
		return fail("%ld reads only", shared->runs);
	return pass("%ld reads, none covered all CPUs", shared->runs);
}

/* An avoided CPU goes and comes back; an offline one may be named. */
static enum outcome test_hotplug_avoided(void)
{
	int last = nr_cpus - 1;

	start_spinners(nr_cpus);
	avoid_upper_half();
	for (int i = 0; i < 5; i++) {
		errno = set_online(last, false);
		if (errno)
			return fail("offline: %s", strerror(errno));
		avoid_none();
		avoid_upper_half();
		errno = set_online(last, true);
		if (errno)
			return fail("online: %s", strerror(errno));
	}
	return off_and_staying_off(first_avoided(), last);
}


int main(void)
{
	prepare(3);
	run_case("file", test_file);
	run_case("read back", test_read_back);
	run_case("refused lists", test_refused);
	run_case("last usable CPU offline and online", test_last_usable);
	run_case("request replaced while not in effect", test_replaced_meanwhile);
	run_case("request cleared while not in effect", test_cleared_meanwhile);
	run_case("legal at any time", test_always_legal);
	run_case("avoided CPU offline and online", test_hotplug_avoided);
	finish();
}
