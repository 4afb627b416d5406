// SPDX-License-Identifier: GPL-2.0-only
/* `pvprobe guest`: samples this machine's CPUs and loads, and streams them to a port. */
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "commands.h"
#include "files.h"
#include "load_layout.h"
#include "loads.h"
#include "monotonic.h"
#include "port.h"
#include "procstat.h"
#include "ring.h"
#include "schedule.h"

#define RING_SIZE "1048576"
/* Room for 256 vCPUs and 1024 tasks; what is larger is dropped and counted. */
#define SAMPLE_SIZE (192 * 1024)
/*
 * Samples go to the port in batches: waking the writer and kicking the device costs more than sampling, above
 * all in an emulated host where an exit is dear. The first ones go at once, since their reader waits for them
 * and the match of the clocks is as good as the quickest delivery.
 */
#define BATCH_NS (500 * NS_PER_MS)
#define FIRST_SAMPLES 20

static char sample_bytes[SAMPLE_SIZE];

static const char *make_hello(uint64_t interval_ns, const char *sched)
{
	static char hello[256];

	snprintf(hello, sizeof(hello),
		 "pvprobe 1 guest interval_ms=%" PRIu64 " boot_ns=%" PRIu64 " user_hz=%ld vcpus=%ld sched=%s\n",
		 interval_ns / NS_PER_MS, monotonic_ns(), sysconf(_SC_CLK_TCK), sysconf(_SC_NPROCESSORS_ONLN), sched);
	return hello;
}

static void take_sample(struct files *files, struct loads *loads, uint64_t number, struct text *sample)
{
	text_reset(sample);
	text_string(sample, "b");
	text_field(sample, number);
	text_field(sample, monotonic_ns());
	text_char(sample, '\n');
	sample->overflow |= !procstat_sample(sample);
	files_sample(files, sample);
	loads_sample(loads, sample);
	text_string(sample, "e");
	text_field(sample, number);
	text_field(sample, monotonic_ns());
	text_field(sample, clock_ns(CLOCK_PROCESS_CPUTIME_ID));
	text_char(sample, '\n');
}

static _Noreturn void sample_for_ever(struct files *files, struct loads *loads, struct ring *ring, struct port *port,
				      uint64_t interval_ns)
{
	struct text sample = { .bytes = sample_bytes, .size = sizeof(sample_bytes) };
	uint64_t due_ns = monotonic_ns(), batch = (BATCH_NS + interval_ns - 1) / interval_ns;

	for (uint64_t number = 0;; number++) {
		take_sample(files, loads, number, &sample);
		if (sample.overflow)
			ring_count_drop(ring);
		else
			ring_push(ring, sample.bytes, sample.length);
		if (number < FIRST_SAMPLES || number % batch == 0)
			port_wake(port);
		due_ns = schedule_sleep_until_next(due_ns, interval_ns);
	}
}

static size_t parse_ring_size(const char *text)
{
	char *end;
	unsigned long size = strtoul(text, &end, 10);

	if (*end != '\0' || size < 4096 || size > (1ul << 30))
		usage_error("the ring must be 4096 bytes to 1 GiB, not ", text);
	return size;
}

int guest_command(int argc, char **argv)
{
	static const char *const known[] = { "--port", "--interval", "--load-dir", "--ring", "--watch", NULL };
	struct files *files;
	struct loads *loads;
	struct ring *ring;
	struct port *port;
	uint64_t interval_ns;

	check_options(argc, argv, known);
	interval_ns = parse_interval_ns(option(argc, argv, "--interval", NULL));
	signal(SIGPIPE, SIG_IGN);
	loads = loads_watch(option(argc, argv, "--load-dir", LOAD_DIR));
	ring = ring_create(parse_ring_size(option(argc, argv, "--ring", RING_SIZE)));
	files = files_watch(option(argc, argv, "--watch", ""));
	if (!files || !loads || !ring)
		die("buffers");
	if (procstat_open() != 0)
		die("/proc/stat");
	port = port_start(option(argc, argv, "--port", NULL), ring,
			  make_hello(interval_ns, schedule_be_punctual()));
	if (!port)
		die("writer thread");
	sample_for_ever(files, loads, ring, port, interval_ns);
}
