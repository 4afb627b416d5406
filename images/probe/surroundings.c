// SPDX-License-Identifier: GPL-2.0-only
#include "surroundings.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Where libvirt and systemd have it. On a machine with cgroup v1 no file is found there, and nothing is told. */
#define CGROUP_MOUNT "/sys/fs/cgroup"
#define CPU_DIRECTORY "/sys/devices/system/cpu"
#define VALUE_SIZE 256
/* Longer paths are left out: cgroupfs itself allows them. */
#define PATH_SIZE 1024
/* Room for one line. */
#define LINE_ROOM (PATH_SIZE + VALUE_SIZE + 64)

static bool read_value(const char *path, char value[VALUE_SIZE])
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, value, VALUE_SIZE - 1);

	if (fd >= 0)
		close(fd);
	if (length < 0)
		return false;
	value[length] = '\0';
	value[strcspn(value, "\n")] = '\0';
	return true;
}

static void tell_file(const char *path, struct text *text)
{
	char value[VALUE_SIZE];

	if (!read_value(path, value))
		return;
	text_string(text, "f ");
	text_string(text, path);
	text_char(text, ' ');
	text_string(text, *value ? value : "-");
	text_char(text, '\n');
}

/* ---- control groups */

/* The path in the unified hierarchy: a line "0::PATH" of /proc/PID/task/TID/cgroup (cgroups(7)). */
static bool find_group(int task, char path[PATH_SIZE])
{
	int fd = openat(task, "cgroup", O_RDONLY | O_CLOEXEC);
	char lines[PATH_SIZE], *line;
	ssize_t length = fd < 0 ? -1 : read(fd, lines, sizeof(lines) - 1);

	if (fd >= 0)
		close(fd);
	if (length <= 0)
		return false;
	lines[length] = '\0';
	line = strncmp(lines, "0::/", 4) == 0 ? lines : strstr(lines, "\n0::/");
	if (!line)
		return false;
	line += *line == '\n' ? 4 : 3;
	line[strcspn(line, "\n")] = '\0';
	strcpy(path, line);
	/* A space would end the field; libvirt and systemd make no such groups. */
	return !strchr(path, ' ');
}

static bool was_told(const struct groups_told *told, const char *path)
{
	for (size_t i = 0; i < told->count; i++)
		if (strcmp(told->paths[i], path) == 0)
			return true;
	return false;
}

static bool note_told(struct groups_told *told, const char *path)
{
	if (told->count == told->size) {
		size_t size = told->size ? 2 * told->size : 32;
		char **paths = realloc(told->paths, size * sizeof(*paths));

		if (!paths)
			return false;
		told->paths = paths;
		told->size = size;
	}
	told->paths[told->count] = strdup(path);
	return told->paths[told->count] && ++told->count;
}

static void tell_group(const char *group, struct text *text)
{
	static const char *const names[] = { "cpu.weight", "cpu.max" };
	char path[sizeof(CGROUP_MOUNT) + PATH_SIZE + 16];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), "%s%s/%s", CGROUP_MOUNT, group, names[i]);
		tell_file(path, text);
	}
}

void surroundings_group(int task, pid_t tid, struct groups_told *told, struct text *text)
{
	char group[PATH_SIZE], *end;

	if (!find_group(task, group))
		return;
	text_string(text, "c");
	text_field(text, (uint64_t)tid);
	text_char(text, ' ');
	text_string(text, group);
	text_char(text, '\n');
	for (; strcmp(group, "/") != 0 && *group && !was_told(told, group); *end = '\0') {
		if (!note_told(told, group))
			return;
		tell_group(group, text);
		end = strrchr(group, '/');
	}
}

void surroundings_forget(struct groups_told *told)
{
	while (told->count > 0)
		free(told->paths[--told->count]);
	free(told->paths);
	*told = (struct groups_told){ 0 };
}

/* ---- clock rates */

void surroundings_clocks(struct output *output)
{
	static const char *const names[] = { "smt/control", "smt/active", "cpufreq/boost", "intel_pstate/no_turbo" };
	long cpus = sysconf(_SC_NPROCESSORS_CONF);
	char path[128];

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(path, sizeof(path), CPU_DIRECTORY "/%s", names[i]);
		tell_file(path, &output->text);
	}
	for (long cpu = 0; cpu < cpus; cpu++) {
		snprintf(path, sizeof(path), CPU_DIRECTORY "/cpu%ld/cpufreq/scaling_governor", cpu);
		output_make_room(output, LINE_ROOM);
		tell_file(path, &output->text);
	}
}
