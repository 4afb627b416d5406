// SPDX-License-Identifier: GPL-2.0-only
#include "traceabout.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "blob.h"
#include "tracefs.h"

/* Of this there is a format, but nothing to enable: what is written to trace_marker. */
#define MARKS "ftrace:print"

static FILE *make_file(const char *directory, const char *name, const char *mode)
{
	char path[PATH_MAX];
	FILE *file;

	if (snprintf(path, sizeof(path), "%s/%s", directory, name) >= (int)sizeof(path))
		trace_die("%s: the name is too long", directory);
	file = fopen(path, mode);
	if (!file)
		trace_die("%s: %s", path, strerror(errno));
	return file;
}

FILE *about_make(const char *directory)
{
	FILE *about = make_file(directory, "about", "wxe");

	/* Each line is there as soon as it is said, whatever becomes of us. */
	setvbuf(about, NULL, _IOLBF, BUFSIZ);
	return about;
}

size_t formats_page_size(void)
{
	struct blob page = { 0 };
	unsigned long offset = 0, size = 0;
	const char *data;

	if (!tracefs_read("events/header_page", &page))
		trace_die("events/header_page: %s", strerror(errno));
	data = strstr(blob_text(&page), " data;");
	if (!data || sscanf(data, " data; offset:%lu; size:%lu;", &offset, &size) != 2)
		trace_die("events/header_page: no field data in it: %s", blob_text(&page));
	blob_free(&page);
	return offset + size;
}

static void add(FILE *formats, const char *name, const struct blob *piece)
{
	fprintf(formats, "== %s %zu\n", name, piece->length);
	fwrite(piece->bytes, 1, piece->length, formats);
}

static void add_file(FILE *formats, const char *name)
{
	struct blob piece = { 0 };

	if (tracefs_read(name, &piece))
		add(formats, name, &piece);
	blob_free(&piece);
}

static void add_event(FILE *formats, const char *event)
{
	char path[PATH_MAX];
	const char *colon = strchr(event, ':');

	snprintf(path, sizeof(path), "events/%.*s/%s/format", (int)(colon - event), event, colon + 1);
	add_file(formats, path);
}

FILE *formats_make(const char *directory, char *const *events, size_t count)
{
	FILE *formats = make_file(directory, "formats", "we");

	add_file(formats, "events/header_page");
	add_file(formats, "events/header_event");
	for (size_t i = 0; i < count; i++)
		if (strcmp(events[i], MARKS) != 0)
			add_event(formats, events[i]);
	add_event(formats, MARKS);
	fflush(formats);
	return formats;
}

void formats_add_names(FILE *formats)
{
	struct blob names = { 0 };

	if (tracefs_read("saved_cmdlines", &names))
		add(formats, "names", &names);
	blob_free(&names);
}
