// SPDX-License-Identifier: GPL-2.0-only
#include "knobout.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void out_begin(const char *kind)
{
	fputs(kind, stdout);
}

void out_end(void)
{
	putchar('\n');
	fflush(stdout);
}

void out_number(const char *key, uint64_t number)
{
	printf(" %s=%" PRIu64, key, number);
}

static void put_escaped(const char *bytes, size_t length)
{
	for (size_t i = 0; i < length; i++) {
		unsigned char byte = (unsigned char)bytes[i];

		if (byte > ' ' && byte < 0x7f && byte != '\\')
			putchar(byte);
		else
			printf("\\x%02x", byte);
	}
}

void out_text(const char *key, const char *text)
{
	printf(" %s=", key);
	put_escaped(text, strlen(text));
}

void out_blob(const char *key, const struct blob *blob)
{
	printf(" %s=", key);
	put_escaped(blob_text(blob), blob->length);
}

static int hex_digit(char digit)
{
	static const char digits[] = "0123456789abcdef";
	const char *at = digit ? strchr(digits, digit) : NULL;

	return at ? (int)(at - digits) : -1;
}

bool unescape(const char *text, struct blob *value)
{
	for (const char *at = text; *at; at++) {
		char byte = *at;

		if (byte == '\\') {
			if (at[1] != 'x' || hex_digit(at[2]) < 0 || hex_digit(at[3]) < 0)
				return false;
			byte = (char)(hex_digit(at[2]) * 16 + hex_digit(at[3]));
			at += 3;
		}
		blob_bytes(value, &byte, 1);
	}
	return true;
}
