// SPDX-License-Identifier: GPL-2.0-only
/*
 * hotplug_storm SECONDS SEED
 *
 * Takes random CPUs offline and online while others write random masks of CPUs to avoid, legal and not, switch
 * the governor on and off where the kernel has one, and start and end processes. All random numbers come from
 * SEED, each thread's in the same order; what they meet depends on the timing.
 *
 * A reader looks at the mask all the time. What it sees must be a set of present CPUs, and while no CPU comes or
 * goes it must leave an online one. What was taken or refused without a CPU coming or going meanwhile is compared
 * with what should have been.
 *
 * Prints NAME=COUNT for each thing counted and a line "bad: ..." for each thing that is wrong, up to a limit.
 * Leaves all CPUs online, the mask empty and the governor off. Exits 1 if anything was wrong.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "mask_file.h"

#define WRITERS 2
#define CHURNERS 2
#define MAX_COMPLAINTS 20

enum count {
	OFFLINED, ONLINED, PLUG_REFUSED, TAKEN, REFUSED, BUSY, CHECKED_WRITES, READS, CHECKED_READS, NOT_EMPTY,
	GOVERNOR_ON, PROCESSES, BAD, COUNTS,
};

static const char *const count_names[COUNTS] = {
	"offlined", "onlined", "plug_refused", "masks_taken", "masks_refused", "masks_busy", "writes_checked", "reads",
	"reads_checked", "reads_not_empty", "governor_on", "processes", "bad",
};

static _Atomic long counts[COUNTS];
static _Atomic bool over;
/* Odd while a CPU comes or goes. */
static _Atomic unsigned long plugging;
static unsigned long seed;
static int nr_cpus;
static uint64_t present;
static bool has_governor;

static void count(enum count what)
{
	atomic_fetch_add(&counts[what], 1);
}

static void bad(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void bad(const char *format, ...)
{
	char text[200];
	va_list args;

	if (atomic_fetch_add(&counts[BAD], 1) >= MAX_COMPLAINTS)
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	printf("bad: %s\n", text);
}

/* ---- CPUs come and go ---- */

static void plug(int cpu, bool online)
{
	char path[64];
	int err;

	snprintf(path, sizeof(path), CPU_ROOT "/cpu%d/online", cpu);
	atomic_fetch_add(&plugging, 1);
	err = put(path, online ? "1" : "0");
	atomic_fetch_add(&plugging, 1);
	if (!err)
		count(online ? ONLINED : OFFLINED);
	else if (err == EBUSY)
		count(PLUG_REFUSED);
	else
		bad("cpu%d %s: %s", cpu, online ? "online" : "offline", strerror(err));
}

static void *plugger(void *unused)
{
	uint64_t state = random_state(seed, 0);

	(void)unused;
	while (!atomic_load(&over)) {
		int cpu = 1 + (int)random_below(&state, nr_cpus - 1);
		uint64_t online = read_list(CPU_ROOT "/online");

		plug(cpu, !(online >> cpu & 1));
		sleep_ms(random_below(&state, 120));
	}
	return NULL;
}

/* ---- masks are written ---- */

/* @online is what was online from before the write until after it. */
static void judge_write(uint64_t mask, uint64_t online, int err)
{
	bool legal = !(mask & ~present) && (online & ~mask);

	count(CHECKED_WRITES);
	if (legal && err)
		bad("mask %llx refused (%s) with %llx online", (unsigned long long)mask, strerror(err),
		    (unsigned long long)online);
	if (!legal && !err)
		bad("mask %llx taken with %llx online", (unsigned long long)mask, (unsigned long long)online);
}

static void write_one(uint64_t mask)
{
	unsigned long before = atomic_load(&plugging);
	uint64_t online = read_list(CPU_ROOT "/online");
	int err = write_mask(mask);

	if (err == EBUSY && has_governor) {
		count(BUSY);
		return;
	}
	if (err && err != EINVAL)
		bad("mask %llx: %s", (unsigned long long)mask, strerror(err));
	count(err ? REFUSED : TAKEN);
	if (!(before & 1) && before == atomic_load(&plugging))
		judge_write(mask, online, err);
}

static void *writer(void *number)
{
	uint64_t state = random_state(seed, 1 + (unsigned int)(uintptr_t)number);

	while (!atomic_load(&over)) {
		/* One CPU more than there are: an eighth of the masks or so is bad by that alone. */
		uint64_t mask = next_random(&state) >> 20 & cpu_bits(0, (unsigned long)nr_cpus - 1);

		if (random_below(&state, 8) == 0)
			mask |= UINT64_C(1) << nr_cpus;
		write_one(random_below(&state, 6) ? mask : 0);
		sleep_ms(random_below(&state, 20));
	}
	return NULL;
}

/* ---- and read ---- */

static void *reader(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		unsigned long before = atomic_load(&plugging);
		uint64_t online = read_list(CPU_ROOT "/online");
		uint64_t mask = read_list(MASK);

		count(READS);
		if (mask)
			count(NOT_EMPTY);
		if (mask & ~present)
			bad("mask %llx was read, present are %llx", (unsigned long long)mask, (unsigned long long)present);
		if (!(before & 1) && before == atomic_load(&plugging)) {
			count(CHECKED_READS);
			if (!(online & ~mask))
				bad("mask %llx was read with %llx online", (unsigned long long)mask,
				    (unsigned long long)online);
		}
		sleep_ms(1);
	}
	return NULL;
}

