/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Marks in the traces of this kernel: texts that a load writes among the events, by trace_marker.
 *
 * They go into every instance of the tracer that is there at that moment (pvtrace makes one for each window, lab-*).
 * None is kept open: an instance of which a file is open cannot be removed (EBUSY), and a mark is rare. It takes about
 * 10 us on a real machine.
 */
#ifndef MARKER_H
#define MARKER_H

#include <stdint.h>

#define TRACING "/sys/kernel/tracing"
#define INSTANCE_PREFIX "lab-"

/* Where tracefs is mounted; TRACING unless told. */
void marker_tracing(const char *directory);

/*
 * Writes "pvlock hold NAME NS": that the caller holds what it got at `got_ns` of CLOCK_MONOTONIC, for NS by now. To be
 * called while it is held still, so that it was held for all of the NS before the mark. Where nobody traces nothing
 * happens.
 */
void marker_write_hold(const char *name, uint64_t got_ns);

/*
 * Writes "pvlock marks NAME NS": that holds longer than NS are marked. Said again and again, so that a trace in which
 * there was none differs from one in which nobody would have marked it.
 */
void marker_write_limit(const char *name, uint64_t limit_ns);

#endif
