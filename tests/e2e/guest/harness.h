/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of the reference series share. They run as root inside a
 * guest, print one line per case with what was measured, and at the end
 * "N passed, N failed"; the exit status is 0 if none failed. As process 1 of an
 * initramfs they mount what they need and power off at the end.
 *
 * Nothing is skipped: a case that cannot run here has failed.
 *
 * What is judged is where tasks were seen, never how fast they were, so that a
 * guest without CPU time of its own gives the same answer, only later.
 */
#ifndef HARNESS_H
#define HARNESS_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CPUS "/sys/devices/system/cpu"
#define MASK CPUS "/paravirt"
#define MAX_CPUS 64
#define MAX_TASKS 256
#define SETTLE_MS 1000
#define WATCH_MS 5000
#define SAMPLE_MS 20

enum outcome { PASS, FAIL };

static int nr_cpus;
static int count[2];
static pid_t tasks[MAX_TASKS];
static int nr_tasks;
static char said[512];

/* Shared with forked children, who count what they see there. */
static volatile struct {
	long runs;
	long misplaced;
	long phase;
} *shared;

static inline enum outcome fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline enum outcome fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	return FAIL;
}

/* What a case that passes has measured. */
static inline enum outcome pass(const char *format, ...) __attribute__((format(printf, 1, 2)));

static inline enum outcome pass(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(said, sizeof(said), format, args);
	va_end(args);
	return PASS;
}

static inline void leave(int status) __attribute__((noreturn));

static inline void leave(int status)
{
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	exit(status);
}

static inline void die(const char *what)
{
	printf("bail out: %s: %s\n", what, strerror(errno));
	leave(2);
}

static inline long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000;
}

static inline void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* ---- files ---- */

/* 0, or the errno of the write. */
static inline int put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);
	int err = 0;

	if (fd < 0)
		return errno;
	if (write(fd, text, strlen(text)) < 0)
		err = errno;
	close(fd);
	return err;
}

/* All of a file, in a buffer that the next call reuses; "" if it cannot be read. */
static inline char *get_all(const char *path)
{
	static char text[65536];
	int fd = open(path, O_RDONLY);
	size_t size = 0;
	ssize_t n = 1;

	while (fd >= 0 && n > 0 && size < sizeof(text) - 1) {
		n = read(fd, text + size, sizeof(text) - 1 - size);
		size += n > 0 ? n : 0;
	}
	if (fd >= 0)
		close(fd);
	text[size] = 0;
	return text;
}

/* The file's first line without its end, in the same buffer. */
static inline char *get(const char *path)
{
	char *text = get_all(path);

	text[strcspn(text, "\n")] = 0;
	return text;
}

static inline void avoid_list(const char *list)
{
	errno = put(MASK, list);
	if (errno)
		die("set " MASK);
}

static inline void avoid(int first, int last)
{
	char list[32];

	snprintf(list, sizeof(list), "%d-%d\n", first, last);
	avoid_list(list);
}

static inline void avoid_none(void)
{
	avoid_list("\n");
}

/* Unless a case says otherwise, the upper half of the CPUs is avoided. */
static inline int first_avoided(void)
{
	return (nr_cpus + 1) / 2;
}

static inline void avoid_upper_half(void)
{
	avoid(first_avoided(), nr_cpus - 1);
}

static inline int set_online(int cpu, bool online)
{
	char path[64];

	snprintf(path, sizeof(path), CPUS "/cpu%d/online", cpu);
	return put(path, online ? "1" : "0");
}

/* ---- tasks ---- */

static inline void pin(pid_t pid, int first, int last)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = first; cpu <= last; cpu++)
		CPU_SET(cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set))
		die("sched_setaffinity");
}

static inline bool has_affinity(pid_t pid, int first, int last)
{
	cpu_set_t set;

	if (sched_getaffinity(pid, sizeof(set), &set))
		die("sched_getaffinity");
	for (int cpu = 0; cpu < MAX_CPUS; cpu++)
		if (!!CPU_ISSET(cpu, &set) != (cpu >= first && cpu <= last))
			return false;
	return true;
}

