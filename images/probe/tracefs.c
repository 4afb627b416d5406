// SPDX-License-Identifier: GPL-2.0-only
#include "tracefs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "monotonic.h"

#define USUAL "/sys/kernel/tracing"
#define OLDER "/sys/kernel/debug/tracing"
#define PREFIX "lab-"
#define CHUNK 4096
/* Whoever reads an instance keeps it from being removed; a curious `cat` is over soon. */
#define REMOVE_TRIES 200
#define REMOVE_NAP_NS (10 * NS_PER_MS)

static const char *root;
static char instance[PATH_MAX];

void trace_die(const char *format, ...)
{
	va_list arguments;

	fputs("pvtrace: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

static bool is_tracefs(const char *path)
{
	struct statfs about;

	return statfs(path, &about) == 0 && about.f_type == TRACEFS_MAGIC;
}

static bool find_root(void)
{
	if (is_tracefs(USUAL))
		root = USUAL;
	else if (is_tracefs(OLDER))
		root = OLDER;
	return root;
}

void tracefs_open(void)
{
	if (find_root())
		return;
	if (mount("tracefs", USUAL, "tracefs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) == 0)
		root = USUAL;
	else if (errno == ENOENT || errno == ENODEV)
		trace_die("mounting tracefs at " USUAL ": %s: this kernel was built without tracepoints", strerror(errno));
	else
		trace_die("mounting tracefs at " USUAL ": %s", strerror(errno));
}

static void name_path(char path[PATH_MAX], const char *directory, const char *name)
{
	if (snprintf(path, PATH_MAX, "%s/%s", directory, name) >= PATH_MAX)
		trace_die("%s/%s: the name is too long", directory, name);
}

static bool read_all(const char *path, struct blob *into)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), error;
	char bytes[CHUNK];
	ssize_t length = -1;

	blob_reset(into);
	while (fd >= 0 && (length = read(fd, bytes, sizeof(bytes))) > 0)
		blob_bytes(into, bytes, (size_t)length);
	error = errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return length == 0;
}

static bool write_all(const char *path, const char *bytes)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), error;
	size_t left = strlen(bytes);
	ssize_t went = 0;

	/* Some of these files take one word, or one buffer of words, at a time. */
	while (fd >= 0 && left > 0 && ((went = write(fd, bytes, left)) > 0 || (went < 0 && errno == EINTR))) {
		bytes += went > 0 ? went : 0;
		left -= went > 0 ? (size_t)went : 0;
	}
	error = fd >= 0 && went == 0 && left > 0 ? EIO : errno;
	if (fd >= 0)
		close(fd);
	errno = error;
	return fd >= 0 && left == 0;
}

bool tracefs_read(const char *name, struct blob *into)
{
	char path[PATH_MAX];

	name_path(path, root, name);
	return read_all(path, into);
}

static bool remove_path(const char *path)
{
	for (int try = 0; try < REMOVE_TRIES; try++) {
		if (rmdir(path) == 0 || errno == ENOENT)
			return true;
		if (errno != EBUSY)
			return false;
		nap_ns(REMOVE_NAP_NS);
	}
	return false;
}

bool instance_remove(void)
{
	if (!instance[0])
		return true;
	if (!remove_path(instance)) {
		fprintf(stderr, "pvtrace: removing %s: %s\n", instance, strerror(errno));
		return false;
	}
	instance[0] = '\0';
	return true;
}

static void remove_at_exit(void)
{
	instance_remove();
}

void instance_make(const char *basename)
{
	char path[PATH_MAX], name[NAME_MAX];

	if (snprintf(name, sizeof(name), "instances/" PREFIX "%s-%d", basename, (int)getpid()) >= (int)sizeof(name))
		trace_die("%s: the name is too long for an instance", basename);
	name_path(path, root, name);
	rmdir(path); /* of one that was killed and had our pid */
	if (mkdir(path, 0700) != 0)
		trace_die("making the instance %s: %s", path, strerror(errno));
	strcpy(instance, path);
	atexit(remove_at_exit);
	instance_must_write("tracing_on", "0");
}

bool instance_write(const char *name, const char *value)
{
	char path[PATH_MAX];

	name_path(path, instance, name);
	return write_all(path, value);
}

void instance_must_write(const char *name, const char *value)
{
	if (!instance_write(name, value))
		trace_die("writing %.60s to %s/%s: %s", value, instance, name, strerror(errno));
}

bool instance_read(const char *name, struct blob *into)
{
	char path[PATH_MAX];

	name_path(path, instance, name);
	return read_all(path, into);
}

int instance_open(const char *name, int flags)
{
	char path[PATH_MAX];

	name_path(path, instance, name);
	return open(path, flags | O_CLOEXEC);
}

static bool made_by_living(const char *name)
{
	const char *pid = strrchr(name, '-') + 1;
	struct blob comm = { 0 };
	char path[PATH_MAX];
	bool is;

	if (!*pid || pid[strspn(pid, "0123456789")])
		return false;
	name_path(path, "/proc", pid);
	strncat(path, "/comm", sizeof(path) - strlen(path) - 1);
	is = read_all(path, &comm) && strcmp(blob_text(&comm), "pvtrace\n") == 0;
	blob_free(&comm);
	return is;
}

static bool clean_one(const char *directory, const char *name)
{
	char path[PATH_MAX];

	name_path(path, directory, name);
	if (!remove_path(path)) {
		fprintf(stderr, "pvtrace: removing %s: %s\n", path, strerror(errno));
		return false;
	}
	printf("removed %s\n", name);
	return true;
}

int instances_clean(void)
{
	char path[PATH_MAX];
	struct dirent *entry;
	bool clean = true;
	DIR *directory;

	if (!find_root())
		return 0; /* nobody can have made one */
	name_path(path, root, "instances");
	directory = opendir(path);
	if (!directory)
		trace_die("%s: %s", path, strerror(errno));
	while ((entry = readdir(directory)))
		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) == 0 && !made_by_living(entry->d_name))
			clean = clean_one(path, entry->d_name) && clean;
	closedir(directory);
	return clean ? 0 : 1;
}
