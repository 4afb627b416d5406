// SPDX-License-Identifier: GPL-2.0-only
/*
 * Modules and their parameters. A module's value is "0", or "1" and the parameters that it has: as it can be loaded
 * again. Parameters that sysfs does not show (of permissions 0) cannot be kept.
 */
#include "knobmodule.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int no_dots(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

/* NAME=VALUE, in quotes where there are spaces in it (lib/cmdline.c, next_arg()). "(null)" is an unset charp. */
static void append_parameter(struct blob *state, const char *name, const struct blob *value)
{
	const char *quote = strpbrk(blob_text(value), " \t") ? "\"" : "";

	if (strcmp(blob_text(value), "(null)") != 0)
		blob_format(state, " %s=%s%s%s", name, quote, blob_text(value), quote);
}

static const struct change *find_change(const struct change *changes, size_t count, const char *parameter)
{
	for (size_t i = 0; i < count; i++) {
		const char *slash = strchr(changes[i].knob.path, '/');

		if (slash && strcmp(slash + 1, parameter) == 0)
			return &changes[i];
	}
	return NULL;
}

/* All parameters of a loaded module as sysfs shows them, but for those that are changed. */
static void append_kept(struct blob *state, const char *module, const struct change *changes, size_t count)
{
	struct outcome outcome = { 0 };
	struct dirent **entries;
	int found = scandir(place_at(&outcome, "/sys/module/%s/parameters", module), &entries, no_dots, alphasort);

	for (int i = 0; i < found; i++) {
		struct blob value = { 0 };

		place_at(&outcome, "/sys/module/%s/parameters/%s", module, entries[i]->d_name);
		if (!find_change(changes, count, entries[i]->d_name) && file_read(&outcome, &value))
			append_parameter(state, entries[i]->d_name, &value);
		blob_free(&value);
		free(entries[i]);
	}
	if (found >= 0)
		free(entries);
}

static void append_state(struct blob *state, const char *module)
{
	struct outcome outcome = { 0 };

	if (module_look(module, &outcome) != MODULE_LOADED) {
		blob_string(state, "0");
		return;
	}
	blob_string(state, "1");
	append_kept(state, module, NULL, 0);
}

/* Brings a module to a state: "0", "1", or "1 NAME=VALUE...". A bare "1" leaves a loaded module as it is. */
static bool bring_to(const char *module, const char *state, struct outcome *outcome)
{
	struct blob now = { 0 };
	struct outcome again = { 0 };
	bool done = true, loaded;

	append_state(&now, module);
	loaded = blob_text(&now)[0] == '1';
	if (strcmp(blob_text(&now), state) == 0 || (loaded && strcmp(state, "1") == 0)) {
		blob_free(&now);
		return true;
	}
	if (loaded)
		done = module_unload(module, outcome);
	if (done && state[0] == '1' && !module_load(module, state[1] ? state + 2 : "", outcome)) {
		done = false;
		if (loaded && !module_load(module, blob_text(&now)[1] ? blob_text(&now) + 2 : "", &again))
			trouble(outcome, outcome->error, "and it does not load as it was either: %s", strerror(again.error));
	}
	blob_free(&now);
	return done;
}

/* ---- module: NAME */

static enum knob_state module_probe(const struct knob *knob, struct outcome *outcome)
{
	static const enum knob_state states[] = {
		[MODULE_NONE] = KNOB_ABSENT,
		[MODULE_UNLOADED] = KNOB_LOADABLE,
		[MODULE_LOADED] = KNOB_WRITABLE,
		[MODULE_BUILTIN] = KNOB_READABLE,
	};
	char module[MODULE_NAME];

	module_name(knob->path, strlen(knob->path), module);
	return states[module_look(module, outcome)];
}

static bool module_read(const struct knob *knob, struct reading *reading, struct outcome *outcome)
{
	char module[MODULE_NAME];
	enum module_state state;

	module_name(knob->path, strlen(knob->path), module);
	state = module_look(module, outcome);
	if (state == MODULE_NONE)
		return false;
	blob_string(&reading->value, state == MODULE_UNLOADED ? "0" : "1");
	blob_string(&reading->undo, knob->word);
	append_state(&reading->back, module);
	return true;
}

static bool is_state(const char *text)
{
	return strcmp(text, "0") == 0 || strcmp(text, "1") == 0 || strncmp(text, "1 ", 2) == 0;
}

static bool module_write(const struct knob *knob, const struct blob *value, struct outcome *outcome)
{
	char module[MODULE_NAME];
	enum module_state state;

	module_name(knob->path, strlen(knob->path), module);
	state = module_look(module, outcome);
	if (state == MODULE_NONE)
		return false;
	if (state == MODULE_BUILTIN)
		return trouble(outcome, EPERM, "is built in");
	if (!is_state(blob_text(value)))
		return trouble(outcome, EINVAL, "expected 0, or 1 and parameters");
	return bring_to(module, blob_text(value), outcome);
}