/* ---- governor ---- */

static void set_governor(const char *file, const char *value)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), GOVERNOR "/%s", file);
	err = put(path, value);
	if (err)
		bad("%s: %s", path, strerror(err));
}

static void *governor(void *unused)
{
	uint64_t state = random_state(seed, 9);

	(void)unused;
	set_governor("interval_ms", "100");
	while (!atomic_load(&over)) {
		set_governor("enable", "1");
		count(GOVERNOR_ON);
		sleep_ms(300 + random_below(&state, 1500));
		set_governor("enable", "0");
		sleep_ms(300 + random_below(&state, 1500));
	}
	set_governor("interval_ms", "1000");
	return NULL;
}

/* ---- processes start, wait and end ---- */

static void *churner(void *unused)
{
	(void)unused;
	while (!atomic_load(&over)) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			sleep_ms(2);
			_exit(0);
		}
		if (pid < 0)
			bad("fork: %s", strerror(errno));
		else if (waitpid(pid, &status, 0) != pid || status)
			bad("a process ended with status %x", status);
		else
			count(PROCESSES);
		sleep_ms(5);
	}
	return NULL;
}

/* ---- all of it ---- */

static void start(pthread_t *threads, int *running, void *(*run)(void *), uintptr_t number)
{
	errno = pthread_create(&threads[(*running)++], NULL, run, (void *)number);
	if (errno)
		die("pthread_create");
}

static void storm(long seconds)
{
	pthread_t threads[3 + WRITERS + CHURNERS];
	int running = 0;

	start(threads, &running, plugger, 0);
	start(threads, &running, reader, 0);
	for (uintptr_t i = 0; i < WRITERS; i++)
		start(threads, &running, writer, i);
	for (uintptr_t i = 0; i < CHURNERS; i++)
		start(threads, &running, churner, i);
	if (has_governor)
		start(threads, &running, governor, 0);
	sleep_ms(seconds * 1000);
	atomic_store(&over, true);
	while (running > 0)
		pthread_join(threads[--running], NULL);
}

static void look_around(void)
{
	/* Where it is mounted already that is all the better. */
	if (mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL) && errno != EBUSY)
		die("debugfs");
	has_governor = !access(GOVERNOR "/enable", W_OK);
	present = read_list(CPU_ROOT "/present");
	nr_cpus = __builtin_popcountll(present);
	if (present & UNREADABLE || nr_cpus < 2 || present != cpu_bits(0, (unsigned long)nr_cpus - 1))
		die("present CPUs");
	if (access(MASK, W_OK))
		die(MASK);
}

static void put_back(void)
{
	uint64_t online;

	if (write_mask(0))
		bad("the mask cannot be cleared");
	for (int cpu = 1; cpu < nr_cpus; cpu++)
		if (!(read_list(CPU_ROOT "/online") >> cpu & 1))
			plug(cpu, true);
	online = read_list(CPU_ROOT "/online");
	if (online != present)
		bad("online at the end: %llx of %llx", (unsigned long long)online, (unsigned long long)present);
	if (read_list(MASK))
		bad("the mask is not empty at the end");
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: hotplug_storm SECONDS SEED\n");
		return 2;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	seed = strtoul(argv[2], NULL, 10);
	look_around();
	storm(strtol(argv[1], NULL, 10));
	put_back();
	printf("governor=%d\n", has_governor);
	for (int i = 0; i < COUNTS; i++)
		printf("%s=%ld\n", count_names[i], atomic_load(&counts[i]));
	return atomic_load(&counts[BAD]) != 0;
}
