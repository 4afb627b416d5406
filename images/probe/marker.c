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

/* "pvlock WHAT NAME NS", where NS is `ns`, or with `since_ns` what has passed since then. */
struct mark {
	const char *what, *name;
	uint64_t ns, since_ns;
};

/* Only now is it known how long ago something was: finding and opening the file took time, too. */
static void write_into(int fd, const struct mark *mark)
{
	char text[MARK_MAX];
	uint64_t ns = mark->since_ns ? monotonic_ns() - mark->since_ns : mark->ns;
	int length = snprintf(text, sizeof(text), "pvlock %s %.31s %llu\n", mark->what, mark->name,
			      (unsigned long long)ns);

	/* An instance that ends at this moment takes no marks any more: nobody misses this one. */
	if (write(fd, text, (size_t)length) != length)
		return;
}

static void write_mark(const struct mark *mark)
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
		write_into(fd, mark);
		close(fd);
	}
	if (instances)
		closedir(instances);
}

void marker_write_hold(const char *name, uint64_t got_ns)
{
	write_mark(&(struct mark){ .what = "hold", .name = name, .since_ns = got_ns });
}

void marker_write_limit(const char *name, uint64_t limit_ns)
{
	write_mark(&(struct mark){ .what = "marks", .name = name, .ns = limit_ns });
}
