/* SPDX-License-Identifier: GPL-2.0-only */
/* tracefs, and the instance in it that one pvtrace makes, uses and removes. Documentation/trace/ftrace.rst */
#ifndef TRACEFS_H
#define TRACEFS_H

#include <stdbool.h>

#include "blob.h"

/* Ends the process with status 1 and what printf makes of it; the instance goes with it. */
_Noreturn void trace_die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Finds tracefs, or mounts it at its usual place. */
void tracefs_open(void);

/* The kernel's own file `name`, not the instance's. False, with errno, where it cannot be read. */
bool tracefs_read(const char *name, struct blob *into);

/* Makes the instance lab-BASENAME-PID, with nothing enabled. It is removed at exit, after what was opened later. */
void instance_make(const char *basename);

/* Waits for others that have it open for a moment. False if it is still there. */
bool instance_remove(void);

/* False, with errno, where the kernel has no such file or does not take `value`. */
bool instance_write(const char *name, const char *value);
void instance_must_write(const char *name, const char *value);

bool instance_read(const char *name, struct blob *into);

/* The file descriptor, or -1 with errno. */
int instance_open(const char *name, int flags);

/* Removes instances named lab-* that no living pvtrace made; says on standard output which. The exit status. */
int instances_clean(void);

#endif
