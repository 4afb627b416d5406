// SPDX-License-Identifier: GPL-2.0-only
#include "followed.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK 65536
/* What of a file that is there already is worth reading: several samples of a stream, a screen or two of a text. */
#define LAST_OF_STREAM (256 * 1024)
#define LAST_OF_TEXT (8 * 1024)

struct followed *followed_start(char *name, char *path, bool is_text, off_t trim)
{
	struct followed *followed = calloc(1, sizeof(*followed));

	if (!followed)
		return NULL;
	followed->name = name;
	followed->path = path;
	followed->is_text = is_text;
	followed->trim = trim;
	followed->fd = -1;
	if (is_text)
		return followed;
	followed->coming = (struct text){ .bytes = malloc(FOLLOWED_SAMPLE), .size = FOLLOWED_SAMPLE };
	followed->whole = (struct text){ .bytes = malloc(FOLLOWED_SAMPLE), .size = FOLLOWED_SAMPLE };
	return followed;
}

void followed_stop(struct followed *followed)
{
	if (followed->fd >= 0)
		close(followed->fd);
	free(followed->coming.bytes);
	free(followed->whole.bytes);
	free(followed->name);
	free(followed->path);
	free(followed);
}

static void tell(const struct followed *followed, char kind, const char *line)
{
	printf("%c %s %s\n", kind, followed->name, line);
}

/* Lines of the sample that is under way are kept as they are to be printed. */
static void keep(struct followed *followed, const char *line)
{
	struct text *text = &followed->coming;

	text_string(text, "s ");
	text_string(text, followed->name);
	text_char(text, ' ');
	text_string(text, line);
	text_char(text, '\n');
}

static void finish_sample(struct followed *followed)
{
	struct text whole = followed->whole;

	followed->in_sample = false;
	if (followed->coming.overflow)
		return;
	followed->whole = followed->coming;
	followed->coming = whole;
	followed->has_whole = true;
}

/* What stands between samples and is worth telling (STREAM.md): marks, drops, and guests that are gone. */
static void take_between(struct followed *followed, const char *line)
{
	if (strchr("mdg", line[0]))
		tell(followed, 's', line);
}

static void take_stream_line(struct followed *followed, const char *line)
{
	if (line[0] == '\0' || (line[1] != ' ' && line[1] != '\0'))
		return;
	if (followed->in_snapshot) {
		followed->in_snapshot = line[0] != 'z';
	} else if (line[0] == 'b') {
		text_reset(&followed->coming);
		followed->in_sample = true;
		keep(followed, line);
	} else if (followed->in_sample) {
		keep(followed, line);
		if (line[0] == 'e')
			finish_sample(followed);
	} else if (line[0] == 's') {
		followed->in_snapshot = true;
	} else {
		take_between(followed, line);
	}
}

static void take_line(struct followed *followed)
{
	followed->line[followed->length] = '\0';
	followed->length = 0;
	if (followed->is_text)
		tell(followed, 'c', followed->line);
	else
		take_stream_line(followed, followed->line);
}

static void take_byte(struct followed *followed, char byte)
{
	if (byte == '\n')
		take_line(followed);
	else if (byte != '\0' && byte != '\r' && followed->length < FOLLOWED_LINE - 1)
		followed->line[followed->length++] = byte;
}

static void forget(struct followed *followed)
{
	followed->offset = 0;
	followed->length = 0;
	followed->greeted = followed->is_text;
	followed->in_sample = followed->in_snapshot = followed->has_whole = false;
}

static bool reopen(struct followed *followed)
{
	if (followed->fd >= 0)
		return true;
	followed->fd = open(followed->path, (followed->trim ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOCTTY);
	forget(followed);
	return followed->fd >= 0;
}

/* The first line of a stream says what it is; it is told once, wherever reading begins. */
static bool greet(struct followed *followed)
{
	char line[FOLLOWED_LINE];
	ssize_t length = followed->greeted ? 0 : pread(followed->fd, line, sizeof(line) - 1, 0);
	char *end;

	if (followed->greeted)
		return true;
	if (length <= 0 || !(end = memchr(line, '\n', (size_t)length)))
		return false;
	*end = '\0';
	tell(followed, 'h', line);
	followed->greeted = true;
	followed->offset = end + 1 - line;
	return true;
}

/* Not from the middle of a line: what is cut off there would be taken for a line. */
static void skip_old(struct followed *followed, off_t size)
{
	off_t last = followed->is_text ? LAST_OF_TEXT : LAST_OF_STREAM;
	char byte;

	if (size - followed->offset <= last)
		return;
	followed->offset = size - last;
	while (pread(followed->fd, &byte, 1, followed->offset) == 1) {
		followed->offset++;
		if (byte == '\n')
			break;
	}
	followed->in_sample = followed->in_snapshot = false;
}

static void read_new(struct followed *followed)
{
	static char bytes[CHUNK];
	ssize_t length;

	while ((length = pread(followed->fd, bytes, sizeof(bytes), followed->offset)) > 0) {
		for (ssize_t i = 0; i < length; i++)
			take_byte(followed, bytes[i]);
		followed->offset += length;
	}
}

/* Whoever writes appends, so that the file goes on from its beginning. What is lost in between is no whole sample. */
static void trim(struct followed *followed)
{
	if (followed->trim == 0 || followed->offset < followed->trim || ftruncate(followed->fd, 0) != 0)
		return;
	followed->offset = 0;
	followed->length = 0;
	followed->in_sample = followed->in_snapshot = false;
}

void followed_look(struct followed *followed)
{
	struct stat status;

	if (!reopen(followed) || fstat(followed->fd, &status) != 0)
		return;
	if (status.st_size < followed->offset)
		forget(followed);
	if (!greet(followed))
		return;
	skip_old(followed, status.st_size);
	read_new(followed);
	if (followed->has_whole)
		fwrite(followed->whole.bytes, 1, followed->whole.length, stdout);
	followed->has_whole = false;
	trim(followed);
}