static inline void set_fifo(pid_t pid, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	if (sched_setscheduler(pid, priority ? SCHED_FIFO : SCHED_OTHER, &param))
		die("sched_setscheduler");
}

static inline pid_t start(void (*run)(void), int first, int last)
{
	pid_t pid = fork();

	if (pid < 0)
		die("fork");
	if (!pid) {
		run();
		_exit(0);
	}
	/* Here, not in the child: the caller relies on it at once. */
	pin(pid, first, last);
	if (nr_tasks == MAX_TASKS)
		die("too many tasks");
	tasks[nr_tasks++] = pid;
	return pid;
}

static inline void spin(void)
{
	for (;;)
		__asm__ volatile("" ::: "memory");
}

static inline void start_spinners(int n)
{
	while (n--)
		start(spin, 0, nr_cpus - 1);
}

static inline void stop_tasks(void)
{
	for (int i = 0; i < nr_tasks; i++)
		kill(tasks[i], SIGKILL);
	for (int i = 0; i < nr_tasks; i++)
		waitpid(tasks[i], NULL, 0);
	nr_tasks = 0;
}

/* Field @nr of /proc/PID/stat; counted behind the name, which may have blanks. */
static inline long stat_field(pid_t pid, int nr)
{
	char path[64];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	p = strrchr(get(path), ')');
	for (int i = 2; p && i < nr; i++)
		p = strchr(p + 1, ' ');
	return p ? atol(p + 1) : -1;
}

static inline int cpu_of(pid_t pid)
{
	return stat_field(pid, 39);
}

/* How long a task has run so far. Ticks would miss it on a CPU that has none. */
static inline long long run_ns(pid_t pid)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", pid);
	return atoll(get(path));
}

/* A line "NAME : VALUE" of /proc/PID/sched; -1 where there is none. */
static inline long sched_value(pid_t pid, const char *name)
{
	char path[64];
	char *line;

	snprintf(path, sizeof(path), "/proc/%d/sched", pid);
	line = strstr(get_all(path), name);
	line = line ? strchr(line, ':') : NULL;
	return line ? atol(line + 1) : -1;
}

static inline int tasks_within(int first, int last)
{
	int n = 0;

	for (int i = 0; i < nr_tasks; i++) {
		int cpu = cpu_of(tasks[i]);

		n += cpu >= first && cpu <= last;
	}
	return n;
}

static inline int cpus_in_use(void)
{
	bool used[MAX_CPUS] = { false };
	int n = 0;

	for (int i = 0; i < nr_tasks; i++) {
		int cpu = cpu_of(tasks[i]);

		if (cpu >= 0 && cpu < MAX_CPUS && !used[cpu]) {
			used[cpu] = true;
			n++;
		}
	}
	return n;
}

static inline bool settles_within(int first, int last, int wanted, long ms)
{
	long end = now_ms() + ms;

	while (tasks_within(first, last) != wanted) {
		if (now_ms() > end)
			return false;
		sleep_ms(SAMPLE_MS);
	}
	return true;
}

static inline bool spreads_over(int cpus, long ms)
{
	long end = now_ms() + ms;

	while (cpus_in_use() != cpus) {
		if (now_ms() > end)
			return false;
		sleep_ms(SAMPLE_MS);
	}
	return true;
}

/* How many times a task was seen on these CPUs during @ms. */
static inline int seen_within(int first, int last, long ms)
{
	long end = now_ms() + ms;
	int seen = 0;

	while (now_ms() < end) {
		seen += tasks_within(first, last);
		sleep_ms(SAMPLE_MS);
	}
	return seen;
}

