// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvspin: a load of busy tasks that count the work they do.
 *
 *     pvspin run --name LOAD --tasks N [--vcpus CPULIST] [--load-dir DIR] [--daemon]
 *     pvspin stop --name LOAD [--load-dir DIR]
 *
 * Each task is a thread named LOAD/0, LOAD/1, ... that does units of fixed arithmetic and publishes how many,
 * on which vCPU it runs and which affinity it sees (load_layout.h). Without --vcpus no affinity is ever set.
 * With --daemon `run` returns once the counter file stands there complete and the process id in LOAD.pid.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load_layout.h"
#include "monotonic.h"

#define PROCESS_NAME "pvspin"
/* One unit: a chain of dependent multiplications, 20 to 50 us on a real machine. */
#define UNIT_STEPS 20000
/* Own run time between two looks at the affinity, and units between two looks at the run time. */
#define AFFINITY_NS (50 * NS_PER_MS)
#define UNITS_PER_LOOK 16
#define STOP_WAIT_MS 5000
#define STACK_SIZE (64 * 1024)

struct request {
	const char *name, *directory, *vcpus;
	uint32_t tasks;
	bool daemon;
};

struct task {
	struct load_task *record;
	char name[16];
};

static pthread_barrier_t all_published;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "pvspin: %s: %s\n", what, strerror(errno));
	exit(1);
}

static _Noreturn void usage_error(const char *text, const char *about)
{
	fprintf(stderr,
		"pvspin: %s%s\n"
		"usage: pvspin run --name LOAD --tasks N [--vcpus CPULIST] [--load-dir DIR] [--daemon]\n"
		"usage: pvspin stop --name LOAD [--load-dir DIR]\n",
		text, about);
	exit(2);
}

static const char *path_of(const struct request *request, const char *prefix, const char *suffix)
{
	static char paths[4][PATH_MAX];
	static unsigned int turn;
	char *path = paths[turn++ % 4];

	snprintf(path, PATH_MAX, "%s/%s%s%s", request->directory, prefix, request->name, suffix);
	return path;
}

/* The arithmetic: its result is used, so that no compiler can leave it out. */
static uint64_t do_unit(uint64_t state)
{
	for (int step = 0; step < UNIT_STEPS; step++)
		state = state * 6364136223846793005u + 1442695040888963407u;
	return state;
}

static void publish_affinity(struct load_task *record)
{
	uint64_t mask[MASK_WORDS] = { 0 };

	if (sched_getaffinity(0, sizeof(mask), (cpu_set_t *)mask) != 0)
		return;
	atomic_fetch_add(&record->affinity_turn, 1);
	for (int word = 0; word < MASK_WORDS; word++)
		atomic_store_explicit(&record->affinity[word], mask[word], memory_order_relaxed);
	atomic_fetch_add(&record->affinity_turn, 1);
}

static void publish_place(struct load_task *record)
{
	int vcpu = sched_getcpu();

	if (vcpu >= 0)
		atomic_store_explicit(&record->vcpu, (uint32_t)vcpu, memory_order_relaxed);
}

static void look_at_affinity(struct load_task *record, uint64_t *due_ns)
{
	uint64_t run_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	if (run_ns < *due_ns)
		return;
	publish_affinity(record);
	*due_ns = run_ns + AFFINITY_NS;
}

static void *spin(void *argument)
{
	struct task *task = argument;
	struct load_task *record = task->record;
	volatile uint64_t sink = (uint64_t)(uintptr_t)record;
	uint64_t due_ns = 0;

	pthread_setname_np(pthread_self(), task->name);
	atomic_store(&record->tid, (int32_t)gettid());
	publish_place(record);
	publish_affinity(record);
	pthread_barrier_wait(&all_published); /* everybody is in the file ... */
	pthread_barrier_wait(&all_published); /* ... and the file in its place */
	for (uint64_t unit = 1;; unit++) {
		sink = do_unit(sink);
		atomic_store_explicit(&record->work, unit, memory_order_relaxed);
		publish_place(record);
		if (unit % UNITS_PER_LOOK == 0)
			look_at_affinity(record, &due_ns);
	}
	return NULL;
}

static struct load_file *create_counters(const struct request *request)
{
	size_t size = sizeof(struct load_file) + request->tasks * sizeof(struct load_task);
	const char *path = path_of(request, ".", ".new");
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	struct load_file *file;

	if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
		die(path);
	file = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		die(path);
	close(fd);
	memcpy(file->header.magic, LOAD_MAGIC, sizeof(file->header.magic));
	file->header.version = LOAD_VERSION;
	file->header.tasks = request->tasks;
	return file;
}

