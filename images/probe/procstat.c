// SPDX-License-Identifier: GPL-2.0-only
#include "procstat.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * The CPU lines come first in the file (fs/proc/stat.c, show_stat), so a buffer that holds them is enough:
 * one line is at most "cpuNNNN" and ten 20-digit numbers.
 */
#define LINE_MAX_BYTES 220

static int stat_fd = -1;
static char *buffer;
static size_t buffer_size;

int procstat_open(void)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	buffer_size = (size_t)(cpus + 1) * LINE_MAX_BYTES;
	buffer = malloc(buffer_size);
	stat_fd = open("/proc/stat", O_RDONLY | O_CLOEXEC);
	return buffer && stat_fd >= 0 ? 0 : -1;
}

bool procstat_sample(struct text *sample)
{
	ssize_t length = pread(stat_fd, buffer, buffer_size, 0);
	const char *line = buffer, *end;

	if (length <= 0)
		return false;
	while ((end = memchr(line, '\n', (size_t)(buffer + length - line)))) {
		if (end - line < 4 || memcmp(line, "cpu", 3) != 0)
			break;
		if (line[3] != ' ') { /* "cpu " is the sum over all CPUs */
			text_string(sample, "k ");
			text_bytes(sample, line, (size_t)(end + 1 - line));
		}
		line = end + 1;
	}
	return true;
}
