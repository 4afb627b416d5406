// SPDX-License-Identifier: GPL-2.0-only
/* Kinds of knobs that are one file, however that is found. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cgroups.h"

static enum knob_state found_probe(const struct knob *knob, struct outcome *outcome)
{
	return knob->kind->find(knob, outcome) ? file_probe(outcome) : KNOB_ABSENT;
}

/* Of "always [madvise] never" only "madvise" can be written; nothing else has brackets around one of its words. */
static void chosen_word(const struct blob *value, struct blob *back)
{
	const char *text = blob_text(value), *open = strchr(text, '['), *close = open ? strchr(open, ']') : NULL;
	bool alone = open && close && close > open + 1 && !strchr(text, '\n') && !strchr(close, '[');

	if (alone && (open == text || open[-1] == ' ') && (close[1] == '\0' || close[1] == ' ') && strchr(text, ' '))
		blob_bytes(back, open + 1, (size_t)(close - open - 1));
}

static bool found_read(const struct knob *knob, struct reading *reading, struct outcome *outcome)
{
	if (!knob->kind->find(knob, outcome) || !file_read(outcome, &reading->value))
		return false;
	chosen_word(&reading->value, &reading->back);
	if (reading->back.length)
		blob_string(&reading->undo, knob->word);
	return true;
}

static bool found_write(const struct knob *knob, const struct blob *value, struct outcome *outcome)
{
	return knob->kind->find(knob, outcome) && file_write(outcome, value);
}

static bool find_file(const struct knob *knob, struct outcome *outcome)
{
	place_at(outcome, "%s", knob->path);
	return knob->path[0] == '/' || trouble(outcome, EINVAL, "is no absolute path");
}

static bool find_debugfs(const struct knob *knob, struct outcome *outcome)
{
	char directory[PATH_MAX];

	if (!find_mount("debugfs", "/sys/kernel/debug", directory, outcome))
		return false;
	place_at(outcome, "%s/%s", directory, knob->path);
	return true;
}

/* sysctl(8): where the first separator is a dot, slashes stand for the dots in names such as eth0.5. */
static bool find_sysctl(const struct knob *knob, struct outcome *outcome)
{
	char path[1024];
	bool dotted = knob->path[strcspn(knob->path, "./")] == '.';

	snprintf(path, sizeof(path), "%s", knob->path);
	for (char *at = path; dotted && *at; at++)
		*at = *at == '.' ? '/' : *at == '/' ? '.' : *at;
	place_at(outcome, "/proc/sys/%s", path);
	return true;
}

const struct knob_kind knob_file = { "file", found_probe, found_read, found_write, find_file };
const struct knob_kind knob_debugfs = { "debugfs", found_probe, found_read, found_write, find_debugfs };
const struct knob_kind knob_sysctl = { "sysctl", found_probe, found_read, found_write, find_sysctl };

/* ---- the control group of a domain's thread: DOMAIN/FILE or DOMAIN/vcpuN/FILE */

static bool is_vcpu(pid_t pid, pid_t tid, int number)
{
	struct outcome comm = { 0 };
	struct blob name = { 0 };
	int found = -1;
	bool is;

	place_at(&comm, "/proc/%d/task/%d/comm", (int)pid, (int)tid);
	is = file_read(&comm, &name) && sscanf(blob_text(&name), "CPU %d/", &found) == 1 && found == number;
	blob_free(&name);
	return is;
}

static pid_t find_vcpu(pid_t pid, int number, struct outcome *outcome)
{
	DIR *tasks = opendir(place_at(outcome, "/proc/%d/task", (int)pid));
	struct dirent *entry;
	pid_t found = 0;

	while (tasks && !found && (entry = readdir(tasks)))
		if (is_vcpu(pid, (pid_t)atoi(entry->d_name), number))
			found = (pid_t)atoi(entry->d_name);
	if (tasks)
		closedir(tasks);
	if (!found)
		trouble(outcome, ESRCH, "process %d has no thread of vCPU %d", (int)pid, number);
	return found;
}

static bool find_cgroup(const struct knob *knob, struct outcome *outcome)
{
	const char *slash = strchr(knob->path, '/'), *file = slash ? slash + 1 : "";
	char directory[PATH_MAX], group[PATH_MAX];
	int number, end = 0;
	pid_t pid, tid;

	place_at(outcome, "/%s", knob->path);
	if (!slash)
		return trouble(outcome, EINVAL, "expected DOMAIN/FILE or DOMAIN/vcpuN/FILE");
	tid = pid = domain_pid(knob->path, (int)(slash - knob->path), outcome);
	if (pid && sscanf(file, "vcpu%d/%n", &number, &end) == 1 && end > 0) {
		tid = find_vcpu(pid, number, outcome);
		file += end;
	}
	if (!tid || !group_of_task(pid, tid, group, outcome) ||
	    !find_mount("cgroup2", "/sys/fs/cgroup", directory, outcome))
		return false;
	place_at(outcome, "%.1000s%.2000s/%.900s", directory, group, file);
	return true;
}

