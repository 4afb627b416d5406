// SPDX-License-Identifier: GPL-2.0-only
#include "cpulist.h"

#include <ctype.h>
#include <stdlib.h>

static bool parse_cpu(const char **at, unsigned long *cpu)
{
	char *end;

	if (!isdigit((unsigned char)**at))
		return false;
	*cpu = strtoul(*at, &end, 10);
	*at = end;
	return *cpu < MASK_CPUS;
}

bool cpulist_parse(const char *list, uint64_t mask[MASK_WORDS])
{
	const char *at = list;

	memset(mask, 0, MASK_WORDS * sizeof(*mask));
	for (;;) {
		unsigned long first, last;

		if (!parse_cpu(&at, &first))
			return false;
		last = first;
		if (*at == '-' && (at++, !parse_cpu(&at, &last) || last < first))
			return false;
		for (unsigned long cpu = first; cpu <= last; cpu++)
			mask[cpu / 64] |= 1ull << (cpu % 64);
		if (*at == '\0')
			return true;
		if (*at++ != ',')
			return false;
	}
}

static bool has(const uint64_t *mask, unsigned int cpu)
{
	return cpu < MASK_CPUS && (mask[cpu / 64] >> (cpu % 64) & 1);
}

void cpulist_format(const uint64_t mask[MASK_WORDS], struct text *text)
{
	bool any = false;

	for (unsigned int cpu = 0; cpu < MASK_CPUS; cpu++) {
		unsigned int first = cpu;

		if (mask[cpu / 64] == 0) {
			cpu |= 63;
			continue;
		}
		if (!has(mask, cpu))
			continue;
		while (has(mask, cpu + 1))
			cpu++;
		if (any)
			text_char(text, ',');
		any = true;
		text_number(text, first);
		if (cpu > first) {
			text_char(text, '-');
			text_number(text, cpu);
		}
	}
	if (!any)
		text_char(text, '-');
}
