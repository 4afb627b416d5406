// SPDX-License-Identifier: GPL-2.0-only
/*
 * `pvprobe follow`: tells somebody who only looks what stands in the streams and consoles of a running lab (FOLLOW.md).
 * It reads files that others write, a few times a second at most, and never gets into the way of who measures: it
 * gives up its turn on a CPU rather than take one. The end of stdin ends it, so that it never outlives the connection
 * it was started through.
 *
 *     stream NAME PATH [TRIM]    follow a stream; one as long as TRIM bytes is emptied
 *     text NAME PATH             follow a text
 *     drop NAME                  follow the stream and the text of that name no more
 */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "commands.h"
#include "followed.h"
#include "monotonic.h"

#define COMMAND_SIZE 8192
#define NICE 5

struct follow {
	struct followed *files;
	uint64_t every_ns, due_ns;
	size_t length;
	char command[COMMAND_SIZE];
	bool quit;
};

static void drop(struct follow *follow, const char *name, bool is_text)
{
	struct followed **at = &follow->files, *file;

	while (*at && ((*at)->is_text != is_text || strcmp((*at)->name, name) != 0))
		at = &(*at)->next;
	file = *at;
	if (file) {
		*at = file->next;
		followed_stop(file);
	}
}

static void add(struct follow *follow, const char *name, const char *path, bool is_text, off_t trim)
{
	struct followed *file = followed_start(strdup(name), strdup(path), is_text, trim);

	if (file) {
		file->next = follow->files;
		follow->files = file;
	}
}

static void obey(struct follow *follow, char *command)
{
	char *rest, *kind = strtok_r(command, " ", &rest), *name = strtok_r(NULL, " ", &rest);
	char *path = strtok_r(NULL, " ", &rest), *trim = strtok_r(NULL, " ", &rest);

	if (!kind || !name)
		return;
	if (strcmp(kind, "text") != 0)
		drop(follow, name, false);
	if (strcmp(kind, "stream") != 0)
		drop(follow, name, true);
	if (path && strcmp(kind, "drop") != 0)
		add(follow, name, path, strcmp(kind, "text") == 0, trim ? (off_t)strtoll(trim, NULL, 10) : 0);
}

static void read_commands(struct follow *follow)
{
	ssize_t length = read(0, follow->command + follow->length, COMMAND_SIZE - 1 - follow->length);
	char *line = follow->command, *end;

	if (length < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (length <= 0) {
		follow->quit = true;
		return;
	}
	follow->length += (size_t)length;
	while ((end = memchr(line, '\n', (size_t)(follow->command + follow->length - line)))) {
		*end = '\0';
		obey(follow, line);
		line = end + 1;
	}
	follow->length -= (size_t)(line - follow->command);
	memmove(follow->command, line, follow->length);
	if (follow->length == COMMAND_SIZE - 1)
		follow->length = 0; /* no command is as long */
}

static void look(struct follow *follow)
{
	for (struct followed *file = follow->files; file; file = file->next)
		followed_look(file);
	printf("z %" PRIu64 " %" PRIu64 "\n", monotonic_ns(), clock_ns(CLOCK_PROCESS_CPUTIME_ID));
	if (fflush(stdout) != 0)
		follow->quit = true;
}

static void run_once(struct follow *follow)
{
	struct pollfd commands = { .fd = 0, .events = POLLIN };
	uint64_t now_ns = monotonic_ns();
	int wait_ms = follow->due_ns > now_ns ? (int)((follow->due_ns - now_ns + NS_PER_MS - 1) / NS_PER_MS) : 0;

	if (poll(&commands, 1, wait_ms) > 0)
		read_commands(follow);
	now_ns = monotonic_ns();
	if (follow->quit || now_ns < follow->due_ns)
		return;
	look(follow);
	follow->due_ns += follow->every_ns;
	if (follow->due_ns < now_ns) /* looks that were missed are not made up for */
		follow->due_ns = now_ns + follow->every_ns;
}

/* For whoever accounts for what runs on this machine: this process, and the one whose connection it speaks through. */
static void write_pids(const char *path, const char *parent_path)
{
	const struct {
		const char *path;
		pid_t pid;
	} files[] = { { path, getpid() }, { parent_path, getppid() } };

	for (size_t i = 0; i < 2; i++) {
		FILE *file = *files[i].path ? fopen(files[i].path, "we") : NULL;

		if (!file)
			continue;
		fprintf(file, "%d\n", (int)files[i].pid);
		fclose(file);
	}
}

static void be_modest(void)
{
	const struct sched_param none = { 0 };

	sched_setscheduler(0, SCHED_BATCH, &none);
	setpriority(PRIO_PROCESS, 0, NICE);
}

int follow_command(int argc, char **argv)
{
	static struct follow follow;

	check_options(argc, argv, (const char *const[]){ "--every", "--pid", "--parent-pid", NULL });
	follow.every_ns = parse_interval_ns(option(argc, argv, "--every", NULL));
	signal(SIGPIPE, SIG_IGN);
	be_modest();
	write_pids(option(argc, argv, "--pid", ""), option(argc, argv, "--parent-pid", ""));
	printf("pvfollow 1 every_ms=%" PRIu64 "\n", follow.every_ns / NS_PER_MS);
	fflush(stdout);
	follow.due_ns = monotonic_ns() + follow.every_ns / 10; /* by then it was told what to follow */
	while (!follow.quit)
		run_once(&follow);
	return 0;
}
