/* SPDX-License-Identifier: GPL-2.0-only */
/* What is needed to read the raw pages later: the files `about` and `formats` of TRACE.md. */
#ifndef TRACEABOUT_H
#define TRACEABOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

/* Makes DIR/about, or ends the process where there is one: what was recorded is never written over. */
FILE *about_make(const char *directory);

/* Bytes of a page of the instance's ring buffers, its header included: what one read takes. */
size_t formats_page_size(void);

/* Makes DIR/formats with the layout of pages and of these events, SYSTEM:EVENT each; absent ones are left out. */
FILE *formats_make(const char *directory, char *const *events, size_t count);

/* Adds the names of threads that the kernel has seen while recording. */
void formats_add_names(FILE *formats);

#endif
