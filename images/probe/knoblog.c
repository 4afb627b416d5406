// SPDX-License-Identifier: GPL-2.0-only
#include "knoblog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "knobio.h"
#include "knobout.h"

#define LOG_LINES 20

int log_listen(void)
{
	struct outcome log = { 0 };
	int fd = open(place_at(&log, "/dev/kmsg"), O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	return fd;
}

/* One read(2) gives one record, "PRIORITY,SEQUENCE,TIME,FLAGS;TEXT\n" and lines that begin with a space. */
static void read_records(int fd, struct blob *text)
{
	char record[8192];
	ssize_t length;

	while ((length = read(fd, record, sizeof(record))) > 0 || (length < 0 && errno == EPIPE))
		if (length > 0) /* EPIPE: some were overwritten before they could be read */
			blob_bytes(text, record, (size_t)length);
}

static void print_line(const char *line)
{
	const char *text = line[0] == ' ' ? NULL : strchr(line, ';');

	if (text) {
		out_begin("log");
		out_text("text", text + 1);
		out_end();
	}
}

/* The start of the last LOG_LINES lines. */
static const char *last_lines(const struct blob *text)
{
	const char *at = blob_text(text) + text->length;

	for (int lines = 0; at > blob_text(text); at--)
		if (at[-1] == '\n' && lines++ == LOG_LINES)
			break;
	return at;
}

void log_print(int fd)
{
	struct blob text = { 0 };

	if (fd < 0)
		return;
	read_records(fd, &text);
	close(fd);
	for (char *line = strtok((char *)last_lines(&text), "\n"); line; line = strtok(NULL, "\n"))
		print_line(line);
	blob_free(&text);
}
