// SPDX-License-Identifier: GPL-2.0-only
/* What pvspin does about loads that run already. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loadduty.h"
#include "monotonic.h"
#include "pidfile.h"
#include "spin.h"

#define STOP_WAIT_MS 5000
#define GROUP_TRIES 100
#define ENTRIES_MAX 256

pid_t spin_pid(const struct request *request)
{
	return pidfile_running(path_of(request, "", ".pid"), SPIN_PROCESS_NAME);
}

/* A group can be removed when its last process is gone for good, which may take a moment after its end. */
static void remove_group(const struct request *request)
{
	FILE *file = fopen(path_of(request, "", ".group"), "re");
	char directory[PATH_MAX] = "";

	if (!file)
		return;
	if (fgets(directory, sizeof(directory), file))
		directory[strcspn(directory, "\n")] = '\0';
	fclose(file);
	for (int tries = 0; tries < GROUP_TRIES && rmdir(directory) != 0 && errno == EBUSY; tries++)
		nap_ns(10 * NS_PER_MS);
}

void spin_forget(const struct request *request)
{
	remove_group(request);
	unlink(path_of(request, "", ""));
	unlink(path_of(request, "", ".pid"));
	unlink(path_of(request, "", ".group"));
}

int spin_stop(const struct request *request)
{
	pid_t pid = spin_pid(request);
	struct pollfd ended = { .events = POLLIN };

	if (!pid) {
		spin_forget(request);
		fprintf(stderr, "pvspin: load %s does not run\n", request->name);
		return 1;
	}
	ended.fd = pidfd_open(pid, 0);
	if (ended.fd < 0 || kill(pid, SIGTERM) != 0)
		die(request->name);
	if (poll(&ended, 1, STOP_WAIT_MS) == 0)
		kill(pid, SIGKILL);
	poll(&ended, 1, STOP_WAIT_MS);
	spin_forget(request);
	return 0;
}

static struct load_file *map_counters(const struct request *request, int protection)
{
	const char *path = path_of(request, "", "");
	int fd = open(path, protection & PROT_WRITE ? O_RDWR | O_CLOEXEC : O_RDONLY | O_CLOEXEC);
	struct stat about;
	void *file;

	if (fd < 0)
		return NULL;
	if (fstat(fd, &about) != 0)
		die(path);
	file = mmap(NULL, (size_t)about.st_size, protection, MAP_SHARED, fd, 0);
	close(fd);
	return file == MAP_FAILED ? NULL : file;
}

int spin_set_duty(const struct request *request)
{
	struct load_file *file = spin_pid(request) ? map_counters(request, PROT_READ | PROT_WRITE) : NULL;

	if (!file) {
		fprintf(stderr, "pvspin: load %s does not run\n", request->name);
		return 1;
	}
	load_tell_duty(&file->header, request->duty_ppm);
	return 0;
}

static void show_tasks(const char *name, const struct load_file *file)
{
	for (uint32_t number = 0; number < file->header.tasks; number++) {
		const struct load_task *task = &file->task[number];

		printf("task %s %u tid=%d t_ns=%llu work=%llu run_ns=%llu cpu=%u duty_ppm=%u\n", name, number,
		       (int)atomic_load(&task->tid), (unsigned long long)monotonic_ns(),
		       (unsigned long long)atomic_load(&task->work), (unsigned long long)atomic_load(&task->run_ns),
		       atomic_load(&task->vcpu), atomic_load(&file->header.duty_ppm));
	}
}

/* Calls `about` with every load that has a file of this suffix in the directory. */
static void for_each_load(const char *directory, const char *suffix, void (*about)(const struct request *))
{
	static char names[ENTRIES_MAX][LOAD_MAX_NAME + 1];
	DIR *entries = opendir(directory);
	struct dirent *entry;
	size_t count = 0;

	while (entries && count < ENTRIES_MAX && (entry = readdir(entries))) {
		char *dot = strrchr(entry->d_name, '.');

		if (!dot || strcmp(dot, suffix) != 0)
			continue;
		*dot = '\0';
		if (load_name_valid(entry->d_name))
			strcpy(names[count++], entry->d_name);
	}
	if (entries)
		closedir(entries);
	for (size_t i = 0; i < count; i++)
		about(&(struct request){ .name = names[i], .directory = directory });
}

static void show_one(const struct request *request)
{
	struct load_file *file = spin_pid(request) ? map_counters(request, PROT_READ) : NULL;

	if (file)
		show_tasks(request->name, file);
}

static void end_one(const struct request *request)
{
	if (spin_pid(request))
		spin_stop(request);
	else
		spin_forget(request);
}

int spin_show(const struct request *request)
{
	for_each_load(request->directory, ".pid", show_one);
	return 0;
}

/*
 * Whoever starts a load meanwhile must not slip through: with its directory gone under that name, it can neither write
 * its number down nor put its counters into place, and ends.
 */
int spin_end_all(const struct request *request)
{
	char ended[PATH_MAX];

	snprintf(ended, sizeof(ended), "%s.ended", request->directory);
	if (rename(request->directory, ended) != 0 && errno != ENOENT)
		die(request->directory);
	for_each_load(ended, ".pid", end_one);
	for_each_load(ended, ".group", end_one);
	return 0;
}
