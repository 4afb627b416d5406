// SPDX-License-Identifier: GPL-2.0-only
/* The tasks of pvspin: threads that count the work they do. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "loadduty.h"
#include "monotonic.h"
#include "pace.h"
#include "spin.h"

/* One unit: a chain of dependent multiplications, 20 to 50 us on a real machine. */
#define UNIT_STEPS 20000
/* Own run time between two looks at the affinity, and units between two looks at the run time. */
#define AFFINITY_NS (50 * NS_PER_MS)
#define UNITS_PER_LOOK 16
#define STACK_SIZE (64 * 1024)

struct task {
	struct load_file *file;
	struct load_task *record;
	uint64_t mask[MASK_WORDS];
	bool pinned;
	char name[16];
};

static pthread_barrier_t all_published;

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

static uint64_t publish_run_time(struct load_task *record)
{
	uint64_t run_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);

	atomic_store_explicit(&record->run_ns, run_ns, memory_order_relaxed);
	return run_ns;
}

static void look_at_affinity(struct load_task *record, uint64_t *due_ns)
{
	uint64_t run_ns = publish_run_time(record);

	if (run_ns < *due_ns)
		return;
	publish_affinity(record);
	*due_ns = run_ns + AFFINITY_NS;
}

/* Sleeps while the task has had its part. A task that always works never asks what time it is. */
static void keep_pace(const struct task *task, struct pace *pace)
{
	struct load_header *header = &task->file->header;
	uint32_t duty_ppm = atomic_load_explicit(&header->duty_ppm, memory_order_relaxed);
	uint64_t rest_ns;

	while (duty_ppm < PPM) {
		rest_ns = pace_rest(pace, monotonic_ns(), publish_run_time(task->record), duty_ppm,
				    header->period_ns);
		if (!rest_ns)
			return;
		load_rest(header, duty_ppm, rest_ns);
		duty_ppm = atomic_load_explicit(&header->duty_ppm, memory_order_relaxed);
	}
	*pace = (struct pace){ 0 };
}

static void *spin(void *argument)
{
	struct task *task = argument;
	struct load_task *record = task->record;
	volatile uint64_t sink = (uint64_t)(uintptr_t)record;
	uint64_t due_ns = 0;
	struct pace pace = { 0 };

	if (task->pinned)
		spin_pin(task->mask);
	pthread_setname_np(pthread_self(), task->name);
	atomic_store(&record->tid, (int32_t)gettid());
	publish_place(record);
	publish_affinity(record);
	pthread_barrier_wait(&all_published); /* everybody is in the file ... */
	pthread_barrier_wait(&all_published); /* ... and the file in its place */
	for (uint64_t unit = 1;; unit++) {
		keep_pace(task, &pace);
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
	file->header.duty_ppm = request->duty_ppm < PPM ? request->duty_ppm : PPM;
	file->header.period_ns = request->period_ns;
	return file;
}

/* The CPU number `number` of a list, beginning again behind its last. */
static void only_one(const char *vcpus, uint32_t number, uint64_t mask[MASK_WORDS])
{
	uint64_t all[MASK_WORDS];
	uint32_t count = 0;

	if (!cpulist_parse(vcpus, all))
		usage_error("not a cpulist: ", vcpus);
	for (int word = 0; word < MASK_WORDS; word++)
		count += (uint32_t)__builtin_popcountll(all[word]);
	number %= count;
	for (int cpu = 0;; cpu++)
		if (all[cpu / 64] >> cpu % 64 & 1 && number-- == 0) {
			mask[cpu / 64] = UINT64_C(1) << cpu % 64;
			return;
		}
}

static void start_task(const struct request *request, struct load_file *file, uint32_t number)
{
	struct task *task = calloc(1, sizeof(*task));
	pthread_attr_t attributes;
	pthread_t thread;

	if (!task)
		die("task");
	task->file = file;
	task->record = &file->task[number];
	task->pinned = request->one_each;
	if (task->pinned)
		only_one(request->vcpus, number, task->mask);
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

void spin_publish(const struct request *request)
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

void spin_begin(void)
{
	pthread_barrier_wait(&all_published);
}
