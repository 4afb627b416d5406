/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Text appended to a buffer of fixed size. Used on the sampling path, where stdio's formatting would be
 * most of the probe's cost. Once something did not fit, `overflow` stays set and nothing more is appended:
 * the caller drops the whole text rather than keep half of it.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct text {
	char *bytes;
	size_t length, size;
	bool overflow;
};

static inline void text_reset(struct text *text)
{
	text->length = 0;
	text->overflow = false;
}

static inline void text_bytes(struct text *text, const char *bytes, size_t length)
{
	if (text->overflow || length > text->size - text->length) {
		text->overflow = true;
		return;
	}
	memcpy(text->bytes + text->length, bytes, length);
	text->length += length;
}

static inline void text_string(struct text *text, const char *string)
{
	text_bytes(text, string, strlen(string));
}

static inline void text_char(struct text *text, char character)
{
	text_bytes(text, &character, 1);
}

static inline void text_number(struct text *text, uint64_t number)
{
	char digits[20];
	size_t first = sizeof(digits);

	do {
		digits[--first] = (char)('0' + number % 10);
		number /= 10;
	} while (number);
	text_bytes(text, digits + first, sizeof(digits) - first);
}

/* A space and a number: most fields of the stream. */
static inline void text_field(struct text *text, uint64_t number)
{
	text_char(text, ' ');
	text_number(text, number);
}

#endif
