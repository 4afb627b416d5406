// SPDX-License-Identifier: GPL-2.0-only
#include "tasks.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cpulist.h"
#include "monotonic.h"
#include "procstat.h"
#include "runtimes.h"
#include "surroundings.h"

/* More than one task's lines take: its affinity, and a chain of control groups with two files each. */
#define TASK_ROOM (64 * 1024)
/* A name of the kernel's own at its longest (fs/proc/array.c, proc_task_name). */
#define NAME_SIZE 65
/* include/linux/sched.h; the kernel has told it in /proc/PID/stat ever since. */
#define PF_KTHREAD UINT64_C(0x00200000)

#define OWNER_LAB "@lab"
#define OWNER_KERNEL "@kernel"
#define OWNER_NOBODY "-"

/* A process that is the lab's own, though no guest: known by its number, or by a file, as it may be started anew. */
struct owned {
	struct owned *next;
	char *name, *pidfile, *owner;
	pid_t pid;
};

struct tasks {
	struct owned *owned;
	struct runtimes last;
};

/* One snapshot being taken. */
struct snapshot {
	struct tasks *tasks;
	const struct watched *guests;
	struct output *output;
	struct runtimes runtimes;
	struct groups_told told;
};

/* What /proc/PID/task/TID/stat says of a task (proc(5)). */
struct about {
	uint64_t flags, children, start, pcpu;
	char name[NAME_SIZE];
};

struct tasks *tasks_create(void)
{
	return calloc(1, sizeof(struct tasks));
}

/* ---- whose a task is */

static struct owned **find_owned(struct tasks *tasks, const char *name)
{
	struct owned **at = &tasks->owned;

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static void free_owned(struct owned *owned)
{
	if (owned) {
		free(owned->owner);
		free(owned->name);
	}
	free(owned);
}

void tasks_disown(struct tasks *tasks, const char *name)
{
	struct owned **at = find_owned(tasks, name), *owned = *at;

	if (!owned)
		return;
	*at = owned->next;
	free_owned(owned);
}

/* "NAME PIDFILE" taken apart, and the owner that its tasks have: "@lab:NAME". NULL where it is not of that form. */
static struct owned *parse_owned(const char *arguments)
{
	const char *space = strchr(arguments, ' ');
	struct owned *owned = space && space > arguments && space[1] ? calloc(1, sizeof(*owned)) : NULL;

	if (!owned)
		return NULL;
	owned->name = strdup(arguments);
	owned->owner = malloc(strlen(OWNER_LAB ":") + (size_t)(space - arguments) + 1);
	if (!owned->name || !owned->owner) {
		free_owned(owned);
		return NULL;
	}
	owned->pidfile = owned->name + (space - arguments) + 1;
	owned->name[space - arguments] = '\0';
	strcpy(stpcpy(owned->owner, OWNER_LAB ":"), owned->name);
	return owned;
}

void tasks_own(struct tasks *tasks, const char *arguments)
{
	struct owned *owned = parse_owned(arguments);

	if (!owned) {
		event("error - expected: own NAME PIDFILE|PID");
		return;
	}
	tasks_disown(tasks, owned->name);
	owned->next = tasks->owned;
	tasks->owned = owned;
}

static bool read_at(int directory, const char *path, char *bytes, size_t size)
{
	int fd = openat(directory, path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, bytes, size - 1);

	if (fd >= 0)
		close(fd);
	bytes[length > 0 ? length : 0] = '\0';
	return length > 0;
}

static void find_owned_processes(struct tasks *tasks)
{
	char text[32];

	for (struct owned *owned = tasks->owned; owned; owned = owned->next)
		if (isdigit((unsigned char)owned->pidfile[0]))
			owned->pid = (pid_t)atoi(owned->pidfile);
		else
			owned->pid = read_at(AT_FDCWD, owned->pidfile, text, sizeof(text)) ? (pid_t)atoi(text) : 0;
}

static const struct watched *find_guest(const struct snapshot *snapshot, pid_t pid)
{
	const struct watched *guest = snapshot->guests;

	while (guest && (guest->pid != pid || guest->gone))
		guest = guest->next;
	return guest;
}

static const struct owned *find_labs(const struct snapshot *snapshot, pid_t pid)
{
	const struct owned *owned = snapshot->tasks->owned;

	while (owned && owned->pid != pid)
		owned = owned->next;
	return owned;
}

static const char *owner_of(const struct snapshot *snapshot, pid_t pid, uint64_t flags)
{
	const struct watched *guest = find_guest(snapshot, pid);
	const struct owned *owned = find_labs(snapshot, pid);

	if (guest)
		return guest->name;
	if (owned)
		return owned->owner;
	if (pid == getpid() || pid == getppid()) /* and whoever carries what it says to the lab */
		return OWNER_LAB;
	return flags & PF_KTHREAD ? OWNER_KERNEL : OWNER_NOBODY;
}

/* ---- one task */

static void copy_name(char name[NAME_SIZE], const char *begin, const char *end)
{
	size_t length = (size_t)(end - begin) < NAME_SIZE - 1 ? (size_t)(end - begin) : NAME_SIZE - 1;

	for (size_t i = 0; i < length; i++)
		name[i] = begin[i] >= ' ' && begin[i] <= '~' ? begin[i] : '?';
	name[length] = '\0';
}

/* "TID (NAME) S ...": the name may itself hold spaces and parentheses. Field 3 is the first behind it. */
static bool parse_about(const char *stat, struct about *about)
{
	const char *begin = strchr(stat, '('), *end = strrchr(stat, ')'), *at = end;

	if (!begin || !end || end < begin)
		return false;
	copy_name(about->name, begin + 1, end);
	for (int field = 3; at && field <= 39; field++) {
		at = strchr(at + 1, ' ');
		if (at && field == 9)
			about->flags = strtoull(at, NULL, 10);
		else if (at && (field == 16 || field == 17))
			about->children += strtoull(at, NULL, 10);
		else if (at && field == 22)
			about->start = strtoull(at, NULL, 10);
		else if (at && field == 39)
			about->pcpu = strtoull(at, NULL, 10);
	}
	return at != NULL;
}

static void put_affinity(pid_t tid, struct text *text)
{
	uint64_t mask[MASK_WORDS] = { 0 };

	sched_getaffinity(tid, sizeof(mask), (cpu_set_t *)mask);
	text_char(text, ' ');
	cpulist_format(mask, text);
}

static void put_task(const struct snapshot *snapshot, pid_t pid, pid_t tid, uint64_t run_ns, const struct about *about)
{
	struct text *text = &snapshot->output->text;

	text_string(text, "t");
	text_field(text, (uint64_t)tid);
	text_field(text, (uint64_t)pid);
	text_char(text, ' ');
	text_string(text, owner_of(snapshot, pid, about->flags));
	text_field(text, about->pcpu);
	text_field(text, about->start);
	text_field(text, run_ns);
	text_field(text, about->children * NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK));
	put_affinity(tid, text);
	text_char(text, ' ');
	text_string(text, about->name);
	text_char(text, '\n');
}

