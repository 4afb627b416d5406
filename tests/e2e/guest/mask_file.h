/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What guest programs of the scenarios share: files of sysfs, CPU lists as bits, time, random numbers.
 */
#ifndef MASK_FILE_H
#define MASK_FILE_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define CPU_ROOT "/sys/devices/system/cpu"
#define MASK CPU_ROOT "/paravirt"
#define GOVERNOR "/sys/kernel/debug/sched/paravirt_governor"
/* Bits of a CPU list, and one more for a CPU that does not exist. */
#define MAX_CPUS 62
#define UNREADABLE (UINT64_C(1) << 63)

static inline _Noreturn void die(const char *what)
{
	printf("bail out: %s: %s\n", what, strerror(errno));
	fflush(stdout);
	_exit(2);
}

/* 0, or the errno of opening or of the one write. */
static inline int put_bytes(const char *path, const void *bytes, size_t size)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	int err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, bytes, size) < 0)
		err = errno;
	close(fd);
	return err;
}

static inline int put(const char *path, const char *text)
{
	return put_bytes(path, text, strlen(text));
}

/* The file's first line without its end. Returns @text; it is empty where there is no such file. */
static inline char *get(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	return text;
}

static inline uint64_t cpu_bits(unsigned long first, unsigned long last)
{
	uint64_t bits = 0;

	for (unsigned long cpu = first; cpu <= last; cpu++)
		bits |= cpu < MAX_CPUS ? UINT64_C(1) << cpu : UNREADABLE;
	return bits;
}

/* "0-2,5" as bits; UNREADABLE where it is no list of CPUs below MAX_CPUS. */
static inline uint64_t parse_list(const char *text)
{
	uint64_t bits = 0;

	while (*text) {
		char *end;
		unsigned long first = strtoul(text, &end, 10), last = first;

		if (end == text)
			return UNREADABLE;
		if (*end == '-') {
			text = end + 1;
			last = strtoul(text, &end, 10);
			if (end == text)
				return UNREADABLE;
		}
		if ((*end && *end != ',') || last < first || last > MAX_CPUS)
			return UNREADABLE;
		bits |= cpu_bits(first, last);
		text = *end ? end + 1 : end;
	}
	return bits;
}

static inline void render_list(uint64_t bits, char *text, size_t size)
{
	size_t used = 0;

	text[0] = 0;
	for (int cpu = 0; cpu < MAX_CPUS; cpu++)
		if (bits >> cpu & 1)
			used += (size_t)snprintf(text + used, size - used, "%s%d", used ? "," : "", cpu);
	snprintf(text + used, size - used, "\n");
}

static inline uint64_t read_list(const char *path)
{
	char text[512];

	return parse_list(get(path, text, sizeof(text)));
}

/* 0, or the errno of the write. */
static inline int write_mask(uint64_t bits)
{
	char text[512];

	render_list(bits, text, sizeof(text));
	return put(MASK, text);
}

static inline long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000;
}

static inline void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* xorshift64*: each user has a state of its own, so that a seed gives each the same numbers again. */
static inline uint64_t next_random(uint64_t *state)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return *state * UINT64_C(2685821657736338717);
}

static inline long random_below(uint64_t *state, long limit)
{
	return (long)((next_random(state) >> 11) % (uint64_t)limit);
}

/* The state for user @number of @seed: never 0, and far from those of other users. */
static inline uint64_t random_state(unsigned long seed, unsigned int number)
{
	uint64_t state = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) + number * UINT64_C(0xbf58476d1ce4e5b9);

	return state ? state : 1;
}

#endif
