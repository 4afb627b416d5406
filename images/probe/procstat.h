/* SPDX-License-Identifier: GPL-2.0-only */
/* /proc/stat, the lines of single CPUs. */
#ifndef PROCSTAT_H
#define PROCSTAT_H

#include "text.h"

/* Opens /proc/stat and sizes the read buffer. Returns 0, or -1 with errno set. */
int procstat_open(void);

/* Appends one `k` line per CPU, from a single read. False if the read failed. */
bool procstat_sample(struct text *sample);

#endif
