/* SPDX-License-Identifier: GPL-2.0-only */
/* Modules of the running kernel: whether they are loaded, and loading and unloading. */
#ifndef KNOBMODULE_H
#define KNOBMODULE_H

#include "knobio.h"

#define MODULE_NAME 64

enum module_state {
	MODULE_NONE, /* neither loaded nor known below /lib/modules */
	MODULE_UNLOADED,
	MODULE_LOADED,
	MODULE_BUILTIN,
};

/* The name as sysfs has it: with underscores. */
void module_name(const char *name, size_t length, char sysfs_name[MODULE_NAME]);

enum module_state module_look(const char *name, struct outcome *outcome);

/* Whether the file of a module that is not loaded has the parameter; true where it cannot be told. */
bool module_has_parameter(const char *name, const char *parameter);

bool module_unload(const char *name, struct outcome *outcome);

/* With its dependencies. `parameters` are NAME=VALUE words. */
bool module_load(const char *name, const char *parameters, struct outcome *outcome);

#endif
