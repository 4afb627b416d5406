/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A knob's place in this kernel, by KIND[+reload]:PATH as lab/knobs/model.py has them, and what can be done with it.
 */
#ifndef KNOB_H
#define KNOB_H

#include <limits.h>
#include <sys/types.h>

#include "blob.h"

enum knob_state {
	KNOB_ABSENT,
	KNOB_READABLE,
	KNOB_WRITABLE,
	KNOB_LOADABLE, /* its module is there, but not loaded */
};

/* Where something was tried and what came of it. `error` is an errno, 0 where all went well. */
struct outcome {
	char place[PATH_MAX];
	int error;
	char why[512];
};

/*
 * A knob as it is. What brings it back is writing `back` to the knob `undo`: mostly the value to the knob itself,
 * but a module's parameter comes back with the whole module, and of "always [never]" only "never" can be written.
 */
struct reading {
	struct blob value, undo, back;
};

struct knob_kind;

struct knob {
	const char *word, *path;
	const struct knob_kind *kind;
	bool reload;
};

struct knob_kind {
	const char *name;
	/* What this kernel has. `outcome` says what was looked at, and why there is nothing. */
	enum knob_state (*probe)(const struct knob *knob, struct outcome *outcome);
	/* Fills `reading->value`, and the rest where it is not the value for the knob itself. */
	bool (*read)(const struct knob *knob, struct reading *reading, struct outcome *outcome);
	bool (*write)(const struct knob *knob, const struct blob *value, struct outcome *outcome);
	/* For kinds that are one file: makes that the outcome's place; false where there cannot be one. */
	bool (*find)(const struct knob *knob, struct outcome *outcome);
};

extern const struct knob_kind knob_file, knob_debugfs, knob_sysctl, knob_cmdline, knob_sched_feature, knob_cgroup,
	knob_domain_cgroup, knob_module_parameter, knob_module, knob_cpu_online, knob_isolated_partition;

/* The knob of a word; false if its kind is unknown. */
bool knob_parse(const char *word, struct knob *knob);

/* Reads; what brings the knob back is always filled in. */
bool knob_read(const struct knob *knob, struct reading *reading, struct outcome *outcome);

void reading_free(struct reading *reading);

struct change {
	struct knob knob;
	struct blob value;
};

/*
 * How many of the changes, from the first on, are done by loading one module once: 0 where the first needs none.
 * Thresholds that a module checks against each other cannot be changed one by one.
 */
size_t module_batch(const struct change *changes, size_t count);

/* Makes these changes. Where the module does not load with them, it is loaded as it was. */
bool module_reload(const struct change *changes, size_t count, struct outcome *outcome);

#endif
