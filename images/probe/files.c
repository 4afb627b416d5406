// SPDX-License-Identifier: GPL-2.0-only
#include "files.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* A dropped sample takes its `f` lines along; told again every so many samples, a value is not lost for long. */
#define TELL_AGAIN 50
/* Looking for a file that is not there costs a path walk; reading one that is open costs little. */
#define LOOK_AGAIN 10

struct file {
	const char *path;
	int fd;
	char value[FILE_VALUE];
};

struct files {
	char *paths;
	unsigned long samples;
	size_t count;
	struct file file[];
};

static size_t count_paths(const char *paths)
{
	size_t count = 1;

	for (; *paths; paths++)
		count += *paths == ',';
	return count;
}

struct files *files_watch(const char *paths)
{
	struct files *files = calloc(1, sizeof(*files) + count_paths(paths) * sizeof(struct file));
	char *path, *rest;

	if (!files || !(files->paths = strdup(paths)))
		return NULL;
	for (path = strtok_r(files->paths, ",", &rest); path; path = strtok_r(NULL, ",", &rest))
		files->file[files->count++] = (struct file){ .path = path, .fd = -1 };
	return files;
}

/* White space becomes a space, so that what is told stays one line; nothing is left at the end. */
static void clean(char *value, size_t length)
{
	while (length > 0 && (unsigned char)value[length - 1] <= ' ')
		length--;
	value[length] = '\0';
	for (size_t i = 0; i < length; i++)
		if ((unsigned char)value[i] < ' ' || (unsigned char)value[i] > '~')
			value[i] = ' ';
}

static bool read_value(struct file *file, bool look, char value[FILE_VALUE])
{
	ssize_t length;

	if (file->fd < 0 && look)
		file->fd = open(file->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0)
		return false;
	length = pread(file->fd, value, FILE_VALUE - 1, 0);
	if (length < 0) { /* its module has gone: another file of that name may come */
		close(file->fd);
		file->fd = -1;
		file->value[0] = '\0';
		return false;
	}
	clean(value, (size_t)length);
	return true;
}

static void tell(const struct file *file, struct text *sample)
{
	text_string(sample, "f ");
	text_string(sample, file->path);
	text_char(sample, ' ');
	text_string(sample, file->value[0] ? file->value : "-");
	text_char(sample, '\n');
}

void files_sample(struct files *files, struct text *sample)
{
	bool look = files->samples % LOOK_AGAIN == 0, again = files->samples % TELL_AGAIN == 0;
	char value[FILE_VALUE];

	files->samples++;
	for (size_t i = 0; i < files->count; i++) {
		struct file *file = &files->file[i];
		bool was_open = file->fd >= 0;

		if (!read_value(file, look, value) || (was_open && !again && strcmp(value, file->value) == 0))
			continue;
		strcpy(file->value, value);
		tell(file, sample);
	}
}
