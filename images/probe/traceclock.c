// SPDX-License-Identifier: GPL-2.0-only
#include "traceclock.h"

#include <inttypes.h>
#include <stdint.h>
#include <string.h>

#include "monotonic.h"

#ifdef __x86_64__
#include <x86intrin.h>
#endif

#define TRIES 25

struct pair {
	uint64_t raw, mono_ns, width_ns;
};

#ifdef __x86_64__
/* The same as the kernel's rdtsc_ordered(), which is what its clock x86-tsc shows (arch/x86/kernel/trace_clock.c). */
static uint64_t read_tsc(void)
{
	uint64_t ticks;

	_mm_lfence();
	ticks = __rdtsc();
	_mm_lfence();
	return ticks;
}
#endif

static uint64_t read_mono_raw(void)
{
	return clock_ns(CLOCK_MONOTONIC_RAW);
}

static uint64_t read_boot(void)
{
	return clock_ns(CLOCK_BOOTTIME);
}

/* kernel/trace/trace.c, trace_clocks[]. Of `mono` a pair is what one reading shows. */
static const struct clock {
	const char *name;
	uint64_t (*read)(void);
} clocks[] = {
#ifdef __x86_64__
	{ "x86-tsc", read_tsc },
#endif
	{ "mono", NULL },
	{ "mono_raw", read_mono_raw },
	{ "boot", read_boot },
};

static const struct clock *find_clock(const char *name)
{
	for (size_t i = 0; i < sizeof(clocks) / sizeof(*clocks); i++)
		if (strcmp(clocks[i].name, name) == 0)
			return &clocks[i];
	return NULL;
}

const char *trace_clock_refusal(const char *name)
{
	if (find_clock(name))
		return NULL;
	if (strcmp(name, "x86-tsc") == 0)
		return "this architecture has no time stamp counter (x86_64 only): use clock=mono";
	return "no clock that user space can read too: there are x86-tsc, mono, mono_raw and boot";
}

static struct pair read_pair(const struct clock *clock)
{
	uint64_t before = monotonic_ns();
	uint64_t raw = clock->read ? clock->read() : before;
	uint64_t width = clock->read ? monotonic_ns() - before : 0;

	return (struct pair){ raw, before + width / 2, width };
}

void trace_clock_pair(const char *name, FILE *about)
{
	const struct clock *clock = find_clock(name);
	struct pair best = read_pair(clock);

	for (int try = 1; try < TRIES && best.width_ns > 0; try++) {
		struct pair pair = read_pair(clock);

		if (pair.width_ns < best.width_ns)
			best = pair;
	}
	fprintf(about, "pair %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", best.raw, best.mono_ns, (best.width_ns + 1) / 2);
}