static void start_task(const struct request *request, struct load_file *file, uint32_t number)
{
	struct task *task = calloc(1, sizeof(*task));
	pthread_attr_t attributes;
	pthread_t thread;

	if (!task)
		die("task");
	task->record = &file->task[number];
	/* A thread's name has 15 characters; the number matters more than the end of a long load's name. */
	snprintf(task->name, sizeof(task->name), "%.*s/%u", number < 100 ? 12 : 10, request->name, number);
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	errno = pthread_create(&thread, &attributes, spin, task);
	if (errno != 0)
		die("pthread_create");
}

static void write_pid(const struct request *request)
{
	const char *path = path_of(request, "", ".pid");
	FILE *file = fopen(path, "we");

	if (!file || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0)
		die(path);
}

static void pin(const char *vcpus)
{
	uint64_t mask[MASK_WORDS];

	if (!cpulist_parse(vcpus, mask))
		usage_error("not a cpulist: ", vcpus);
	if (sched_setaffinity(0, sizeof(mask), (cpu_set_t *)mask) != 0)
		die("sched_setaffinity");
}

static void publish(const struct request *request)
{
	struct load_file *file = create_counters(request);

	pthread_barrier_init(&all_published, NULL, request->tasks + 1);
	for (uint32_t number = 0; number < request->tasks; number++)
		start_task(request, file, number);
	pthread_barrier_wait(&all_published);
	write_pid(request);
	if (rename(path_of(request, ".", ".new"), path_of(request, "", "")) != 0)
		die(path_of(request, "", ""));
}

static void remove_files(const struct request *request)
{
	unlink(path_of(request, "", ""));
	unlink(path_of(request, "", ".pid"));
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

/* Runs until a signal says to stop. `started` is where to tell that all is in place, or -1. */
static int work(const struct request *request, int started)
{
	sigset_t stops;
	int number;

	prctl(PR_SET_NAME, PROCESS_NAME);
	if (request->vcpus)
		pin(request->vcpus);
	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	sigprocmask(SIG_BLOCK, &stops, NULL);
	publish(request);
	if (started >= 0)
		tell_started(started);
	pthread_barrier_wait(&all_published);
	sigwait(&stops, &number);
	remove_files(request);
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

static bool is_pvspin(pid_t pid)
{
	char path[64], name[32] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(name, sizeof(name), file))
		name[strcspn(name, "\n")] = '\0';
	fclose(file);
	return strcmp(name, PROCESS_NAME) == 0;
}

/* The running process of this load, or 0. A number that another process got meanwhile is not it. */
static pid_t running_pid(const struct request *request)
{
	FILE *file = fopen(path_of(request, "", ".pid"), "re");
	int pid = 0;

	if (!file)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid > 0 && is_pvspin(pid) ? pid : 0;
}

static int run(const struct request *request)
{
	if (request->tasks == 0)
		usage_error("missing option ", "--tasks");
	if (running_pid(request)) {
		fprintf(stderr, "pvspin: load %s runs already as process %d\n", request->name,
			(int)running_pid(request));
		return 1;
	}
	if (mkdir(request->directory, 0755) != 0 && errno != EEXIST)
		die(request->directory);
	return request->daemon ? work_detached(request) : work(request, -1);
}

static int stop(const struct request *request)
{
	pid_t pid = running_pid(request);
	struct pollfd ended = { .events = POLLIN };

	if (!pid) {
		remove_files(request);
		fprintf(stderr, "pvspin: load %s does not run\n", request->name);
		return 1;
	}
	ended.fd = pidfd_open(pid, 0);
	if (ended.fd < 0 || kill(pid, SIGTERM) != 0)
		die(request->name);
	if (poll(&ended, 1, STOP_WAIT_MS) == 0)
		kill(pid, SIGKILL);
	remove_files(request);
	return 0;
}

static uint32_t parse_tasks(const char *text)
{
	char *end;
	unsigned long tasks = strtoul(text, &end, 10);

	if (end == text || *end != '\0' || tasks < 1 || tasks > LOAD_MAX_TASKS)
		usage_error("the number of tasks must be 1 to 1024, not ", text);
	return (uint32_t)tasks;
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
	else if (strcmp(name, "--load-dir") == 0)
		request->directory = value;
	else
		usage_error("unknown option ", name);
}

static struct request parse_request(int argc, char **argv)
{
	struct request request = { .directory = LOAD_DIR };

	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "--daemon") == 0) {
			request.daemon = true;
			continue;
		}
		take_option(&request, argv[i], i + 1 < argc ? argv[i + 1] : NULL);
		i++;
	}
	if (!request.name || !load_name_valid(request.name))
		usage_error("a load's name is a-z, then a-z, 0-9 and -: not ", request.name ? request.name : "absent");
	return request;
}

int main(int argc, char **argv)
{
	struct request request;

	if (argc < 2)
		usage_error("no command", "");
	request = parse_request(argc, argv);
	if (strcmp(argv[1], "run") == 0)
		return run(&request);
	if (strcmp(argv[1], "stop") == 0)
		return stop(&request);
	usage_error("unknown command ", argv[1]);
}
