// SPDX-License-Identifier: GPL-2.0-only
#include "duty.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "events.h"
#include "loadduty.h"
#include "pace.h"

static const char *tell_ppm(int fd, uint32_t ppm)
{
	void *header = mmap(NULL, sizeof(struct load_header), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (header == MAP_FAILED)
		return strerror(errno);
	load_tell_duty(header, ppm);
	munmap(header, sizeof(struct load_header));
	return NULL;
}

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
	else
		trouble = tell_ppm(fd, ppm);
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
