/* SPDX-License-Identifier: GPL-2.0-only */
/* Files that knobs are made of. With a root of its own, pvknob reads and writes a tree that only looks like a kernel. */
#ifndef KNOBIO_H
#define KNOBIO_H

#include "knob.h"

/* "" for the real root. */
void root_set(const char *directory);
bool root_is_real(void);

/* The formatted path below the root, in `outcome->place`. */
const char *place_at(struct outcome *outcome, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Fills in what went wrong at the place that is there already; returns false. `why` may be NULL. */
bool trouble(struct outcome *outcome, int error, const char *why, ...) __attribute__((format(printf, 3, 4)));

/* Writable if anybody may write: root may all files, but the kernel goes by the mode of its own. */
enum knob_state file_probe(struct outcome *outcome);

/* The place's content without its last newline. */
bool file_read(struct outcome *outcome, struct blob *value);

/* Value and newline in one write(2), as the kernel takes what is written piece by piece for several values. */
bool file_write(struct outcome *outcome, const struct blob *value);
bool file_write_text(struct outcome *outcome, const char *text);

/* Whether there is anything at the place. */
bool place_exists(const struct outcome *outcome);

/*
 * Directory of the first mounted file system of a type, mounted on `fallback` if there is none. Both are as the
 * kernel sees them: without pvknob's own root.
 */
bool find_mount(const char *type, const char *fallback, char directory[PATH_MAX], struct outcome *outcome);

/* Whether `word` is one of the words of `text`, which white space separates. */
bool has_word(const char *text, const char *word);

#endif