static bool find_domain_cgroup(const struct knob *knob, struct outcome *outcome)
{
	const char *slash = strchr(knob->path, '/');
	char directory[PATH_MAX], group[PATH_MAX];

	place_at(outcome, "/%s", knob->path);
	if (!slash)
		return trouble(outcome, EINVAL, "expected DOMAIN/FILE");
	if (!group_of_domain(knob->path, (int)(slash - knob->path), group, outcome) ||
	    !find_mount("cgroup2", "/sys/fs/cgroup", directory, outcome))
		return false;
	place_at(outcome, "%.1000s%.2000s/%.900s", directory, group, slash + 1);
	return true;
}

const struct knob_kind knob_cgroup = { "cgroup", found_probe, found_read, found_write, find_cgroup };
const struct knob_kind knob_domain_cgroup = { "domain_cgroup", found_probe, found_read, found_write,
					      find_domain_cgroup };

/* ---- one word of debugfs sched/features */

static bool find_features(struct outcome *outcome)
{
	char directory[PATH_MAX];

	if (!find_mount("debugfs", "/sys/kernel/debug", directory, outcome))
		return false;
	place_at(outcome, "%s/sched/features", directory);
	if (!place_exists(outcome))
		place_at(outcome, "%s/sched_features", directory); /* before Linux 5.13 */
	if (!place_exists(outcome))
		place_at(outcome, "%s/sched/features", directory);
	return true;
}

/* 1, 0, or -1 where the scheduler has no feature of that name. */
static int feature_state(const struct knob *knob, struct outcome *outcome)
{
	struct blob text = { 0 };
	char off[256];
	int state = -1;

	snprintf(off, sizeof(off), "NO_%s", knob->path);
	if (find_features(outcome) && file_read(outcome, &text)) {
		state = has_word(blob_text(&text), knob->path) ? 1 : has_word(blob_text(&text), off) ? 0 : -1;
		if (state < 0)
			trouble(outcome, ENOENT, "has no %s", knob->path);
	}
	blob_free(&text);
	return state;
}

static enum knob_state feature_probe(const struct knob *knob, struct outcome *outcome)
{
	return feature_state(knob, outcome) < 0 ? KNOB_ABSENT : file_probe(outcome);
}

static bool feature_read(const struct knob *knob, struct reading *reading, struct outcome *outcome)
{
	int state = feature_state(knob, outcome);

	if (state >= 0)
		blob_string(&reading->value, state ? "1" : "0");
	return state >= 0;
}

/* NAME, NO_NAME, or a bool as the kernel's kstrtobool() knows it. */
static bool feature_write(const struct knob *knob, const struct blob *value, struct outcome *outcome)
{
	const char *text = blob_text(value);
	bool named = strcmp(text, knob->path) == 0;
	bool unnamed = strncmp(text, "NO_", 3) == 0 && strcmp(text + 3, knob->path) == 0;
	bool on = named || strcmp(text, "1") == 0 || strcasecmp(text, "y") == 0 || strcasecmp(text, "on") == 0;
	bool off = unnamed || strcmp(text, "0") == 0 || strcasecmp(text, "n") == 0 || strcasecmp(text, "off") == 0;
	char word[256];

	if (feature_state(knob, outcome) < 0)
		return false;
	if (!on && !off)
		return trouble(outcome, EINVAL, "expected 0, 1, %s or NO_%s", knob->path, knob->path);
	snprintf(word, sizeof(word), "%s%s", on ? "" : "NO_", knob->path);
	return file_write_text(outcome, word);
}

const struct knob_kind knob_sched_feature = { "sched_feature", feature_probe, feature_read, feature_write, NULL };

/* ---- a parameter of the command line: fixed while the kernel runs */

/* As lab.plan.cmdline has it: the last of several values; nothing where it is absent; a flag is its own name. */
static bool cmdline_read(const struct knob *knob, struct reading *reading, struct outcome *outcome)
{
	struct blob text = { 0 };
	size_t length = strlen(knob->path);

	place_at(outcome, "/proc/cmdline");
	if (!file_read(outcome, &text))
		return false;
	for (char *word = strtok(text.bytes, " \n"); word; word = strtok(NULL, " \n")) {
		if (strncmp(word, knob->path, length) != 0 || (word[length] != '=' && word[length] != '\0'))
			continue;
		blob_reset(&reading->value);
		blob_string(&reading->value, word[length] ? word + length + 1 : word);
	}
	blob_free(&text);
	return true;
}

/* Any kernel has a command line, and none says which parameters it knows. */
static enum knob_state cmdline_probe(const struct knob *knob, struct outcome *outcome)
{
	struct reading reading = { 0 };
	bool found = cmdline_read(knob, &reading, outcome);

	reading_free(&reading);
	return found ? KNOB_READABLE : KNOB_ABSENT;
}

static bool cmdline_write(const struct knob *knob, const struct blob *value, struct outcome *outcome)
{
	(void)knob;
	(void)value;
	place_at(outcome, "/proc/cmdline");
	return trouble(outcome, EROFS, "is fixed until the kernel is started anew");
}

const struct knob_kind knob_cmdline = { "cmdline", cmdline_probe, cmdline_read, cmdline_write, NULL };
