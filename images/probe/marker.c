// SPDX-License-Identifier: GPL-2.0-only
#include "marker.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "monotonic.h"

#define MARK_MAX 80

static const char *tracing = TRACING;

void marker_tracing(const char *directory)
{
	tracing = directory;
}

/* Only now is the length known: finding and opening the file took time, too. */
static void write_into(int fd, const char *name, uint64_t got_ns)
{
	char text[MARK_MAX];
	int length = snprintf(text, sizeof(text), "pvlock hold %.31s %llu\n", name,
			      (unsigned long long)(monotonic_ns() - got_ns));

	/* An instance that ends at this moment takes no marks any more: nobody misses this one. */
	if (write(fd, text, (size_t)length) != length)
		return;
}

void marker_write_hold(const char *name, uint64_t got_ns)
{
	char path[PATH_MAX];
	struct dirent *entry;
	DIR *instances;

	snprintf(path, sizeof(path), "%.3000s/instances", tracing);
	instances = opendir(path);
	while (instances && (entry = readdir(instances))) {
		int fd;

		if (strncmp(entry->d_name, INSTANCE_PREFIX, strlen(INSTANCE_PREFIX)) != 0)
			continue;
		snprintf(path, sizeof(path), "%.3000s/instances/%s/trace_marker", tracing, entry->d_name);
		fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
		if (fd < 0)
			continue;
		write_into(fd, name, got_ns);
		close(fd);
	}
	if (instances)
		closedir(instances);
}
