// SPDX-License-Identifier: GPL-2.0-only
#include "loadfiles.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "pidfile.h"

#define PROCESS_NAME "pvload"
/* From the last SIGKILL until the supervisor has written down what came of it. */
#define PATIENCE_MS 10000

static void name_file(char path[PATH_MAX], const char *directory, const char *name)
{
	if (snprintf(path, PATH_MAX, "%s/%s", directory, name) >= PATH_MAX) {
		errno = ENAMETOOLONG;
		load_die(directory);
	}
}

void load_files_name(struct load_files *files, const char *directory)
{
	name_file(files->trigger, directory, "trigger");
	name_file(files->pid, directory, "pid");
	name_file(files->out, directory, "out");
	name_file(files->status, directory, "status");
	name_file(files->status_new, directory, ".status");
}

static pid_t supervisor_pid(const struct load_files *files)
{
	return pidfile_running(files->pid, PROCESS_NAME);
}

static bool has_ended(const struct load_files *files)
{
	return access(files->status, F_OK) == 0;
}

bool load_wait(const struct load_files *files, int timeout_ms)
{
	struct pollfd ended = { .events = POLLIN };
	pid_t pid = supervisor_pid(files);

	if (!pid) {
		if (has_ended(files))
			return true;
		fprintf(stderr, "pvload: %s: nothing runs, and nothing has ended\n", files->status);
		exit(4);
	}
	ended.fd = pidfd_open(pid, 0);
	if (ended.fd < 0 && errno != ESRCH)
		load_die("pidfd_open");
	if (ended.fd >= 0 && poll(&ended, 1, timeout_ms) == 0)
		return false;
	if (has_ended(files))
		return true;
	fprintf(stderr, "pvload: %s: its supervisor died\n", files->status);
	exit(4);
}

int load_stop(const struct load_files *files, int grace_ms)
{
	pid_t pid = supervisor_pid(files);
	union sigval grace = { .sival_int = grace_ms };

	if (!pid) {
		if (has_ended(files))
			return 0;
		fprintf(stderr, "pvload: %s: no such load was armed\n", files->pid);
		return 1;
	}
	if (sigqueue(pid, SIGTERM, grace) != 0 && errno != ESRCH)
		load_die("the supervisor");
	return load_wait(files, grace_ms + PATIENCE_MS) ? 0 : 1;
}
