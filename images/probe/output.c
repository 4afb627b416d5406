// SPDX-License-Identifier: GPL-2.0-only
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loadfiles.h"

#define CHUNK 16384

void output_open(struct output *output, const char *path, size_t limit)
{
	*output = (struct output){ .in = -1, .head = limit / 4, .tail = limit - limit / 4 };
	output->ring = malloc(output->tail + 1);
	output->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (!output->ring || output->file < 0)
		load_die(path);
}

static void put(struct output *output, const char *bytes, size_t length)
{
	while (length > 0) {
		ssize_t went = write(output->file, bytes, length);

		if (went < 0 && errno == EINTR)
			continue;
		if (went <= 0)
			return; /* a full file system: what is missing is missed by whoever reads */
		bytes += went;
		length -= (size_t)went;
	}
}

static void keep(struct output *output, const char *bytes, size_t length)
{
	size_t left = output->written < output->head ? output->head - (size_t)output->written : 0;
	size_t first = length < left ? length : left;

	put(output, bytes, first);
	for (size_t i = first; i < length && output->tail > 0; i++)
		output->ring[(output->written + i - output->head) % output->tail] = bytes[i];
	output->written += length;
}

void output_take(struct output *output)
{
	char bytes[CHUNK];
	ssize_t length = read(output->in, bytes, sizeof(bytes));

	if (length > 0)
		keep(output, bytes, (size_t)length);
	else if (length == 0 || (errno != EAGAIN && errno != EINTR))
		output->in = -1;
}

uint64_t output_lost(const struct output *output)
{
	uint64_t kept = output->head + output->tail;

	return output->written > kept ? output->written - kept : 0;
}

static void put_tail(struct output *output)
{
	uint64_t after = output->written > output->head ? output->written - output->head : 0;
	size_t at = after > output->tail && output->tail > 0 ? after % output->tail : 0;
	char line[64];

	if (after <= output->tail) {
		put(output, output->ring, (size_t)after);
		return;
	}
	snprintf(line, sizeof(line), "\n[pvload: %llu bytes are left out]\n", (unsigned long long)output_lost(output));
	put(output, line, strlen(line));
	put(output, output->ring + at, output->tail - at);
	put(output, output->ring, at);
}

void output_close(struct output *output)
{
	for (uint64_t before = UINT64_MAX; output->in >= 0 && before != output->written;) {
		before = output->written;
		output_take(output);
	}
	put_tail(output);
	close(output->file);
}
