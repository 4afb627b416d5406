// SPDX-License-Identifier: GPL-2.0-only
/* Kinds of knobs that take CPUs away by other means than a mask: hotplug, and isolated partitions of cgroup v2. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpulist.h"
#include "knobio.h"

#define CPUS "/sys/devices/system/cpu"
#define CPULIST_MAX 8192

typedef uint64_t cpumask[MASK_WORDS];

static bool has_cpu(const cpumask mask, unsigned int cpu)
{
	return mask[cpu / 64] >> (cpu % 64) & 1;
}

static void put_cpu(cpumask mask, unsigned int cpu)
{
	mask[cpu / 64] |= UINT64_C(1) << (cpu % 64);
}

static void format_mask(const cpumask mask, struct blob *list)
{
	char bytes[CPULIST_MAX];
	struct text text = { .bytes = bytes, .size = sizeof(bytes) };

	cpulist_format(mask, &text);
	blob_bytes(list, bytes, text.length);
}

/* CPUs that are on, and those that can be turned off and on; a CPU without a file is always on. */
struct cpus {
	cpumask present, online, movable;
};

static void look_at_cpu(struct cpus *cpus, unsigned int cpu)
{
	struct outcome file = { 0 };
	struct blob value = { 0 };
	bool on = true;

	place_at(&file, CPUS "/cpu%u/online", cpu);
	if (file_read(&file, &value)) {
		put_cpu(cpus->movable, cpu);
		on = strcmp(blob_text(&value), "0") != 0;
	}
	put_cpu(cpus->present, cpu);
	if (on)
		put_cpu(cpus->online, cpu);
	blob_free(&value);
}

static bool look_at_cpus(struct cpus *cpus, struct outcome *outcome)
{
	DIR *directory = opendir(place_at(outcome, CPUS));
	struct dirent *entry;
	unsigned int cpu;
	int end;

	memset(cpus, 0, sizeof(*cpus));
	if (!directory)
		return trouble(outcome, errno, NULL);
	while ((entry = readdir(directory))) {
		end = 0;
		if (sscanf(entry->d_name, "cpu%u%n", &cpu, &end) == 1 && entry->d_name[end] == '\0' && cpu < MASK_CPUS)
			look_at_cpu(cpus, cpu);
	}
	closedir(directory);
	return true;
}

static bool is_empty(const cpumask mask)
{
	for (size_t i = 0; i < MASK_WORDS; i++)
		if (mask[i])
			return false;
	return true;
}

static enum knob_state online_probe(const struct knob *knob, struct outcome *outcome)
{
	struct cpus cpus;

	(void)knob;
	if (!look_at_cpus(&cpus, outcome) || is_empty(cpus.present)) {
		trouble(outcome, ENOENT, "has no CPUs");
		return KNOB_ABSENT;
	}
	return is_empty(cpus.movable) ? KNOB_READABLE : KNOB_WRITABLE;
}

static bool online_read(const struct knob *knob, struct reading *reading, struct outcome *outcome)
{
	struct cpus cpus;

	(void)knob;
	if (!look_at_cpus(&cpus, outcome))
		return false;
	format_mask(cpus.online, &reading->value);
	return true;
}

static bool put_cpu_to(unsigned int cpu, bool on, struct outcome *outcome)
{
	place_at(outcome, CPUS "/cpu%u/online", cpu);
	return file_write_text(outcome, on ? "1" : "0");
}

/* One CPU after the other, first all that come, so that there is always one on; stops at the first that fails. */
static bool put_cpus_to(const struct cpus *cpus, const cpumask wanted, struct outcome *outcome)
{
	for (int on = 1; on >= 0; on--)
		for (unsigned int cpu = 0; cpu < MASK_CPUS; cpu++)
			if (has_cpu(wanted, cpu) == on && has_cpu(cpus->present, cpu) &&
			    has_cpu(cpus->online, cpu) != on && !put_cpu_to(cpu, on, outcome))
				return false;
	return true;
}

static bool check_wanted(const struct cpus *cpus, const cpumask wanted, struct outcome *outcome)
{
	for (unsigned int cpu = 0; cpu < MASK_CPUS; cpu++) {
		if (has_cpu(wanted, cpu) && !has_cpu(cpus->present, cpu))
			return trouble(outcome, EINVAL, "there is no CPU %u", cpu);
		if (has_cpu(cpus->online, cpu) && !has_cpu(wanted, cpu) && !has_cpu(cpus->movable, cpu))
			return trouble(outcome, EPERM, "CPU %u cannot be turned off", cpu);
	}
	return true;
}

