// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvspin: a load of busy tasks that count the work they do.
 *
 *     pvspin run --name LOAD --tasks N [--vcpus CPULIST [--one-each]] [--duty PERCENT [--period TIME]] [--realtime]
 *                [--beside DOMAIN --group NAME --weight N] [--load-dir DIR] [--daemon]
 *     pvspin duty --name LOAD --duty PERCENT [--load-dir DIR]
 *     pvspin stop --name LOAD [--load-dir DIR]
 *     pvspin show [--load-dir DIR]
 *     pvspin end [--load-dir DIR]
 *
 * Each task is a thread named LOAD/0, LOAD/1, ... that does units of fixed arithmetic and publishes how many,
 * on which vCPU it runs and which affinity it sees (load_layout.h). Without --vcpus no affinity is ever set;
 * with --one-each task i is pinned to the i-th of them. With a duty below 100 each task demands that part of a CPU
 * (pace.h). With --beside the tasks run in a control group of that NAME and weight beside that of a libvirt domain,
 * so that they compete with domains as another domain would. With --realtime they do not compete: SCHED_FIFO, so that
 * each takes its CPU at once when it wants to work, and keeps it until it has had its part.
 *
 * With --daemon `run` returns once the counter file stands there complete and the process id in LOAD.pid. `duty`
 * changes the duty of a load that runs. `show` prints the counters of every load of a directory. `end` stops them all
 * and takes the directory away, under another name, so that none can be started in it any more.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cgroups.h"
#include "monotonic.h"
#include "pace.h"
#include "spin.h"

#define PERIOD_NS (10 * NS_PER_MS)
#define MIN_PERIOD_NS NS_PER_MS
#define MAX_PERIOD_NS (10 * NS_PER_S)

_Noreturn void die(const char *what)
{
	fprintf(stderr, "pvspin: %s: %s\n", what, strerror(errno));
	exit(1);
}

_Noreturn void usage_error(const char *text, const char *about)
{
	fprintf(stderr,
		"pvspin: %s%s\n"
		"usage: pvspin run --name LOAD --tasks N [--vcpus CPULIST [--one-each]] [--duty PERCENT [--period TIME]]\n"
		"                  [--realtime] [--beside DOMAIN --group NAME --weight N] [--load-dir DIR] [--daemon]\n"
		"usage: pvspin duty --name LOAD --duty PERCENT [--load-dir DIR]\n"
		"usage: pvspin stop --name LOAD [--load-dir DIR]\n"
		"usage: pvspin show|end [--load-dir DIR]\n",
		text, about);
	exit(2);
}

const char *path_of(const struct request *request, const char *prefix, const char *suffix)
{
	static char paths[4][PATH_MAX];
	static unsigned int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, PATH_MAX, "%s/%s%s%s", request->directory, prefix, request->name, suffix);
	return path;
}

void spin_pin(const uint64_t mask[MASK_WORDS])
{
	if (sched_setaffinity(0, MASK_WORDS * sizeof(mask[0]), (const cpu_set_t *)mask) != 0)
		die("sched_setaffinity");
}

static void pin_to_list(const char *vcpus)
{
	uint64_t mask[MASK_WORDS];

	if (!cpulist_parse(vcpus, mask))
		usage_error("not a cpulist: ", vcpus);
	spin_pin(mask);
}

/* The group is written down before anything is in it: whoever ends this load removes it. */
static void join_group(const struct request *request)
{
	struct outcome outcome = { 0 };
	FILE *file;

	if (!group_find_beside(request->beside, request->group, &outcome)) {
		fprintf(stderr, "pvspin: %s: %s %s\n", outcome.place, outcome.why, strerror(outcome.error));
		exit(1);
	}
	file = fopen(path_of(request, "", ".group"), "we");
	if (!file || fprintf(file, "%s\n", outcome.place) < 0 || fclose(file) != 0)
		die(path_of(request, "", ".group"));
	if (!group_join(outcome.place, request->weight, &outcome)) {
		fprintf(stderr, "pvspin: %s: %s %s\n", outcome.place, outcome.why, strerror(outcome.error));
		spin_forget(request);
		exit(1);
	}
}

/* Its tasks inherit it. The lowest such priority: nothing else of the kernel's has to wait. */
static void become_realtime(const struct request *request)
{
	if (sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 }) == 0)
		return;
	fprintf(stderr, "pvspin: SCHED_FIFO for load %s: %s\n", request->name, strerror(errno));
	exit(1);
}

static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	setsid();
	if (null < 0)
		die("/dev/null");
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
}

static void tell_started(int started)
{
	leave_terminal();
	if (write(started, "", 1) != 1)
		die("the starting process");
	close(started);
}

/* The group stays while this process is in it: whoever sent the signal removes it. */
static void remove_own_files(const struct request *request)
{
	unlink(path_of(request, "", ""));
	unlink(path_of(request, "", ".pid"));
}

/* Runs until a signal says to stop. `started` is where to tell that all is in place, or -1. */
static int work(const struct request *request, int started)
{
	sigset_t stops;
	int number;

	prctl(PR_SET_NAME, SPIN_PROCESS_NAME);
	if (request->vcpus)
		pin_to_list(request->vcpus);
	if (request->realtime)
		become_realtime(request);
	if (request->beside)
		join_group(request);
	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	sigprocmask(SIG_BLOCK, &stops, NULL);
	spin_publish(request);
	if (started >= 0)
		tell_started(started);
	spin_begin();
	sigwait(&stops, &number);
	remove_own_files(request);
	return 0;
}

