// SPDX-License-Identifier: GPL-2.0-only
#include "cgroups.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

pid_t domain_pid(const char *domain, int length, struct outcome *outcome)
{
	struct blob text = { 0 };
	pid_t pid = 0;

	place_at(outcome, "/run/libvirt/qemu/%.*s.pid", length, domain);
	if (file_read(outcome, &text))
		pid = (pid_t)atoi(blob_text(&text));
	blob_free(&text);
	return pid;
}

bool group_of_task(pid_t pid, pid_t tid, char group[PATH_MAX], struct outcome *outcome)
{
	struct blob text = { 0 };
	const char *line;
	bool found = false;

	place_at(outcome, "/proc/%d/task/%d/cgroup", (int)pid, (int)tid);
	if (file_read(outcome, &text)) {
		line = strncmp(blob_text(&text), "0::", 3) == 0 ? blob_text(&text) : strstr(blob_text(&text), "\n0::");
		found = line && sscanf(line, " 0::%4095s", group) == 1;
		if (!found)
			trouble(outcome, ENOENT, "no cgroup v2");
	}
	blob_free(&text);
	return found;
}

static bool is_part_of_domain(const char *name)
{
	return strcmp(name, "emulator") == 0 || strcmp(name, "libvirt") == 0 || strncmp(name, "vcpu", 4) == 0 ||
	       strncmp(name, "iothread", 8) == 0;
}

/* Takes the last component off; what is left of "/a" is the root, "". */
static void to_parent(char *group)
{
	char *slash = strrchr(group, '/');

	if (slash)
		*slash = '\0';
}

bool group_of_domain(const char *domain, int length, char group[PATH_MAX], struct outcome *outcome)
{
	pid_t pid = domain_pid(domain, length, outcome);

	if (!pid || !group_of_task(pid, pid, group, outcome))
		return false;
	for (char *slash = strrchr(group, '/'); slash && is_part_of_domain(slash + 1); slash = strrchr(group, '/'))
		to_parent(group);
	if (group[0] == '\0' || strcmp(group, "/") == 0)
		return trouble(outcome, ENOENT, "domain %.*s has no control group of its own", length, domain);
	return true;
}

static bool write_into(const char *directory, const char *file, const char *text, struct outcome *outcome)
{
	snprintf(outcome->place, sizeof(outcome->place), "%.3000s/%.900s", directory, file);
	return file_write_text(outcome, text);
}

bool group_find_beside(const char *domain, const char *name, struct outcome *outcome)
{
	char group[PATH_MAX], mount[PATH_MAX];

	if (!group_of_domain(domain, (int)strlen(domain), group, outcome) ||
	    !find_mount("cgroup2", "/sys/fs/cgroup", mount, outcome))
		return false;
	to_parent(group);
	place_at(outcome, "%.1000s%.2000s/%.200s", mount, group, name);
	return true;
}

bool group_join(const char *directory, const char *weight, struct outcome *outcome)
{
	char pid[16], here[PATH_MAX];

	snprintf(here, sizeof(here), "%s", directory);
	if (mkdir(here, 0755) != 0 && errno != EEXIST)
		return trouble(outcome, errno, "cannot be made");
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	return write_into(here, "cpu.weight", weight, outcome) && write_into(here, "cgroup.procs", pid, outcome);
}
