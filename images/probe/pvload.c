// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvload: runs a load's command in a guest, begun at a moment that is the same in all guests, and ended wholly.
 *
 *     pvload arm --dir DIR [--vcpus CPULIST] [--limit BYTES] -- COMMAND...
 *     pvload release --dir DIR [--at NS]
 *     pvload wait --dir DIR --timeout SECONDS
 *     pvload stop --dir DIR [--grace SECONDS]
 *
 * `arm` makes DIR and leaves a supervisor behind, whose child is ready to become COMMAND. `release` says when that
 * is: at NS of CLOCK_MONOTONIC, or at once; it prints that clock. `wait` returns when the command has ended, with
 * status 1 after the timeout. `stop` sends SIGTERM to all processes of the command, and after --grace (default 5)
 * SIGKILL to what is left of them, whatever sessions and process groups they have made.
 *
 * In DIR, `out` has what the command wrote to its standard output and error: of more than --limit bytes the first
 * quarter and the last three, with a line between them that says how much is missing. `status` is there, complete,
 * when the command has ended, as lines of a key and a number:
 *
 *     pvload 1
 *     at NS            when it was to begin; 0: at once
 *     begin NS         when it began, just before COMMAND was executed; 0: never
 *     end NS           when its end was seen
 *     status N         its exit status, 128 + N where signal N ended it
 *     stopped 0|1      whether `stop` was called before its end
 *     written N        bytes that it wrote
 *     lost N           bytes of these that are not in `out`
 *     user NS          time of all of its processes in user mode ...
 *     system NS        ... and in the kernel
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpulist.h"
#include "loadfiles.h"
#include "monotonic.h"
#include "supervise.h"

#define DEFAULT_LIMIT (256 * 1024)
#define DEFAULT_GRACE_S 5
/* The command is not there: told apart from a command that fails. */
#define NO_PROGRAM 3

_Noreturn void load_die(const char *what)
{
	fprintf(stderr, "pvload: %s: %s\n", what, strerror(errno));
	exit(1);
}

static _Noreturn void usage_error(const char *text, const char *about)
{
	fprintf(stderr,
		"pvload: %s%s\n"
		"usage: pvload arm --dir DIR [--vcpus CPULIST] [--limit BYTES] -- COMMAND...\n"
		"usage: pvload release --dir DIR [--at NS]\n"
		"usage: pvload wait --dir DIR --timeout SECONDS\n"
		"usage: pvload stop --dir DIR [--grace SECONDS]\n",
		text, about);
	exit(2);
}

struct request {
	const char *directory, *vcpus;
	uint64_t at_ns, grace_s;
	double timeout_s;
	size_t limit;
	char **command;
};

static bool is_program(const char *path)
{
	struct stat about;

	return stat(path, &about) == 0 && S_ISREG(about.st_mode) && access(path, X_OK) == 0;
}

static bool is_there(const char *name)
{
	const char *search = getenv("PATH");
	char path[PATH_MAX];

	if (strchr(name, '/'))
		return is_program(name);
	for (const char *at = search ? search : "/usr/bin:/usr/sbin"; *at;) {
		size_t length = strcspn(at, ":");

		snprintf(path, sizeof(path), "%.*s/%s", (int)length, at, name);
		if (is_program(path))
			return true;
		at += length + (at[length] == ':');
	}
	return false;
}

static void pin(const char *vcpus)
{
	uint64_t mask[MASK_WORDS];

	if (!cpulist_parse(vcpus, mask))
		usage_error("not a cpulist: ", vcpus);
	if (sched_setaffinity(0, sizeof(mask), (cpu_set_t *)mask) != 0)
		load_die("sched_setaffinity");
}

static void make_directories(const char *directory)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s", directory);
	for (char *at = path + 1; *at; at++)
		if (*at == '/') {
			*at = '\0';
			if (mkdir(path, 0755) != 0 && errno != EEXIST)
				load_die(path);
			*at = '/';
		}
	if (mkdir(path, 0755) != 0) /* a run's directory is its own */
		load_die(path);
}

static int arm(const struct request *request)
{
	struct load_files files;

	if (!request->command || !request->command[0])
		usage_error("no command", "");
	if (!is_there(request->command[0])) {
		fprintf(stderr, "pvload: %s: no such program here\n", request->command[0]);
		return NO_PROGRAM;
	}
	make_directories(request->directory);
	load_files_name(&files, request->directory);
	if (mkfifo(files.trigger, 0600) != 0)
		load_die(files.trigger);
	if (request->vcpus)
		pin(request->vcpus);
	return supervise(&files, request->command, request->limit);
}

static int release(const struct request *request)
{
	struct load_files files;
	char line[32];
	int trigger, length;

	load_files_name(&files, request->directory);
	trigger = open(files.trigger, O_WRONLY | O_NONBLOCK | O_CLOEXEC);
	if (trigger < 0)
		load_die(files.trigger);
	length = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)request->at_ns);
	if (write(trigger, line, (size_t)length) != length)
		load_die(files.trigger);
	printf("now %llu\n", (unsigned long long)monotonic_ns());
	return 0;
}

static int wait_for(const struct request *request)
{
	struct load_files files;

	load_files_name(&files, request->directory);
	return load_wait(&files, (int)(request->timeout_s * 1000)) ? 0 : 1;
}

static int stop(const struct request *request)
{
	struct load_files files;

	load_files_name(&files, request->directory);
	return load_stop(&files, (int)request->grace_s * 1000);
}

static uint64_t parse_number(const char *name, const char *text, uint64_t most)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (end == text || *end != '\0' || errno != 0 || number > most || text[0] == '-')
		usage_error("not a number for ", name);
	return number;
}

static double parse_seconds(const char *name, const char *text)
{
	char *end;
	double seconds = strtod(text, &end);

	if (end == text || *end != '\0' || !(seconds >= 0 && seconds <= 1e6))
		usage_error("not a number of seconds for ", name);
	return seconds;
}

static void take_option(struct request *request, const char *name, const char *value)
{
	if (!value)
		usage_error("no value for option ", name);
	if (strcmp(name, "--dir") == 0)
		request->directory = value;
	else if (strcmp(name, "--vcpus") == 0)
		request->vcpus = value;
	else if (strcmp(name, "--at") == 0)
		request->at_ns = parse_number(name, value, UINT64_MAX / 2);
	else if (strcmp(name, "--timeout") == 0)
		request->timeout_s = parse_seconds(name, value);
	else if (strcmp(name, "--grace") == 0)
		request->grace_s = parse_number(name, value, 3600);
	else if (strcmp(name, "--limit") == 0)
		request->limit = parse_number(name, value, 1u << 30);
	else
		usage_error("unknown option ", name);
}

static struct request parse_request(int argc, char **argv)
{
	struct request request = { .limit = DEFAULT_LIMIT, .grace_s = DEFAULT_GRACE_S };

	for (int i = 2; i < argc; i += 2) {
		if (strcmp(argv[i], "--") == 0) {
			request.command = argv + i + 1;
			break;
		}
		take_option(&request, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
	}
	if (!request.directory)
		usage_error("missing option ", "--dir");
	return request;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct request *request);
	} verbs[] = { { "arm", arm }, { "release", release }, { "wait", wait_for }, { "stop", stop } };
	struct request request;

	if (argc < 2)
		usage_error("no command", "");
	request = parse_request(argc, argv);
	for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
		if (strcmp(argv[1], verbs[i].name) == 0)
			return verbs[i].run(&request);
	usage_error("unknown command ", argv[1]);
}
