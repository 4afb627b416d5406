// SPDX-License-Identifier: GPL-2.0-only
/* `pvprobe clock` and `pvprobe tsc`: what a lab needs to know about a machine's clocks. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "commands.h"
#include "monotonic.h"

static void read_boot_id(char *boot_id, int size)
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!file || !fgets(boot_id, size, file))
		die("/proc/sys/kernel/random/boot_id");
	fclose(file);
	boot_id[strcspn(boot_id, "\n")] = '\0';
}

int clock_command(int argc, char **argv)
{
	char boot_id[64];

	check_options(argc, argv, (const char *const[]){ NULL });
	read_boot_id(boot_id, sizeof(boot_id));
	printf("%" PRIu64 " %" PRIu64 " %s\n", monotonic_ns(), clock_ns(CLOCK_REALTIME), boot_id);
	return 0;
}

#ifdef __x86_64__
#include <x86intrin.h>

#define TSC_SPAN_NS (200 * NS_PER_MS)

struct reading {
	uint64_t ns, ticks;
};

/* The tightest of several pairs: the clock and the counter are read at nearly the same moment there. */
static struct reading read_both(void)
{
	struct reading best = { 0 };
	uint64_t best_width = UINT64_MAX;

	for (int attempt = 0; attempt < 50; attempt++) {
		uint64_t before = __rdtsc();
		uint64_t ns = clock_ns(CLOCK_MONOTONIC_RAW);
		uint64_t width = __rdtsc() - before;

		if (width < best_width) {
			best_width = width;
			best = (struct reading){ ns, before + width / 2 };
		}
	}
	return best;
}

int tsc_command(int argc, char **argv)
{
	struct reading first, last;

	check_options(argc, argv, (const char *const[]){ NULL });
	first = read_both();
	nap_ns(TSC_SPAN_NS);
	last = read_both();
	printf("%.0f\n", (double)(last.ticks - first.ticks) * 1e6 / (double)(last.ns - first.ns));
	return 0;
}
#else
int tsc_command(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	fprintf(stderr, "pvprobe: tsc: this architecture has no time stamp counter (x86_64 only)\n");
	return 2;
}
#endif
