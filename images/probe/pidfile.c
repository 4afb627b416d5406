// SPDX-License-Identifier: GPL-2.0-only
#include "pidfile.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static bool is_called(pid_t pid, const char *comm)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(name, sizeof(name), file))
		name[strcspn(name, "\n")] = '\0';
	fclose(file);
	return strcmp(name, comm) == 0;
}

pid_t pidfile_running(const char *path, const char *comm)
{
	FILE *file = fopen(path, "re");
	int pid = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid > 0 && is_called(pid, comm) ? pid : 0;
}
