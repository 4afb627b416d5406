/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's cpulist format ("0-2,5") to and from bit masks. */
#ifndef CPULIST_H
#define CPULIST_H

#include "text.h"

#define MASK_CPUS 1024
#define MASK_WORDS (MASK_CPUS / 64)

/* Fills `mask` from `list`; false if `list` is no cpulist, is empty, or names a CPU of MASK_CPUS or more. */
bool cpulist_parse(const char *list, uint64_t mask[MASK_WORDS]);

/* Appends the shortest cpulist of `mask`; "-" if no bit is set, since a field of the stream is never empty. */
void cpulist_format(const uint64_t mask[MASK_WORDS], struct text *text);

#endif
