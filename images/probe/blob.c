// SPDX-License-Identifier: GPL-2.0-only
#include "blob.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make_room(struct blob *blob, size_t length)
{
	size_t needed = blob->length + length + 1;
	size_t size = blob->size ? blob->size : 128;
	char *bytes;

	if (needed <= blob->size)
		return;
	while (size < needed)
		size *= 2;
	bytes = realloc(blob->bytes, size);
	if (!bytes) {
		fputs("no memory\n", stderr);
		exit(1);
	}
	blob->bytes = bytes;
	blob->size = size;
}

void blob_bytes(struct blob *blob, const char *bytes, size_t length)
{
	make_room(blob, length);
	memcpy(blob->bytes + blob->length, bytes, length);
	blob->length += length;
	blob->bytes[blob->length] = '\0';
}

void blob_string(struct blob *blob, const char *string)
{
	blob_bytes(blob, string, strlen(string));
}

void blob_format(struct blob *blob, const char *format, ...)
{
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(NULL, 0, format, arguments);
	va_end(arguments);
	make_room(blob, (size_t)length);
	va_start(arguments, format);
	vsnprintf(blob->bytes + blob->length, (size_t)length + 1, format, arguments);
	va_end(arguments);
	blob->length += (size_t)length;
}

void blob_reset(struct blob *blob)
{
	blob->length = 0;
	if (blob->bytes)
		blob->bytes[0] = '\0';
}

void blob_free(struct blob *blob)
{
	free(blob->bytes);
	*blob = (struct blob){ 0 };
}

const char *blob_text(const struct blob *blob)
{
	return blob->bytes ? blob->bytes : "";
}

bool blob_equal(const struct blob *one, const struct blob *other)
{
	return one->length == other->length && (one->length == 0 || memcmp(one->bytes, other->bytes, one->length) == 0);
}

void blob_chomp(struct blob *blob)
{
	if (blob->length && blob->bytes[blob->length - 1] == '\n')
		blob->bytes[--blob->length] = '\0';
}
