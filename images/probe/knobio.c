// SPDX-License-Identifier: GPL-2.0-only
#include "knobio.h"

#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define VALUE_MAX (1 << 20)

static const char *root = "";

void root_set(const char *directory)
{
	root = directory;
}

bool root_is_real(void)
{
	return root[0] == '\0';
}

const char *place_at(struct outcome *outcome, const char *format, ...)
{
	char path[PATH_MAX];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(path, sizeof(path), format, arguments);
	va_end(arguments);
	snprintf(outcome->place, sizeof(outcome->place), "%.2000s%.2000s", root, path);
	return outcome->place;
}

bool trouble(struct outcome *outcome, int error, const char *why, ...)
{
	va_list arguments;

	outcome->error = error;
	outcome->why[0] = '\0';
	if (!why)
		return false;
	va_start(arguments, why);
	vsnprintf(outcome->why, sizeof(outcome->why), why, arguments);
	va_end(arguments);
	return false;
}

bool place_exists(const struct outcome *outcome)
{
	return access(outcome->place, F_OK) == 0;
}

enum knob_state file_probe(struct outcome *outcome)
{
	struct stat status;

	if (stat(outcome->place, &status) != 0) {
		trouble(outcome, errno, NULL);
		return KNOB_ABSENT;
	}
	if (!S_ISREG(status.st_mode)) {
		trouble(outcome, EISDIR, "is no file");
		return KNOB_ABSENT;
	}
	return status.st_mode & (S_IWUSR | S_IWGRP | S_IWOTH) ? KNOB_WRITABLE : KNOB_READABLE;
}

static bool read_all(int fd, struct blob *value)
{
	char chunk[65536];
	ssize_t length;

	while ((length = read(fd, chunk, sizeof(chunk))) > 0 && value->length < VALUE_MAX)
		blob_bytes(value, chunk, (size_t)length);
	return length >= 0;
}

bool file_read(struct outcome *outcome, struct blob *value)
{
	int fd = open(outcome->place, O_RDONLY | O_CLOEXEC), error;
	bool done;

	blob_reset(value);
	if (fd < 0)
		return trouble(outcome, errno, NULL);
	done = read_all(fd, value);
	error = errno;
	close(fd);
	if (!done)
		return trouble(outcome, error, "cannot be read");
	blob_chomp(value);
	return true;
}

static bool write_at_once(int fd, const struct blob *bytes, struct outcome *outcome)
{
	ssize_t written = write(fd, bytes->bytes, bytes->length);

	if (written < 0)
		return trouble(outcome, errno, NULL);
	if ((size_t)written != bytes->length)
		return trouble(outcome, EFBIG, "took %zd of %zu bytes", written, bytes->length);
	return true;
}

bool file_write(struct outcome *outcome, const struct blob *value)
{
	int fd = open(outcome->place, O_WRONLY | O_TRUNC | O_CLOEXEC);
	struct blob bytes = { 0 };
	bool done;

	if (fd < 0)
		return trouble(outcome, errno, NULL);
	blob_bytes(&bytes, blob_text(value), value->length);
	if (bytes.length == 0 || bytes.bytes[bytes.length - 1] != '\n')
		blob_string(&bytes, "\n");
	done = write_at_once(fd, &bytes, outcome);
	if (close(fd) != 0 && done)
		done = trouble(outcome, errno, NULL);
	blob_free(&bytes);
	return done;
}

bool file_write_text(struct outcome *outcome, const char *text)
{
	struct blob value = { 0 };
	bool done;

	blob_string(&value, text);
	done = file_write(outcome, &value);
	blob_free(&value);
	return done;
}

static bool find_mounted(const char *type, char directory[PATH_MAX])
{
	struct outcome mounts = { 0 };
	FILE *table = setmntent(place_at(&mounts, "/proc/mounts"), "re");
	struct mntent *entry;
	bool found = false;

	while (table && !found && (entry = getmntent(table))) {
		found = strcmp(entry->mnt_type, type) == 0;
		if (found)
			snprintf(directory, PATH_MAX, "%s", entry->mnt_dir);
	}
	if (table)
		endmntent(table);
	return found;
}

bool find_mount(const char *type, const char *fallback, char directory[PATH_MAX], struct outcome *outcome)
{
	if (find_mounted(type, directory))
		return true;
	place_at(outcome, "%s", fallback);
	if (!root_is_real())
		return trouble(outcome, ENOENT, "%s is not mounted", type);
	if (mount(type, fallback, type, MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) != 0)
		return trouble(outcome, errno, "%s is not mounted and cannot be", type);
	snprintf(directory, PATH_MAX, "%s", fallback);
	return true;
}

bool has_word(const char *text, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = text; (at = strstr(at, word)); at += length) {
		bool starts = at == text || strchr(" \t\n", at[-1]);
		bool ends = at[length] == '\0' || strchr(" \t\n", at[length]);

		if (starts && ends)
			return true;
	}
	return false;
}
