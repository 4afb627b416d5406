// SPDX-License-Identifier: GPL-2.0-only
#include "console.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/*
 * How a kernel (or the guest's own init) says that it is in trouble: kernel/panic.c, kernel/watchdog.c,
 * kernel/rcu/tree_stall.h, kernel/hung_task.c, arch/x86/kernel/{dumpstack,traps}.c.
 */
static const char *const troubles[] = {
	"Kernel panic",	    "Oops",		"BUG:",
	"soft lockup",	    "hard LOCKUP",	"self-detected stall",
	"detected stalls",  "blocked for more", "general protection fault",
	"lab-init: fatal:", "Out of memory:",	"Unable to handle kernel",
};

#define TROUBLES (sizeof(troubles) / sizeof(*troubles))

void console_init(struct console *console, const char *path)
{
	*console = (struct console){ .path = path, .fd = -1 };
}

static void examine_line(struct console *console, console_report *report, void *context)
{
	console->line[console->length] = '\0';
	for (size_t kind = 0; kind < TROUBLES; kind++) {
		if (console->reported >> kind & 1 || !strstr(console->line, troubles[kind]))
			continue;
		console->reported |= 1u << kind;
		report(context, console->line);
		break;
	}
	console->length = 0;
}

static void take_byte(struct console *console, char byte, console_report *report, void *context)
{
	if (byte == '\n')
		examine_line(console, report, context);
	else if ((unsigned char)byte >= ' ' && console->length < CONSOLE_LINE - 1)
		console->line[console->length++] = byte;
}

void console_check(struct console *console, bool final, console_report *report, void *context)
{
	char bytes[4096];
	ssize_t length;

	if (!console->path)
		return;
	if (console->fd < 0)
		console->fd = open(console->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (console->fd < 0)
		return;
	while ((length = read(console->fd, bytes, sizeof(bytes))) > 0)
		for (ssize_t i = 0; i < length; i++)
			take_byte(console, bytes[i], report, context);
	if (final)
		examine_line(console, report, context);
}

void console_close(struct console *console)
{
	if (console->fd >= 0)
		close(console->fd);
	console->fd = -1;
}
