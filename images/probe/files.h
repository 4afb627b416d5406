/* SPDX-License-Identifier: GPL-2.0-only */
/* Small files that are read again at every sample, such as the mask of vCPUs to avoid, and told when they change. */
#ifndef FILES_H
#define FILES_H

#include "text.h"

/* What is kept of a file; a cpulist of 256 vCPUs may be longer, and is then told as far as this goes. */
#define FILE_VALUE 1024

struct files;

/* Watches the files of a list of absolute paths separated by commas; an empty list is none. NULL without memory. */
struct files *files_watch(const char *paths);

/*
 * Appends one `f` line for each file that changed since the last call, and every one of them from time to time. A file
 * that is not there is looked for again from time to time; files on sysfs and debugfs appear with their modules.
 */
void files_sample(struct files *files, struct text *sample);

#endif
