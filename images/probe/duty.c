// SPDX-License-Identifier: GPL-2.0-only
#include "duty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "events.h"
#include "load_layout.h"
#include "pace.h"

static const char *write_ppm(const char *path, uint32_t ppm)
{
	struct load_header header = { 0 };
	int fd = open(path, O_RDWR | O_CLOEXEC);
	const char *trouble = NULL;

	if (fd < 0)
		return strerror(errno);
	if (pread(fd, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    memcmp(header.magic, LOAD_MAGIC, sizeof(header.magic)) != 0 || header.version != LOAD_VERSION)
		trouble = "is no counter file";
	else if (pwrite(fd, &ppm, sizeof(ppm), offsetof(struct load_header, duty_ppm)) != (ssize_t)sizeof(ppm))
		trouble = strerror(errno);
	close(fd);
	return trouble;
}

void duty_write(const char *arguments)
{
	char path[PATH_MAX];
	const char *trouble;
	unsigned int ppm;
	int end = 0;

	if (sscanf(arguments, "%4095s %u%n", path, &ppm, &end) != 2 || arguments[end] != '\0' || ppm > PPM) {
		event("error - expected: duty FILE PPM");
		return;
	}
	trouble = write_ppm(path, ppm);
	if (trouble)
		event("error - duty %s: %s", path, trouble);
}
