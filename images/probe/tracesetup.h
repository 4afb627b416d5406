/* SPDX-License-Identifier: GPL-2.0-only */
/* What is to be recorded, and an instance that is ready for it. */
#ifndef TRACESETUP_H
#define TRACESETUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpulist.h"

struct trace_request {
	char *directory;
	const char *clock, *pids; /* pids: a file, or NULL */
	uint64_t cpus[MASK_WORDS];
	bool has_cpus;
	uint64_t buffer_kib, limit; /* limit: in bytes */
	char **events;
	size_t event_count;
};

/* Makes the instance, which records nothing yet; ends the process where something cannot be had. */
void trace_prepare(struct trace_request *request);

/* Enables one SYSTEM:EVENT. False where this kernel has none. */
bool trace_enable(const char *event);

#endif
