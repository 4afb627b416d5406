// SPDX-License-Identifier: GPL-2.0-only
/*
 * `pvprobe host`: samples this machine's CPUs and the vCPU threads of the guests it is told to watch.
 * Commands are lines on stdin, events are lines on stdout, samples go to a file. The end of stdin ends the
 * probe, so that it never outlives the connection it was started through.
 *
 *     guest NAME PIDFILE SOCKET STREAMFILE CONSOLEFILE   watch a guest (`-` for what there is not)
 *     drop NAME      stop watching      mark TEXT   a mark in the samples, then flush
 *     now            print the clock    quit        flush and end
 *     state          print what was seen last (STREAM.md)
 *     tasks NAME     a snapshot of the whole host into the samples
 *     duty FILE PPM  let the tasks of a load demand so many millionths of a CPU each (duty.h)
 *     own NAME PIDFILE|PID    that process is the lab's own      disown NAME    it is not any more
 *
 *     hello T   ready NAME T   gone NAME T   console NAME LINE   error NAME|- TEXT   marked T TEXT   now T
 *     tasks T NAME   state-vcpu ...   state-steal ...   state-end T
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "answer.h"
#include "commands.h"
#include "duty.h"
#include "events.h"
#include "monotonic.h"
#include "procstat.h"
#include "schedule.h"
#include "tasks.h"
#include "watched.h"

#define OUTPUT_SIZE (1024 * 1024)
/* A sample must fit as a whole: flush when less than this is free. */
#define OUTPUT_RESERVE (256 * 1024)
/* How often to look for what cannot be polled for: quickly while something is awaited, else seldom, since on an
 * emulated host every wake-up is dear and takes time from the vCPUs that are measured. */
#define TICK_AWAITING_NS (50 * NS_PER_MS)
#define TICK_NS (200 * NS_PER_MS)
#define FLUSH_NS (1 * NS_PER_S)
#define COMMAND_SIZE 8192

struct host {
	struct output output;
	struct watched *guests;
	struct tasks *tasks;
	size_t guest_count;
	uint64_t interval_ns, sample_due_ns, tick_due_ns, flush_due_ns, sample_number, dropped;
	size_t command_length;
	char command[COMMAND_SIZE];
	bool quit;
};

static volatile sig_atomic_t interrupted;

void event(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vprintf(format, arguments);
	va_end(arguments);
	putchar('\n');
	if (fflush(stdout) != 0)
		interrupted = 1; /* nobody listens any more */
}

void output_flush(struct output *output)
{
	size_t done = 0;

	while (done < output->text.length) {
		ssize_t written = write(output->fd, output->text.bytes + done, output->text.length - done);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0) {
			event("error - samples cannot be written: %s", strerror(errno));
			interrupted = 1;
			break;
		}
		done += (size_t)written;
	}
	text_reset(&output->text);
}

void output_make_room(struct output *output, size_t room)
{
	if (output->text.size - output->text.length < room)
		output_flush(output);
}

static void append_sample(struct host *host, struct text *text)
{
	text_string(text, "b");
	text_field(text, host->sample_number);
	text_field(text, monotonic_ns());
	text_char(text, '\n');
	procstat_sample(text);
	for (struct watched *guest = host->guests; guest; guest = guest->next)
		vcpus_sample(&guest->vcpus, guest->name, text);
	text_string(text, "e");
	text_field(text, host->sample_number++);
	text_field(text, monotonic_ns());
	text_field(text, clock_ns(CLOCK_PROCESS_CPUTIME_ID));
	text_char(text, '\n');
}

/* A sample that does not fit is taken out again as a whole, and counted. */
static void take_sample(struct host *host)
{
	struct text *text = &host->output.text;
	size_t before = text->length;

	append_sample(host, text);
	if (!text->overflow)
		return;
	text->length = before;
	text->overflow = false;
	text_string(text, "d");
	text_field(text, ++host->dropped);
	text_char(text, '\n');
}

static struct watched **find_guest(struct host *host, const char *name)
{
	struct watched **at = &host->guests;