const struct knob_kind knob_module = { "module", module_probe, module_read, module_write, NULL };

/* ---- module_parameter: NAME/PARAMETER */

/* Name of the module, and the parameter's file as the place; NULL where the path has no slash. */
static const char *split(const struct knob *knob, char module[MODULE_NAME], struct outcome *outcome)
{
	const char *slash = strchr(knob->path, '/');

	place_at(outcome, "/sys/module/%s", knob->path);
	if (!slash) {
		trouble(outcome, EINVAL, "expected MODULE/PARAMETER");
		return NULL;
	}
	module_name(knob->path, (size_t)(slash - knob->path), module);
	place_at(outcome, "/sys/module/%s/parameters/%s", module, slash + 1);
	return slash + 1;
}

static bool can_reload(const struct knob *knob, const char *module, const char *parameter)
{
	struct outcome outcome = { 0 };
	enum module_state state = knob->reload ? module_look(module, &outcome) : MODULE_NONE;

	return state == MODULE_LOADED || (state == MODULE_UNLOADED && module_has_parameter(module, parameter));
}

static enum knob_state parameter_probe(const struct knob *knob, struct outcome *outcome)
{
	char module[MODULE_NAME];
	const char *parameter = split(knob, module, outcome);
	enum knob_state state = parameter ? file_probe(outcome) : KNOB_ABSENT;

	if (!parameter || state == KNOB_WRITABLE || !can_reload(knob, module, parameter))
		return state;
	if (state == KNOB_READABLE)
		return KNOB_WRITABLE;
	return module_look(module, outcome) == MODULE_UNLOADED ? KNOB_LOADABLE : KNOB_ABSENT;
}

/* Only loading the module anew changes this one. */
static bool needs_reload(const struct knob *knob)
{
	struct outcome outcome = { 0 };
	char module[MODULE_NAME];
	const char *parameter;

	if (knob->kind != &knob_module_parameter || !knob->reload)
		return false;
	parameter = split(knob, module, &outcome);
	return parameter && file_probe(&outcome) != KNOB_WRITABLE && can_reload(knob, module, parameter);
}

static bool parameter_read(const struct knob *knob, struct reading *reading, struct outcome *outcome)
{
	char module[MODULE_NAME];
	enum knob_state state = parameter_probe(knob, outcome);

	if (state == KNOB_ABSENT)
		return false;
	split(knob, module, outcome);
	if (state != KNOB_LOADABLE && !file_read(outcome, &reading->value))
		return false;
	if (needs_reload(knob)) {
		blob_format(&reading->undo, "module:%s", module);
		append_state(&reading->back, module);
	}
	return true;
}

static bool parameter_write(const struct knob *knob, const struct blob *value, struct outcome *outcome)
{
	char module[MODULE_NAME];

	return split(knob, module, outcome) && file_write(outcome, value);
}

const struct knob_kind knob_module_parameter = { "module_parameter", parameter_probe, parameter_read,
						 parameter_write, NULL };

/* ---- several at once */

static void module_of(const struct knob *knob, char module[MODULE_NAME])
{
	module_name(knob->path, strcspn(knob->path, "/"), module);
}

/* "Loaded" among a module's parameters needs no load of its own. */
static bool joins(const struct change *change, const char *module)
{
	bool loads = change->knob.kind == &knob_module && strcmp(blob_text(&change->value), "1") == 0;
	char own[MODULE_NAME];

	module_of(&change->knob, own);
	return strcmp(own, module) == 0 && (loads || needs_reload(&change->knob));
}

size_t module_batch(const struct change *changes, size_t count)
{
	char module[MODULE_NAME];
	size_t batch = 0, reloads = 0;

	module_of(&changes[0].knob, module);
	while (batch < count && joins(&changes[batch], module))
		reloads += needs_reload(&changes[batch++].knob);
	return reloads ? batch : 0;
}

/* The last one of several for the same parameter counts. */
static void append_changed(struct blob *state, const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *slash = strchr(changes[i].knob.path, '/');

		if (slash && !find_change(changes + i + 1, count - i - 1, slash + 1))
			append_parameter(state, slash + 1, &changes[i].value);
	}
}

bool module_reload(const struct change *changes, size_t count, struct outcome *outcome)
{
	struct blob state = { 0 };
	char module[MODULE_NAME];
	bool done;

	module_of(&changes[0].knob, module);
	blob_string(&state, "1");
	append_kept(&state, module, changes, count);
	append_changed(&state, changes, count);
	done = bring_to(module, blob_text(&state), outcome);
	blob_free(&state);
	return done;
}
