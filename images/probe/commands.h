/* SPDX-License-Identifier: GPL-2.0-only */
/* The subcommands of pvprobe: each takes its own argv and returns an exit status. */
#ifndef COMMANDS_H
#define COMMANDS_H

int guest_command(int argc, char **argv);
int host_command(int argc, char **argv);
int follow_command(int argc, char **argv);
int clock_command(int argc, char **argv);
int tsc_command(int argc, char **argv);

/* Value of option `name` ("--port"), or `fallback` where it is absent. Exits with a message on a bad line. */
const char *option(int argc, char **argv, const char *name, const char *fallback);

/* Exits 2 if argv holds anything but pairs of the `known` options (NULL-terminated). */
void check_options(int argc, char **argv, const char *const *known);

/* The sampling interval in ns out of milliseconds as text; exits 2 unless it is 10..10000. */
unsigned long long parse_interval_ns(const char *text);

/* Prints "pvprobe: WHAT: strerror" and exits 1. */
_Noreturn void die(const char *what);

/* Prints "pvprobe: TEXT" and exits 2. */
_Noreturn void usage_error(const char *text, const char *about);

#endif