static inline enum outcome off_and_staying_off(int first, int last)
{
	long begin = now_ms();
	long settled;
	int seen;

	if (!settles_within(first, last, 0, SETTLE_MS))
		return fail("%d of %d tasks still on CPUs %d-%d after %d ms",
			    tasks_within(first, last), nr_tasks, first, last, SETTLE_MS);
	settled = now_ms() - begin;
	seen = seen_within(first, last, WATCH_MS);
	if (seen)
		return fail("seen %d times on CPUs %d-%d in %d ms", seen, first, last, WATCH_MS);
	return pass("%d tasks off after %ld ms, none seen in %d ms", nr_tasks, settled, WATCH_MS);
}

/* ---- places: tasks that look themselves where they are ---- */

#define ENOUGH_RUNS 100
#define PATIENCE_MS 60000

static inline void note_place(void)
{
	__atomic_add_fetch(&shared->runs, 1, __ATOMIC_RELAXED);
	if (sched_getcpu() >= first_avoided())
		__atomic_add_fetch(&shared->misplaced, 1, __ATOMIC_RELAXED);
}

/* Avoids the upper half and lets them go on for some time. */
static inline void watch_places(void)
{
	long end;

	avoid_upper_half();
	sleep_ms(SETTLE_MS);
	shared->runs = shared->misplaced = 0;
	sleep_ms(WATCH_MS);
	end = now_ms() + PATIENCE_MS;
	while (shared->runs < ENOUGH_RUNS && now_ms() < end)
		sleep_ms(SAMPLE_MS);
}

/* One in @one_in may be misplaced; none at all if that is 0. */
static inline enum outcome judge_places(long one_in)
{
	watch_places();
	if (shared->runs < ENOUGH_RUNS)
		return fail("%ld runs only", shared->runs);
	if (shared->misplaced > (one_in ? shared->runs / one_in : 0))
		return fail("%ld of %ld on avoided CPUs", shared->misplaced, shared->runs);
	return pass("%ld runs, %ld on avoided CPUs", shared->runs, shared->misplaced);
}

/* ---- the run ---- */

static inline enum outcome test_kernel_log(void)
{
	static const char *const signs[] = {
		"WARNING:", "BUG:", "Oops", "Call Trace:", "rcu: INFO:", "blocked for more than",
	};
	int size = klogctl(10, NULL, 0);
	char *log = calloc(1, size + 1);

	if (!log || klogctl(3, log, size) < 0)
		die("kernel log");
	for (unsigned int i = 0; i < sizeof(signs) / sizeof(*signs); i++) {
		const char *hit = strstr(log, signs[i]);

		if (hit)
			return fail("%.300s", hit);
	}
	size = strlen(log);
	free(log);
	return pass("%d bytes without a complaint", size);
}

static inline void run_case(const char *name, enum outcome (*test)(void))
{
	enum outcome outcome;
	long begin = now_ms();

	avoid_none();
	shared->runs = shared->misplaced = shared->phase = 0;
	said[0] = 0;
	outcome = test();
	stop_tasks();
	printf("%s %s: %s%s(%ld ms)\n", outcome == PASS ? "ok" : "not ok", name, said,
	       *said ? " " : "", now_ms() - begin);
	fflush(stdout);
	count[outcome]++;
}

static inline void prepare(int least_cpus)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getpid() == 1) {
		mkdir("/proc", 0755);
		mkdir("/sys", 0755);
		if (mount("proc", "/proc", "proc", 0, NULL) ||
		    mount("sysfs", "/sys", "sysfs", 0, NULL) ||
		    mount("cgroup2", "/sys/fs/cgroup", "cgroup2", 0, NULL))
			die("mount");
	}
	nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (nr_cpus < least_cpus || nr_cpus > MAX_CPUS) {
		errno = ERANGE;
		die("number of CPUs");
	}
	if (access(MASK, F_OK))
		die(MASK);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
}

static inline void finish(void) __attribute__((noreturn));

static inline void finish(void)
{
	avoid_none();
	run_case("kernel log", test_kernel_log);
	printf("%d passed, %d failed\n", count[PASS], count[FAIL]);
	leave(count[FAIL] != 0);
}

#endif /* HARNESS_H */
