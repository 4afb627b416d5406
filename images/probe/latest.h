/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The latest whole sample of a guest's stream, as far as its steal goes: read as the bytes pass on their way to the
 * stream's file, so that whoever governs a guest need not wait for a file or an ssh.
 */
#ifndef LATEST_H
#define LATEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define LATEST_VCPUS 256
/* What matters of a line fits: "k cpuNNN" and eight numbers of at most 20 digits. The rest of it is skipped. */
#define LATEST_LINE 192

struct latest_sample {
	uint64_t t0_ns, t1_ns; /* of the guest's clock, as its `b` and `e` lines have them */
	size_t count;
	struct {
		unsigned int vcpu;
		uint64_t steal; /* in units of 1/user_hz s */
	} steal[LATEST_VCPUS];
};

struct latest {
	bool known, open;
	uint64_t arrived_ns; /* when the read that ended the sample returned, on this host's clock */
	uint64_t user_hz;
	struct latest_sample whole, coming;
	size_t length;
	char line[LATEST_LINE];
};

/* Takes bytes of a stream from its first line on, in order; `now_ns` is when they came. */
void latest_take(struct latest *latest, const char *bytes, size_t length, uint64_t now_ns);

#endif
