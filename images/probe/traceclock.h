/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's trace clocks, as far as user space can read the same clock. */
#ifndef TRACECLOCK_H
#define TRACECLOCK_H

#include <stdio.h>

/* NULL if the clock of this name can be paired on this architecture; why not otherwise. */
const char *trace_clock_refusal(const char *name);

/*
 * Writes a line "pair RAW MONO_NS ERROR_NS" for clock `name`: at the moment when it showed RAW, CLOCK_MONOTONIC showed
 * MONO_NS, give or take ERROR_NS. The tightest of several tries: an interrupt or a lost pCPU may lie in one.
 */
void trace_clock_pair(const char *name, FILE *about);

#endif
