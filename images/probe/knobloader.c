// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loading and unloading, by the system calls themselves: modprobe's exit status does not say what the kernel said.
 * Where pvknob has a root of its own, the program /sbin/loader below it stands in for both calls.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "knobmodule.h"

/* include/uapi/linux/module.h */
#define COMPRESSED_FILE 4

void module_name(const char *name, size_t length, char sysfs_name[MODULE_NAME])
{
	snprintf(sysfs_name, MODULE_NAME, "%.*s", (int)length, name);
	for (char *at = sysfs_name; *at; at++)
		if (*at == '-')
			*at = '_';
}

static const char *modules_directory(void)
{
	static char directory[256];
	struct utsname kernel;

	uname(&kernel);
	snprintf(directory, sizeof(directory), "/lib/modules/%s", kernel.release);
	return directory;
}

/* Whether PATH is the file of the module: .../NAME.ko, .ko.xz, .ko.zst, .ko.gz. */
static bool is_file_of(const char *path, size_t length, const char *name)
{
	char found[MODULE_NAME];
	size_t start = length;

	while (start > 0 && path[start - 1] != '/')
		start--;
	for (size_t at = start; at + 3 <= length; at++) {
		if (strncmp(path + at, ".ko", 3) != 0)
			continue;
		module_name(path + start, at - start, found);
		return strcmp(found, name) == 0;
	}
	return false;
}

/* The line "FILE: FILE..." of a module in modules.dep: its file, and what must be loaded before, last first. */
static bool find_line(const char *name, struct blob *line)
{
	struct outcome outcome = { 0 };
	struct blob table = { 0 };
	bool found = false;

	place_at(&outcome, "%s/modules.dep", modules_directory());
	if (file_read(&outcome, &table))
		for (char *at = strtok(table.bytes, "\n"); at && !found; at = strtok(NULL, "\n")) {
			found = is_file_of(at, strcspn(at, ":"), name);
			if (found)
				blob_string(line, at);
		}
	blob_free(&table);
	return found;
}

enum module_state module_look(const char *name, struct outcome *outcome)
{
	struct blob line = { 0 };
	bool known;

	place_at(outcome, "/sys/module/%s/initstate", name);
	if (place_exists(outcome)) {
		place_at(outcome, "/sys/module/%s", name);
		return MODULE_LOADED;
	}
	place_at(outcome, "/sys/module/%s", name);
	if (place_exists(outcome))
		return MODULE_BUILTIN;
	known = find_line(name, &line);
	if (known)
		place_at(outcome, "%s/%.*s", modules_directory(), (int)strcspn(blob_text(&line), ":"), blob_text(&line));
	else
		trouble(outcome, ENOENT, "not loaded, and not in %s/modules.dep", modules_directory());
	blob_free(&line);
	return known ? MODULE_UNLOADED : MODULE_NONE;
}

bool module_has_parameter(const char *name, const char *parameter)
{
	struct outcome outcome = { 0 };
	struct blob file = { 0 }, entry = { 0 };
	bool has = true;

	if (module_look(name, &outcome) != MODULE_UNLOADED)
		return false;
	blob_format(&entry, "%cparmtype=%s:", '\0', parameter);
	if (strcmp(strrchr(outcome.place, '.'), ".ko") == 0 && file_read(&outcome, &file))
		has = memmem(file.bytes, file.length, entry.bytes, entry.length) != NULL;
	blob_free(&file);
	blob_free(&entry);
	return has;
}

/* Runs a program to its end; its exit status, or 127. */
static int run(char *const argv[])
{
	pid_t child = fork();
	int status = 0;

	if (child == 0) {
		dup2(STDERR_FILENO, STDOUT_FILENO); /* our output is for programs to read */
		execvp(argv[0], argv);
		_exit(127);
	}
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	return WIFEXITED(status) ? WEXITSTATUS(status) : 127;
}

/* The stand-in ends with an errno. */
static int run_loader(const char *verb, const char *name, const char *parameters)
{
	struct outcome loader = { 0 };

	place_at(&loader, "/sbin/loader");
	return run((char *[]){ loader.place, (char *)verb, (char *)name, (char *)parameters, NULL });
}

static int load_by_modprobe(const char *name, const char *parameters)
{
	char *argv[128] = { "modprobe", (char *)name }, *copy = strdup(parameters);
	size_t count = 2;
	int status;

	for (char *at = strtok(copy, " "); at && count < 127; at = strtok(NULL, " "))
		argv[count++] = at;
	status = run(argv);
	free(copy);
	return status == 0 ? 0 : ENOEXEC;
}

static int load_file(const char *name, const char *path, const char *parameters)
{
	bool compressed = strcmp(strrchr(path, '.'), ".ko") != 0;
	int fd, error = 0;

	if (!root_is_real())
		return run_loader("load", name, parameters);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (syscall(SYS_finit_module, fd, parameters, compressed ? COMPRESSED_FILE : 0) != 0)
		error = errno;
	close(fd);
	/* A kernel without MODULE_DECOMPRESS takes the flag for nonsense. */
	return compressed && (error == EINVAL || error == EOPNOTSUPP) ? load_by_modprobe(name, parameters) : error;
}

/* One file of modules.dep; what is loaded already stays as it is. */
static bool load_one(const char *file, const char *parameters, struct outcome *outcome)
{
	char name[MODULE_NAME];
	const char *base = strrchr(file, '/');
	int error;

	base = base ? base + 1 : file;
	module_name(base, strcspn(base, "."), name);
	if (module_look(name, outcome) != MODULE_UNLOADED)
		return true;
	error = load_file(name, outcome->place, parameters);
	if (error == 0 || error == EEXIST)
		return true;
	return trouble(outcome, error, "the kernel does not load it with \"%s\"", parameters);
}

bool module_load(const char *name, const char *parameters, struct outcome *outcome)
{
	struct blob line = { 0 };
	char *files[64], *at;
	size_t count = 0;
	bool done = find_line(name, &line);

	if (!done) {
		place_at(outcome, "%s/modules.dep", modules_directory());
		return trouble(outcome, ENOENT, "has no %s", name);
	}
	for (at = strtok(line.bytes, ": "); at && count < 64; at = strtok(NULL, ": "))
		files[count++] = at;
	while (done && count-- > 0)
		done = load_one(files[count], count == 0 ? parameters : "", outcome);
	blob_free(&line);
	return done;
}

/* Who keeps it: modules by name, or a count of other users. */
static void tell_holders(const char *name, int error, struct outcome *outcome)
{
	struct outcome file = { 0 };
	struct blob count = { 0 };

	place_at(&file, "/sys/module/%s/refcnt", name);
	file_read(&file, &count);
	trouble(outcome, error, "cannot be unloaded: %s users", count.length ? blob_text(&count) : "unknown");
	blob_free(&count);
}

bool module_unload(const char *name, struct outcome *outcome)
{
	int error = 0;

	place_at(outcome, "/sys/module/%s", name);
	if (!root_is_real())
		error = run_loader("unload", name, "");
	else if (syscall(SYS_delete_module, name, O_NONBLOCK) != 0)
		error = errno;
	if (error)
		tell_holders(name, error, outcome);
	return error == 0;
}