/* The child keeps stderr until all is in place, so that its errors are seen here. */
static int work_detached(const struct request *request)
{
	int ready[2];
	char byte;
	pid_t child;

	if (pipe2(ready, O_CLOEXEC) != 0)
		die("pipe");
	child = fork();
	if (child < 0)
		die("fork");
	if (child == 0) {
		close(ready[0]);
		exit(work(request, ready[1]));
	}
	close(ready[1]);
	return read(ready[0], &byte, 1) == 1 ? 0 : 1;
}

static int run(const struct request *request)
{
	pid_t running = spin_pid(request);

	if (request->tasks == 0)
		usage_error("missing option ", "--tasks");
	if (request->one_each && !request->vcpus)
		usage_error("--one-each needs ", "--vcpus");
	if (!!request->beside != !!request->group || !!request->beside != !!request->weight)
		usage_error("--beside, --group and --weight belong together", "");
	if (running) {
		fprintf(stderr, "pvspin: load %s runs already as process %d\n", request->name, (int)running);
		return 1;
	}
	/* A load beside domains is somebody's who ends it by its directory, and has made that before. */
	if (!request->beside && mkdir(request->directory, 0755) != 0 && errno != EEXIST)
		die(request->directory);
	return request->daemon ? work_detached(request) : work(request, -1);
}

static int set_duty(const struct request *request)
{
	if (request->duty_ppm > PPM)
		usage_error("missing option ", "--duty");
	return spin_set_duty(request);
}

static uint32_t parse_tasks(const char *text)
{
	char *end;
	unsigned long tasks = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || tasks < 1 || tasks > LOAD_MAX_TASKS)
		usage_error("the number of tasks must be 1 to 1024, not ", text);
	return (uint32_t)tasks;
}

static uint32_t parse_duty(const char *text)
{
	char *end;
	double percent = strtod(text, &end);

	if (end == text || *end != '\0' || !(percent >= 0 && percent <= 100))
		usage_error("the duty must be 0 to 100 per cent, not ", text);
	return (uint32_t)(percent * (PPM / 100) + 0.5);
}

static uint64_t parse_period(const char *text)
{
	char *end;
	double amount = strtod(text, &end);
	double ns = amount * (strcmp(end, "s") == 0 ? (double)NS_PER_S : (double)NS_PER_MS);

	if (end == text || (strcmp(end, "s") != 0 && strcmp(end, "ms") != 0) ||
	    !(ns >= (double)MIN_PERIOD_NS && ns <= (double)MAX_PERIOD_NS))
		usage_error("the period must be 1ms to 10s, not ", text);
	return (uint64_t)ns;
}

static void take_option(struct request *request, const char *name, const char *value)
{
	if (!value)
		usage_error("no value for option ", name);
	if (strcmp(name, "--name") == 0)
		request->name = value;
	else if (strcmp(name, "--tasks") == 0)
		request->tasks = parse_tasks(value);
	else if (strcmp(name, "--vcpus") == 0)
		request->vcpus = value;
	else if (strcmp(name, "--duty") == 0)
		request->duty_ppm = parse_duty(value);
	else if (strcmp(name, "--period") == 0)
		request->period_ns = parse_period(value);
	else if (strcmp(name, "--beside") == 0)
		request->beside = value;
	else if (strcmp(name, "--group") == 0)
		request->group = value;
	else if (strcmp(name, "--weight") == 0)
		request->weight = value;
	else if (strcmp(name, "--load-dir") == 0)
		request->directory = value;
	else if (strcmp(name, "--root") == 0)
		root_set(value);
	else
		usage_error("unknown option ", name);
}

static bool take_flag(struct request *request, const char *name)
{
	bool daemon = strcmp(name, "--daemon") == 0, one_each = strcmp(name, "--one-each") == 0;
	bool realtime = strcmp(name, "--realtime") == 0;

	request->daemon |= daemon;
	request->one_each |= one_each;
	request->realtime |= realtime;
	return daemon || one_each || realtime;
}

static struct request parse_request(int argc, char **argv)
{
	struct request request = { .directory = LOAD_DIR, .duty_ppm = UINT32_MAX, .period_ns = PERIOD_NS };

	for (int i = 2; i < argc; i++) {
		if (take_flag(&request, argv[i]))
			continue;
		take_option(&request, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
		i++;
	}
	return request;
}

static const struct command {
	const char *name;
	int (*execute)(const struct request *request);
	bool names_load;
} commands[] = {
	{ "run", run, true },	       { "duty", set_duty, true },      { "stop", spin_stop, true },
	{ "show", spin_show, false }, { "end", spin_end_all, false },
};

int main(int argc, char **argv)
{
	struct request request;

	if (argc < 2)
		usage_error("no command", "");
	request = parse_request(argc, argv);
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(argv[1], commands[i].name) != 0)
			continue;
		if (commands[i].names_load && (!request.name || !load_name_valid(request.name)))
			usage_error("a load's name is a-z, then a-z, 0-9 and -: not ",
				    request.name ? request.name : "absent");
		return commands[i].execute(&request);
	}
	usage_error("unknown command ", argv[1]);
}
