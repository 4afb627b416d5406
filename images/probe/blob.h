/* SPDX-License-Identifier: GPL-2.0-only */
/* Bytes of any length: values of knobs may have many lines, and NULs. There is always a NUL behind the last one. */
#ifndef BLOB_H
#define BLOB_H

#include <stdbool.h>
#include <stddef.h>

struct blob {
	char *bytes;
	size_t length, size;
};

/* All of these end the process where there is no memory. */
void blob_bytes(struct blob *blob, const char *bytes, size_t length);
void blob_string(struct blob *blob, const char *string);
void blob_format(struct blob *blob, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An empty one afterwards; its memory is kept. */
void blob_reset(struct blob *blob);

void blob_free(struct blob *blob);

/* The bytes as a string, which ends at the first NUL; "" where nothing was ever put in. */
const char *blob_text(const struct blob *blob);

bool blob_equal(const struct blob *one, const struct blob *other);

/* Takes one newline off the end. */
void blob_chomp(struct blob *blob);

#endif
