// SPDX-License-Identifier: GPL-2.0-only
#include "tracesetup.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "blob.h"
#include "tracefs.h"

static const char *basename_of(char *path)
{
	size_t length = strlen(path);
	const char *slash;

	while (length > 1 && path[length - 1] == '/')
		path[--length] = '\0';
	slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

/* As the kernel reads masks: groups of 32 bits, the highest first. */
static void set_cpumask(const uint64_t cpus[MASK_WORDS])
{
	struct blob mask = { 0 };

	for (int group = 2 * MASK_WORDS - 1; group >= 0; group--) {
		uint32_t bits = (uint32_t)(cpus[group / 2] >> (32 * (group % 2)));

		if (mask.length > 0)
			blob_format(&mask, ",%08" PRIx32, bits);
		else if (bits || group == 0)
			blob_format(&mask, "%" PRIx32, bits);
	}
	instance_must_write("tracing_cpumask", blob_text(&mask));
	blob_free(&mask);
}

static void set_buffers(const struct trace_request *request)
{
	char name[64], value[32];

	instance_write("buffer_size_kb", "1"); /* CPUs that are not recorded need none */
	snprintf(value, sizeof(value), "%" PRIu64, request->buffer_kib);
	for (unsigned int number = 0; number < MASK_CPUS; number++)
		if (request->cpus[number / 64] >> (number % 64) & 1) {
			snprintf(name, sizeof(name), "per_cpu/cpu%u/buffer_size_kb", number);
			instance_must_write(name, value);
		}
	instance_write("buffer_percent", "50");
}

static void set_pids(const char *path)
{
	struct blob pids = { 0 };
	FILE *file = fopen(path, "re");
	char line[64];

	if (!file)
		trace_die("%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (!line[0] || line[strspn(line, "0123456789")])
			trace_die("%s: not a thread's number: %s", path, line);
		blob_format(&pids, "%s\n", line);
	}
	fclose(file);
	if (pids.length == 0)
		trace_die("%s: no thread in it: nothing would be recorded", path);
	instance_must_write("set_event_pid", blob_text(&pids));
	instance_must_write("options/event-fork", "1");
	blob_free(&pids);
}

/* A new instance takes over what somebody has chosen for the kernel's own buffer. */
static void set_options(void)
{
	instance_must_write("options/overwrite", "1"); /* what is lost is told where, in the page after it */
	instance_write("options/record-tgid", "0");
	instance_write("options/stacktrace", "0");
	instance_write("options/userstacktrace", "0");
}

void trace_prepare(struct trace_request *request)
{
	tracefs_open();
	instance_make(basename_of(request->directory));
	instance_must_write("trace_clock", request->clock);
	set_options();
	set_buffers(request); /* before the mask, since it names a CPU that is not there */
	set_cpumask(request->cpus);
	if (request->pids)
		set_pids(request->pids);
}

/* The instance has a trace_marker of its own, whose texts always come; since Linux 6.16, the kernel's own's do too. */
static bool enable_marks(void)
{
	instance_write("options/copy_trace_marker", "1");
	return instance_write("options/markers", "1");
}

bool trace_enable(const char *event)
{
	const char *colon = strchr(event, ':');
	char name[PATH_MAX];

	if (strcmp(event, "ftrace:print") == 0)
		return enable_marks();
	snprintf(name, sizeof(name), "events/%.*s/%s/enable", (int)(colon - event), event, colon + 1);
	return instance_write(name, "1");
}
