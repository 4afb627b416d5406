/* SPDX-License-Identifier: GPL-2.0-only */
/* What pvspin is asked for, and what its parts share. */
#ifndef SPIN_H
#define SPIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "load_layout.h"

#define SPIN_PROCESS_NAME "pvspin"

struct request {
	const char *name, *directory, *vcpus, *beside, *group, *weight;
	uint32_t tasks, duty_ppm;
	uint64_t period_ns;
	bool daemon, one_each, realtime;
};

_Noreturn void die(const char *what);
_Noreturn void usage_error(const char *text, const char *about);

/* DIRECTORY/PREFIX NAME SUFFIX; the last four are kept. */
const char *path_of(const struct request *request, const char *prefix, const char *suffix);

/* Starts all tasks, in a file that appears complete; they work when spin_begin is called. */
void spin_publish(const struct request *request);
void spin_begin(void);

/* Puts the calling thread onto these CPUs. */
void spin_pin(const uint64_t mask[MASK_WORDS]);

/* The running process of this load, or 0. A number that another process got meanwhile is not it. */
pid_t spin_pid(const struct request *request);

/* What is left of a load whose process has ended: its files, and its control group. */
void spin_forget(const struct request *request);

/* The commands about loads that run already: exit statuses. */
int spin_stop(const struct request *request);
int spin_set_duty(const struct request *request);
int spin_show(const struct request *request);
int spin_end_all(const struct request *request);

#endif
