// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvprobe: samples steal and preemption inside a guest and run delay on its host. The same static binary
 * runs on both sides; STREAM.md says what it writes.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "monotonic.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *usage;
} commands[] = {
	{ "guest", guest_command, "--port PATH|NAME --interval MS [--load-dir DIR] [--ring BYTES] [--watch PATH,...]" },
	{ "host", host_command, "--out FILE --interval MS" },
	{ "follow", follow_command, "--every MS [--pid FILE] [--parent-pid FILE]" },
	{ "clock", clock_command, "" },
	{ "tsc", tsc_command, "" },
};

#define COMMANDS (sizeof(commands) / sizeof(*commands))

void die(const char *what)
{
	fprintf(stderr, "pvprobe: %s: %s\n", what, strerror(errno));
	exit(1);
}

void usage_error(const char *text, const char *about)
{
	fprintf(stderr, "pvprobe: %s%s\n", text, about);
	for (size_t i = 0; i < COMMANDS; i++)
		fprintf(stderr, "usage: pvprobe %s %s\n", commands[i].name, commands[i].usage);
	exit(2);
}

const char *option(int argc, char **argv, const char *name, const char *fallback)
{
	for (int i = 0; i + 1 < argc; i += 2)
		if (strcmp(argv[i], name) == 0)
			return argv[i + 1];
	if (!fallback)
		usage_error("missing option ", name);
	return fallback;
}

static bool is_known(const char *name, const char *const *known)
{
	for (; *known; known++)
		if (strcmp(name, *known) == 0)
			return true;
	return false;
}

void check_options(int argc, char **argv, const char *const *known)
{
	for (int i = 0; i < argc; i += 2) {
		if (!is_known(argv[i], known))
			usage_error("unknown option ", argv[i]);
		if (i + 1 == argc)
			usage_error("no value for option ", argv[i]);
	}
}

unsigned long long parse_interval_ns(const char *text)
{
	char *end;
	unsigned long ms = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || ms < 10 || ms > 10000)
		usage_error("the interval must be 10 to 10000 milliseconds, not ", text);
	return ms * NS_PER_MS;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		usage_error("no command", "");
	for (size_t i = 0; i < COMMANDS; i++)
		if (strcmp(argv[1], commands[i].name) == 0)
			return commands[i].run(argc - 2, argv + 2);
	usage_error("unknown command ", argv[1]);
}