	while (*at && strcmp((*at)->name, name) != 0)
		at = &(*at)->next;
	return at;
}

static bool split_fields(char *text, char *fields[WATCHED_FIELDS])
{
	char *rest;

	for (int i = 0; i < WATCHED_FIELDS; i++)
		if (!(fields[i] = strtok_r(i == 0 ? text : NULL, " ", &rest)))
			return false;
	return strtok_r(NULL, " ", &rest) == NULL;
}

static void watch_guest(struct host *host, const char *arguments)
{
	char *command = strdup(arguments), *fields[WATCHED_FIELDS];
	struct watched *guest;

	if (!command || !split_fields(command, fields)) {
		event("error - expected: guest NAME PIDFILE SOCKET STREAMFILE CONSOLEFILE");
		free(command);
	} else if (*find_guest(host, fields[0])) {
		event("error %s is watched already", fields[0]);
		free(command);
	} else if ((guest = watched_start(command, fields))) {
		guest->next = host->guests;
		host->guests = guest;
		host->guest_count++;
		host->tick_due_ns = 0;
	}
}

static void drop_guest(struct host *host, const char *name)
{
	struct watched **at = find_guest(host, name), *guest = *at;

	if (!guest) {
		event("error %s is not watched", name);
		return;
	}
	*at = guest->next;
	host->guest_count--;
	watched_stop(guest);
}

static void make_mark(struct host *host, const char *text)
{
	uint64_t now_ns = monotonic_ns();

	text_string(&host->output.text, "m");
	text_field(&host->output.text, now_ns);
	text_char(&host->output.text, ' ');
	text_string(&host->output.text, text);
	text_char(&host->output.text, '\n');
	output_flush(&host->output);
	event("marked %" PRIu64 " %s", now_ns, text);
}

static void obey(struct host *host, char *command)
{
	if (strncmp(command, "guest ", 6) == 0)
		watch_guest(host, command + 6);
	else if (strncmp(command, "drop ", 5) == 0)
		drop_guest(host, command + 5);
	else if (strncmp(command, "mark ", 5) == 0)
		make_mark(host, command + 5);
	else if (strcmp(command, "now") == 0)
		event("now %" PRIu64, monotonic_ns());
	else if (strcmp(command, "state") == 0)
		answer_state(host->guests);
	else if (strncmp(command, "tasks ", 6) == 0)
		tasks_snapshot(host->tasks, command + 6, host->guests, &host->output);
	else if (strncmp(command, "duty ", 5) == 0)
		duty_write(command + 5);
	else if (strncmp(command, "own ", 4) == 0)
		tasks_own(host->tasks, command + 4);
	else if (strncmp(command, "disown ", 7) == 0)
		tasks_disown(host->tasks, command + 7);
	else if (strcmp(command, "quit") == 0)
		host->quit = true;
	else
		event("error - unknown command: %s", command);
}

static void obey_lines(struct host *host)
{
	char *line = host->command, *end;

	while (!host->quit && (end = memchr(line, '\n', (size_t)(host->command + host->command_length - line)))) {
		*end = '\0';
		obey(host, line);
		line = end + 1;
	}
	host->command_length -= (size_t)(line - host->command);
	memmove(host->command, line, host->command_length);
}

