/* SPDX-License-Identifier: GPL-2.0-only */
/* The vCPU threads of one emulator process, found by the names QEMU gives them ("CPU 0/KVM", "CPU 0/TCG"). */
#ifndef VCPUS_H
#define VCPUS_H

#include <stdint.h>
#include <sys/types.h>

#include "text.h"

#define VCPUS_MAX 256

struct vcpu {
	unsigned int number;
	pid_t tid;
	int schedstat_fd, status_fd;
	uint64_t t_ns, run_ns, delay_ns; /* as it was sampled last: the middle of the read; t_ns is 0 before that */
};

struct vcpus {
	size_t count;
	struct vcpu vcpu[VCPUS_MAX];
};

/* Adds the threads of `pid` that are not known yet; returns how many it added. */
size_t vcpus_scan(struct vcpus *vcpus, pid_t pid);

/* Appends one `v` line per thread; a thread that has ended is forgotten. */
void vcpus_sample(struct vcpus *vcpus, const char *guest, struct text *out);

void vcpus_close(struct vcpus *vcpus);

#endif
