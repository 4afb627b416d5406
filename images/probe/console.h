/* SPDX-License-Identifier: GPL-2.0-only */
/* A growing console log, searched for lines that mean that a kernel is in trouble. */
#ifndef CONSOLE_H
#define CONSOLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONSOLE_LINE 512

struct console {
	const char *path; /* NULL: there is none to watch */
	int fd;
	uint32_t reported; /* one bit per kind of trouble */
	size_t length;
	char line[CONSOLE_LINE];
};

typedef void console_report(void *context, const char *line);

void console_init(struct console *console, const char *path);

/*
 * Reads what is new and calls `report` with the first line of each kind of trouble. The file may not exist
 * yet. `final` also takes an unfinished last line into account.
 */
void console_check(struct console *console, bool final, console_report *report, void *context);

void console_close(struct console *console);

#endif
