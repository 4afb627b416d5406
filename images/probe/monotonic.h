/* SPDX-License-Identifier: GPL-2.0-only */
/* Clocks as one number of nanoseconds. */
#ifndef MONOTONIC_H
#define MONOTONIC_H

#include <stdint.h>
#include <time.h>

#define NS_PER_S UINT64_C(1000000000)
#define NS_PER_MS UINT64_C(1000000)

static inline uint64_t clock_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static inline uint64_t monotonic_ns(void)
{
	return clock_ns(CLOCK_MONOTONIC);
}

static inline void nap_ns(uint64_t ns)
{
	struct timespec span = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };

	nanosleep(&span, NULL);
}

#endif
