/* SPDX-License-Identifier: GPL-2.0-only */
/* The running loads of a guest, as the probe sees them: counter files kept mapped. */
#ifndef LOADS_H
#define LOADS_H

#include "text.h"

struct loads;

/* Watches `directory`, which need not exist yet. Never fails: no directory is no load. */
struct loads *loads_watch(const char *directory);

/* Appends one `w` line per task of every running load. */
void loads_sample(struct loads *loads, struct text *sample);

#endif
