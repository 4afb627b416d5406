/* SPDX-License-Identifier: GPL-2.0-only */
/* The files of one run of a load, below a directory of its own (pvload.c says what is in them). */
#ifndef LOADFILES_H
#define LOADFILES_H

#include <limits.h>
#include <stdbool.h>

struct load_files {
	char trigger[PATH_MAX], pid[PATH_MAX], out[PATH_MAX], status[PATH_MAX], status_new[PATH_MAX];
};

_Noreturn void load_die(const char *what);

void load_files_name(struct load_files *files, const char *directory);

/* Whether the run has ended; waits for it for so long. A supervisor that died without a word is an error. */
bool load_wait(const struct load_files *files, int timeout_ms);

/* Ends the run and returns 0, also where it had ended; 1 where there is none. */
int load_stop(const struct load_files *files, int grace_ms);

#endif