static void read_commands(struct host *host)
{
	ssize_t length = read(0, host->command + host->command_length, COMMAND_SIZE - host->command_length);

	if (length < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (length <= 0) {
		host->quit = true;
		return;
	}
	host->command_length += (size_t)length;
	obey_lines(host);
	if (host->command_length == COMMAND_SIZE) {
		event("error - command longer than %d bytes", COMMAND_SIZE);
		host->command_length = 0;
	}
}

static void tick(struct host *host, uint64_t now_ns)
{
	bool awaiting = false;

	for (struct watched *guest = host->guests; guest; guest = guest->next)
		awaiting |= watched_tick(guest, now_ns);
	host->tick_due_ns = now_ns + (awaiting ? TICK_AWAITING_NS : TICK_NS);
}

/* Missed samples are left out rather than made up for in a burst. */
static void sample_on_time(struct host *host, uint64_t now_ns)
{
	take_sample(host);
	host->sample_due_ns += host->interval_ns;
	if (host->sample_due_ns < now_ns)
		host->sample_due_ns += (now_ns - host->sample_due_ns) / host->interval_ns * host->interval_ns +
				       host->interval_ns;
}

static void do_due(struct host *host)
{
	uint64_t now_ns = monotonic_ns();

	if (now_ns >= host->sample_due_ns)
		sample_on_time(host, now_ns);
	if (now_ns >= host->tick_due_ns)
		tick(host, now_ns);
	if (now_ns >= host->flush_due_ns || host->output.text.size - host->output.text.length < OUTPUT_RESERVE) {
		output_flush(&host->output);
		host->flush_due_ns = now_ns + FLUSH_NS;
	}
}

static void wait_for_input(struct host *host, struct pollfd *pollers, size_t count)
{
	uint64_t now_ns = monotonic_ns();
	uint64_t due_ns = host->sample_due_ns < host->tick_due_ns ? host->sample_due_ns : host->tick_due_ns;
	uint64_t wait_ns = due_ns > now_ns ? due_ns - now_ns : 0;
	struct timespec timeout = { (time_t)(wait_ns / NS_PER_S), (long)(wait_ns % NS_PER_S) };

	if (ppoll(pollers, count, &timeout, NULL) < 0)
		memset(pollers, 0, count * sizeof(*pollers));
}

/* Guests first, commands last: a command may remove a guest that `pollers` still speaks of. */
static void run_once(struct host *host)
{
	struct pollfd pollers[1 + 2 * host->guest_count];
	struct watched *guest;
	size_t i = 1;

	pollers[0] = (struct pollfd){ .fd = 0, .events = POLLIN };
	for (guest = host->guests; guest; guest = guest->next, i += 2)
		watched_poll(guest, &pollers[i]);
	wait_for_input(host, pollers, i);
	do_due(host);
	for (guest = host->guests, i = 1; guest; guest = guest->next, i += 2)
		watched_handle(guest, &pollers[i], &host->output);
	if (pollers[0].revents)
		read_commands(host);
}

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static void say_hello(struct host *host, const char *sched)
{
	char line[200];
	uint64_t now_ns = monotonic_ns();

	snprintf(line, sizeof(line),
		 "pvprobe 1 host interval_ms=%" PRIu64 " boot_ns=%" PRIu64 " user_hz=%ld pcpus=%ld sched=%s tasks=1\n",
		 (uint64_t)(host->interval_ns / NS_PER_MS), now_ns, sysconf(_SC_CLK_TCK),
		 sysconf(_SC_NPROCESSORS_ONLN), sched);
	text_string(&host->output.text, line);
	output_flush(&host->output);
	event("hello %" PRIu64, now_ns);
	host->sample_due_ns = now_ns;
}

static void catch_signals(void)
{
	struct sigaction action = { .sa_handler = interrupt };

	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGHUP, &action, NULL);
}

int host_command(int argc, char **argv)
{
	static struct host host;
	static char bytes[OUTPUT_SIZE];
	const char *out;

	check_options(argc, argv, (const char *const[]){ "--out", "--interval", NULL });
	host.interval_ns = parse_interval_ns(option(argc, argv, "--interval", NULL));
	host.output.text = (struct text){ .bytes = bytes, .size = sizeof(bytes) };
	out = option(argc, argv, "--out", NULL);
	host.output.fd = open(out, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (host.output.fd < 0)
		die(out);
	if (procstat_open() != 0)
		die("/proc/stat");
	host.tasks = tasks_create();
	if (!host.tasks)
		die("buffers");
	catch_signals();
	say_hello(&host, schedule_be_punctual());
	while (!host.quit && !interrupted)
		run_once(&host);
	output_flush(&host.output);
	return 0;
}
