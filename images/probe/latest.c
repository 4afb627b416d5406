// SPDX-License-Identifier: GPL-2.0-only
#include "latest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Columns of /proc/stat before steal: user nice system idle iowait irq softirq (proc_stat(5)). */
#define BEFORE_STEAL 7

static void begin(struct latest *latest, const char *words)
{
	char *end;

	strtoull(words, &end, 10); /* SEQ */
	latest->coming = (struct latest_sample){ .t0_ns = strtoull(end, NULL, 10) };
	latest->open = true;
}

static void take_cpu(struct latest *latest, const char *words)
{
	struct latest_sample *coming = &latest->coming;
	char *at;
	unsigned long vcpu = strtoul(words, &at, 10);

	if (!latest->open || at == words || coming->count == LATEST_VCPUS)
		return;
	for (int column = 0; column < BEFORE_STEAL; column++)
		strtoull(at, &at, 10);
	coming->steal[coming->count].vcpu = (unsigned int)vcpu;
	coming->steal[coming->count++].steal = strtoull(at, NULL, 10);
}

static void finish(struct latest *latest, const char *words, uint64_t now_ns)
{
	char *end;

	if (!latest->open)
		return;
	strtoull(words, &end, 10); /* SEQ */
	latest->coming.t1_ns = strtoull(end, NULL, 10);
	latest->whole = latest->coming;
	latest->arrived_ns = now_ns;
	latest->open = false;
	latest->known = true;
}

static void take_hello(struct latest *latest)
{
	const char *at = strstr(latest->line, " user_hz=");

	latest->known = latest->open = false;
	latest->user_hz = at ? strtoull(at + strlen(" user_hz="), NULL, 10) : 0;
	if (latest->user_hz == 0)
		latest->user_hz = 100; /* on every Linux since 2.6 */
}

static void take_line(struct latest *latest, uint64_t now_ns)
{
	const char *line = latest->line;

	latest->line[latest->length] = '\0';
	if (strncmp(line, "k cpu", 5) == 0)
		take_cpu(latest, line + 5);
	else if (strncmp(line, "b ", 2) == 0)
		begin(latest, line + 2);
	else if (strncmp(line, "e ", 2) == 0)
		finish(latest, line + 2, now_ns);
	else if (strncmp(line, "pvprobe ", 8) == 0)
		take_hello(latest);
	latest->length = 0;
}

void latest_take(struct latest *latest, const char *bytes, size_t length, uint64_t now_ns)
{
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] == '\n')
			take_line(latest, now_ns);
		else if (latest->length < LATEST_LINE - 1)
			latest->line[latest->length++] = bytes[i];
	}
}