static bool online_write(const struct knob *knob, const struct blob *value, struct outcome *outcome)
{
	struct cpus cpus, now;
	struct outcome again;
	cpumask wanted;

	(void)knob;
	if (!look_at_cpus(&cpus, outcome))
		return false;
	if (!cpulist_parse(blob_text(value), wanted))
		return trouble(outcome, EINVAL, "expected a list of CPUs");
	if (!check_wanted(&cpus, wanted, outcome))
		return false;
	if (put_cpus_to(&cpus, wanted, outcome))
		return true;
	if (look_at_cpus(&now, &again)) /* all or nothing */
		put_cpus_to(&now, cpus.online, &again);
	return false;
}

const struct knob_kind knob_cpu_online = { "cpu_online", online_probe, online_read, online_write, NULL };

/* ---- isolated partitions (Documentation/admin-guide/cgroup-v2.rst, "Cpuset Interface Files") */

static bool partition_place(const struct knob *knob, const char *file, struct outcome *outcome)
{
	char directory[PATH_MAX];

	if (!find_mount("cgroup2", "/sys/fs/cgroup", directory, outcome))
		return false;
	place_at(outcome, "%.2000s/%.900s%s%s", directory, knob->path, file[0] ? "/" : "", file);
	return true;
}

static bool read_at(const struct knob *knob, const char *file, struct blob *value, struct outcome *outcome)
{
	return partition_place(knob, file, outcome) && file_read(outcome, value);
}

static bool write_at(const struct knob *knob, const char *file, const char *text, struct outcome *outcome)
{
	return partition_place(knob, file, outcome) && file_write_text(outcome, text);
}

static const struct knob whole_tree = { .word = "", .path = "." };

static enum knob_state partition_probe(const struct knob *knob, struct outcome *outcome)
{
	struct blob controllers = { 0 };
	bool has = read_at(&whole_tree, "cgroup.controllers", &controllers, outcome);

	if (has && !has_word(blob_text(&controllers), "cpuset"))
		has = trouble(outcome, ENODEV, "has no cpuset");
	blob_free(&controllers);
	if (has)
		partition_place(knob, "", outcome);
	return has ? KNOB_WRITABLE : KNOB_ABSENT;
}

static bool partition_read(const struct knob *knob, struct reading *reading, struct outcome *outcome)
{
	struct blob state = { 0 };
	bool done;

	if (partition_probe(knob, outcome) == KNOB_ABSENT)
		return false;
	if (!place_exists(outcome))
		return true;
	done = read_at(knob, "cpuset.cpus.partition", &state, outcome);
	if (done && strcmp(blob_text(&state), "isolated") == 0)
		done = read_at(knob, "cpuset.cpus", &reading->value, outcome);
	blob_free(&state);
	return done;
}

static bool remove_partition(const struct knob *knob, struct outcome *outcome)
{
	if (!partition_place(knob, "", outcome))
		return false;
	if (!place_exists(outcome))
		return true;
	if (!write_at(knob, "cpuset.cpus.partition", "member", outcome))
		return false;
	partition_place(knob, "", outcome);
	return rmdir(outcome->place) == 0 || trouble(outcome, errno, NULL);
}

static bool make_group(const struct knob *knob, struct outcome *outcome)
{
	struct blob enabled = { 0 };
	bool done = read_at(&whole_tree, "cgroup.subtree_control", &enabled, outcome);

	if (done && !has_word(blob_text(&enabled), "cpuset"))
		done = write_at(&whole_tree, "cgroup.subtree_control", "+cpuset", outcome);
	blob_free(&enabled);
	if (!done || !partition_place(knob, "", outcome))
		return false;
	return mkdir(outcome->place, 0755) == 0 || errno == EEXIST || trouble(outcome, errno, NULL);
}

/* A partition that cannot be is "isolated invalid (reason)": the write itself succeeds. */
static bool isolate(const struct knob *knob, const char *cpus, struct outcome *outcome)
{
	struct blob state = { 0 };
	bool done = write_at(knob, "cpuset.cpus.partition", "member", outcome) &&
		    write_at(knob, "cpuset.cpus", cpus, outcome) &&
		    write_at(knob, "cpuset.cpus.partition", "isolated", outcome) &&
		    read_at(knob, "cpuset.cpus.partition", &state, outcome);

	if (done && strcmp(blob_text(&state), "isolated") != 0)
		done = trouble(outcome, EINVAL, "reads back %s", blob_text(&state));
	blob_free(&state);
	return done;
}

static bool partition_write(const struct knob *knob, const struct blob *value, struct outcome *outcome)
{
	struct reading before = { 0 };
	struct outcome again = { 0 };
	bool done;

	if (value->length == 0)
		return remove_partition(knob, outcome);
	if (!partition_read(knob, &before, outcome))
		return false;
	done = make_group(knob, outcome) && isolate(knob, blob_text(value), outcome);
	if (!done && before.value.length)
		isolate(knob, blob_text(&before.value), &again);
	else if (!done)
		remove_partition(knob, &again);
	reading_free(&before);
	return done;
}

const struct knob_kind knob_isolated_partition = { "isolated_partition", partition_probe, partition_read,
						   partition_write, NULL };