/* `processes` is /proc/PID/task. A task that ends meanwhile is left out. */
static void look_at_task(struct snapshot *snapshot, int processes, pid_t pid, const char *name)
{
	int task = openat(processes, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	pid_t tid = (pid_t)atoi(name);
	bool guests = find_guest(snapshot, pid) != NULL;
	struct about about = { 0 };
	char text[1024];

	if (task < 0)
		return;
	if (read_at(task, "schedstat", text, sizeof(text))) {
		uint64_t run_ns = strtoull(text, NULL, 10);
		bool same = runtimes_has(&snapshot->tasks->last, tid, run_ns);

		runtimes_add(&snapshot->runtimes, tid, run_ns);
		if ((!same || guests) && read_at(task, "stat", text, sizeof(text)) && parse_about(text, &about)) {
			output_make_room(snapshot->output, TASK_ROOM);
			put_task(snapshot, pid, tid, run_ns, &about);
			if (guests)
				surroundings_group(task, tid, &snapshot->told, &snapshot->output->text);
		}
	}
	close(task);
}

static void look_at_process(struct snapshot *snapshot, const char *name)
{
	char path[40];
	struct dirent *entry;
	DIR *processes;

	snprintf(path, sizeof(path), "/proc/%.20s/task", name);
	processes = opendir(path);
	while (processes && (entry = readdir(processes)))
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at_task(snapshot, dirfd(processes), (pid_t)atoi(name), entry->d_name);
	if (processes)
		closedir(processes);
}

/* ---- all of it */

/* What the kernel itself knows of each CPU (Documentation/scheduler/sched-stats.rst); its domains are left out. */
static void put_schedstat(struct output *output)
{
	FILE *file = fopen("/proc/schedstat", "re");
	char *line = NULL;
	size_t size = 0;

	while (file && getline(&line, &size, file) > 0) {
		if (strncmp(line, "cpu", 3) != 0)
			continue;
		output_make_room(output, TASK_ROOM);
		text_string(&output->text, "p ");
		text_string(&output->text, line);
	}
	free(line);
	if (file)
		fclose(file);
}

static void put_tasks(struct snapshot *snapshot)
{
	struct dirent *entry;
	DIR *all = opendir("/proc");

	while (all && (entry = readdir(all)))
		if (isdigit((unsigned char)entry->d_name[0]))
			look_at_process(snapshot, entry->d_name);
	if (all)
		closedir(all);
}

static void put_begin(const char *name, struct output *output)
{
	output_flush(output);
	text_string(&output->text, "s");
	text_field(&output->text, monotonic_ns());
	text_char(&output->text, ' ');
	text_string(&output->text, name);
	text_char(&output->text, '\n');
}

static void put_end(uint64_t cost_ns, struct output *output)
{
	uint64_t now_ns = monotonic_ns();

	output_make_room(output, TASK_ROOM);
	text_string(&output->text, "z");
	text_field(&output->text, now_ns);
	text_field(&output->text, cost_ns);
	text_char(&output->text, '\n');
	output_flush(output);
}

void tasks_snapshot(struct tasks *tasks, const char *name, const struct watched *guests, struct output *output)
{
	struct snapshot snapshot = { .tasks = tasks, .guests = guests, .output = output };
	uint64_t cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);

	find_owned_processes(tasks);
	put_begin(name, output);
	procstat_sample(&output->text);
	put_schedstat(output);
	put_tasks(&snapshot);
	surroundings_clocks(output);
	put_end(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns, output);
	runtimes_free(&tasks->last);
	tasks->last = snapshot.runtimes;
	surroundings_forget(&snapshot.told);
	event("tasks %" PRIu64 " %s", monotonic_ns(), name);
}
