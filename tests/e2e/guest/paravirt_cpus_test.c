// SPDX-License-Identifier: GPL-2.0-only
/*
 * Test of /sys/devices/system/cpu/paravirt, to be run as root inside a guest.
 *
 * It needs two CPUs or more, prints one line per case and at the end
 * "N passed, N failed, N skipped"; the exit status is 0 if none failed. As
 * process 1 of an initramfs it mounts what it needs and powers off at the end.
 *
 * "Avoided" are the upper half of the CPUs unless a case says otherwise. What
 * is judged is where tasks were seen, never how fast they were, so that a
 * guest without CPU time of its own gives the same answer, only later.
 */
#define _GNU_SOURCE
#include <dirent.h>
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

#define ROOT "/sys/devices/system/cpu"
#define MASK ROOT "/paravirt"
#define MAX_CPUS 64
#define MAX_TASKS 256
#define SETTLE_MS 1000
#define WATCH_MS 5000
#define SAMPLE_MS 20
#define ENOUGH_RUNS 100
#define PATIENCE_MS 60000

enum outcome { PASS, FAIL, SKIP };

static int nr_cpus;
static int count[3];
static pid_t tasks[MAX_TASKS];
static int nr_tasks;
static char why[512];

/* Shared with forked children, who count what they see there. */
static volatile struct {
	long runs;
	long misplaced;
} *shared;

static enum outcome fail(const char *format, ...) __attribute__((format(printf, 1, 2)));

static enum outcome fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, sizeof(why), format, args);
	va_end(args);
	return FAIL;
}

static void leave(int status) __attribute__((noreturn));

static void leave(int status)
{
	fflush(stdout);
	if (getpid() == 1)
		reboot(RB_POWER_OFF);
	exit(status);
}

static void die(const char *what)
{
	printf("bail out: %s: %s\n", what, strerror(errno));
	leave(2);
}

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000L + ts.tv_nsec / 1000000;
}

static void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* ---- files ---- */

/* 0, or the errno of the write. */
static int put(const char *path, const char *text)
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

/* The file's first line without its end, in a buffer that the next call reuses. */
static const char *get(const char *path)
{
	static char text[4096];
	int fd = open(path, O_RDONLY);
	ssize_t n;

	text[0] = 0;
	if (fd < 0)
		return text;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n > 0 ? n : 0] = 0;
	text[strcspn(text, "\n")] = 0;
	return text;
}

static void avoid(int first, int last)
{
	char list[32];

	snprintf(list, sizeof(list), "%d-%d\n", first, last);
	errno = put(MASK, list);
	if (errno)
		die("set " MASK);
}

static void avoid_none(void)
{
	errno = put(MASK, "\n");
	if (errno)
		die("clear " MASK);
}

static int first_avoided(void)
{
	return (nr_cpus + 1) / 2;
}

static void avoid_upper_half(void)
{
	avoid(first_avoided(), nr_cpus - 1);
}

static int set_online(int cpu, bool online)
{
	char path[64];

	snprintf(path, sizeof(path), ROOT "/cpu%d/online", cpu);
	return put(path, online ? "1" : "0");
}

/* ---- tasks ---- */

static void pin(pid_t pid, int first, int last)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = first; cpu <= last; cpu++)
		CPU_SET(cpu, &set);
	if (sched_setaffinity(pid, sizeof(set), &set))
		die("sched_setaffinity");
}

static bool has_affinity(pid_t pid, int first, int last)
{
	cpu_set_t set;

	if (sched_getaffinity(pid, sizeof(set), &set))
		die("sched_getaffinity");
	for (int cpu = 0; cpu < MAX_CPUS; cpu++)
		if (!!CPU_ISSET(cpu, &set) != (cpu >= first && cpu <= last))
			return false;
	return true;
}

static pid_t start(void (*run)(void), int first, int last)
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

static void spin(void)
{
	for (;;)
		__asm__ volatile("" ::: "memory");
}

static void start_spinners(int n)
{
	while (n--)
		start(spin, 0, nr_cpus - 1);
}

static void stop_tasks(void)
{
	for (int i = 0; i < nr_tasks; i++)
		kill(tasks[i], SIGKILL);
	for (int i = 0; i < nr_tasks; i++)
		waitpid(tasks[i], NULL, 0);
	nr_tasks = 0;
}

/* Field @nr of /proc/PID/stat; counted behind the name, which may have blanks. */
static long stat_field(pid_t pid, int nr)
{
	char path[64];
	const char *p;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	p = strrchr(get(path), ')');
	for (int i = 2; p && i < nr; i++)
		p = strchr(p + 1, ' ');
	return p ? atol(p + 1) : -1;
}

static int cpu_of(pid_t pid)
{
	return stat_field(pid, 39);
}

static long run_ticks(pid_t pid)
{
	return stat_field(pid, 14) + stat_field(pid, 15);
}

static int tasks_within(int first, int last)
{
	int n = 0;

	for (int i = 0; i < nr_tasks; i++) {
		int cpu = cpu_of(tasks[i]);

		n += cpu >= first && cpu <= last;
	}
	return n;
}

static int cpus_in_use(void)
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

static bool settles_within(int first, int last, int wanted, long ms)
{
	long end = now_ms() + ms;

	while (tasks_within(first, last) != wanted) {
		if (now_ms() > end)
			return false;
		sleep_ms(SAMPLE_MS);
	}
	return true;
}

static bool spreads_over(int cpus, long ms)
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
static int seen_within(int first, int last, long ms)
{
	long end = now_ms() + ms;
	int seen = 0;

	while (now_ms() < end) {
		seen += tasks_within(first, last);
		sleep_ms(SAMPLE_MS);
	}
	return seen;
}

static enum outcome off_and_staying_off(int first, int last)
{
	int seen;

	if (!settles_within(first, last, 0, SETTLE_MS))
		return fail("%d of %d tasks still on CPUs %d-%d after %d ms",
			    tasks_within(first, last), nr_tasks, first, last, SETTLE_MS);
	seen = seen_within(first, last, WATCH_MS);
	if (seen)
		return fail("seen %d times on CPUs %d-%d in %d ms", seen, first, last, WATCH_MS);
	return PASS;
}

/* ---- cases ---- */

static enum outcome test_file(void)
{
	struct stat st;

	if (stat(MASK, &st))
		return fail("stat: %s", strerror(errno));
	if ((st.st_mode & 07777) != 0644)
		return fail("mode %o instead of 644", st.st_mode & 07777);
	if (*get(MASK))
		return fail("'%s' instead of nothing at first", get(MASK));
	return PASS;
}

static enum outcome test_read_back(void)
{
	static const char *const clears[] = { "\n", " \n", " " };
	char list[32];

	for (unsigned int i = 0; i < sizeof(clears) / sizeof(*clears); i++) {
		avoid(1, 1);
		if (strcmp(get(MASK), "1"))
			return fail("'%s' instead of '1'", get(MASK));
		if (put(MASK, clears[i]) || *get(MASK))
			return fail("'%s' after clearing (form %u)", get(MASK), i);
	}
	if (nr_cpus < 4)
		return PASS;
	avoid(1, 2);
	if (strcmp(get(MASK), "1-2"))
		return fail("'%s' instead of '1-2'", get(MASK));
	snprintf(list, sizeof(list), "1,%d", nr_cpus - 1);
	if (put(MASK, list) || strcmp(get(MASK), list))
		return fail("'%s' instead of '%s'", get(MASK), list);
	return PASS;
}

static enum outcome test_refused(void)
{
	char next[16], all[16], mixed[16];
	const char *const lists[] = {
		"x\n", "1-\n", "-1\n", "1,,x\n", "0x1\n", "2-1\n", "99999\n",
		"99999999999999999999\n", "all\n", next, all, mixed,
	};

	snprintf(next, sizeof(next), "%d\n", nr_cpus);
	snprintf(all, sizeof(all), "0-%d\n", nr_cpus - 1);
	snprintf(mixed, sizeof(mixed), "1,%d\n", nr_cpus);
	avoid(1, 1);
	for (unsigned int i = 0; i < sizeof(lists) / sizeof(*lists); i++) {
		int err = put(MASK, lists[i]);

		if (err != EINVAL)
			return fail("errno %d for list %u, %s", err, i, lists[i]);
		if (strcmp(get(MASK), "1"))
			return fail("'%s' after a refused %s", get(MASK), lists[i]);
	}
	return PASS;
}

static enum outcome test_busy(void)
{
	enum outcome outcome;

	start_spinners(nr_cpus);
	if (!spreads_over(nr_cpus, 10 * SETTLE_MS))
		return fail("busy tasks use %d CPUs of %d without a mask", cpus_in_use(), nr_cpus);
	avoid_upper_half();
	outcome = off_and_staying_off(first_avoided(), nr_cpus - 1);
	if (outcome != PASS)
		return outcome;
	if (cpus_in_use() != first_avoided())
		return fail("%d CPUs in use instead of %d", cpus_in_use(), first_avoided());
	for (int i = 0; i < nr_tasks; i++)
		if (!has_affinity(tasks[i], 0, nr_cpus - 1))
			return fail("the affinity of a task was changed");
	avoid_none();
	if (!spreads_over(nr_cpus, 10 * SETTLE_MS))
		return fail("back on %d CPUs only after clearing", cpus_in_use());
	return PASS;
}

static enum outcome test_lower_cpus(void)
{
	start_spinners(nr_cpus);
	avoid(0, nr_cpus - 2);
	return off_and_staying_off(0, nr_cpus - 2);
}

static enum outcome test_many(void)
{
	start_spinners(8 * nr_cpus);
	sleep_ms(SETTLE_MS);
	avoid_upper_half();
	return off_and_staying_off(first_avoided(), nr_cpus - 1);
}

static enum outcome test_pinned(void)
{
	int cpu = nr_cpus - 1;
	pid_t pid = start(spin, cpu, cpu);
	long before;

	start_spinners(nr_cpus);
	sleep_ms(SETTLE_MS);
	avoid_upper_half();
	sleep_ms(SETTLE_MS);
	before = run_ticks(pid);
	sleep_ms(SETTLE_MS);
	if (cpu_of(pid) != cpu)
		return fail("the pinned task is on CPU %d instead of %d", cpu_of(pid), cpu);
	if (tasks_within(first_avoided(), cpu) != 1)
		return fail("%d tasks with the pinned one on avoided CPUs",
			    tasks_within(first_avoided(), cpu) - 1);
	if (run_ticks(pid) <= before)
		return fail("the pinned task does not run");
	if (!has_affinity(pid, cpu, cpu))
		return fail("the affinity of the pinned task was changed");
	return PASS;
}

/* Tasks that may run on avoided CPUs only still use all of these. */
static enum outcome test_pinned_spread(void)
{
	int first = nr_cpus - 2;

	if (nr_cpus < 3)
		return SKIP;
	avoid(first, nr_cpus - 1);
	start(spin, first, nr_cpus - 1);
	start(spin, first, nr_cpus - 1);
	if (!spreads_over(2, 5 * SETTLE_MS))
		return fail("both on CPU %d", cpu_of(tasks[0]));
	if (tasks_within(first, nr_cpus - 1) != 2)
		return fail("one left its affinity");
	return PASS;
}

static enum outcome test_set_affinity(void)
{
	int cpu = nr_cpus - 1;
	pid_t pid = start(spin, 0, nr_cpus - 1);

	avoid_upper_half();
	if (!settles_within(first_avoided(), cpu, 0, SETTLE_MS))
		return fail("on CPU %d", cpu_of(pid));
	pin(pid, cpu, cpu);
	if (!settles_within(cpu, cpu, 1, SETTLE_MS))
		return fail("on CPU %d in spite of its affinity", cpu_of(pid));
	pin(pid, 0, cpu);
	return off_and_staying_off(first_avoided(), cpu);
}

static void note_place(void)
{
	__atomic_add_fetch(&shared->runs, 1, __ATOMIC_RELAXED);
	if (sched_getcpu() >= first_avoided())
		__atomic_add_fetch(&shared->misplaced, 1, __ATOMIC_RELAXED);
}

static void fork_and_exec(void)
{
	char flag[16];

	snprintf(flag, sizeof(flag), "%d", first_avoided());
	for (;;) {
		pid_t pid = fork();
		int status;

		if (!pid) {
			note_place();
			execl("/proc/self/exe", "paravirt_cpus_test", "--place", flag, NULL);
			_exit(127);
		}
		if (pid < 0 || waitpid(pid, &status, 0) < 0 || status)
			__atomic_add_fetch(&shared->misplaced, 1, __ATOMIC_RELAXED);
		note_place();
	}
}

static enum outcome judge_places(void)
{
	long end;

	avoid_upper_half();
	sleep_ms(SETTLE_MS);
	shared->runs = shared->misplaced = 0;
	sleep_ms(WATCH_MS);
	end = now_ms() + PATIENCE_MS;
	while (shared->runs < ENOUGH_RUNS && now_ms() < end)
		sleep_ms(SAMPLE_MS);
	if (shared->runs < ENOUGH_RUNS)
		return fail("%ld runs only", shared->runs);
	if (shared->misplaced)
		return fail("%ld of %ld on avoided CPUs", shared->misplaced, shared->runs);
	return PASS;
}

static enum outcome test_fork_exec(void)
{
	for (int i = 0; i < nr_cpus; i++)
		start(fork_and_exec, 0, nr_cpus - 1);
	return judge_places();
}

static int pipe_in[2], pipe_out[2];

static void ping(void)
{
	char byte = 0;

	while (write(pipe_in[1], &byte, 1) == 1 && read(pipe_out[0], &byte, 1) == 1)
		note_place();
}

static void pong(void)
{
	char byte;

	while (read(pipe_in[0], &byte, 1) == 1 && write(pipe_out[1], &byte, 1) == 1)
		note_place();
}

/* Several readers and writers a pipe, so that wake-ups hit tasks anywhere. */
static enum outcome test_pipes(void)
{
	for (int group = 0; group < 4; group++) {
		if (pipe(pipe_in) || pipe(pipe_out))
			die("pipe");
		for (int i = 0; i < 4; i++) {
			start(ping, 0, nr_cpus - 1);
			start(pong, 0, nr_cpus - 1);
		}
		for (int i = 0; i < 2; i++) {
			close(pipe_in[i]);
			close(pipe_out[i]);
		}
	}
	return judge_places();
}

static void nap(void)
{
	for (;;) {
		long end = now_ms() + 3;

		while (now_ms() < end)
			;
		note_place();
		sleep_ms(7);
	}
}

static enum outcome test_sleepers(void)
{
	for (int i = 0; i < 2 * nr_cpus; i++)
		start(nap, 0, nr_cpus - 1);
	return judge_places();
}

/* A real-time task keeps its CPU, the fair ones behind it leave. */
static enum outcome test_real_time(void)
{
	struct sched_param param = { .sched_priority = 1 };
	int cpu = nr_cpus - 1;
	pid_t pid = start(spin, cpu, cpu);

	if (sched_setscheduler(pid, SCHED_FIFO, &param))
		return fail("sched_setscheduler: %s", strerror(errno));
	start_spinners(2 * nr_cpus);
	avoid_upper_half();
	if (!settles_within(first_avoided(), cpu, 1, SETTLE_MS))
		return fail("%d tasks on avoided CPUs", tasks_within(first_avoided(), cpu));
	if (cpu_of(pid) != cpu)
		return fail("real-time task on CPU %d", cpu_of(pid));
	return PASS;
}

/* The last CPU that is not avoided goes and comes back. */
static enum outcome test_hotplug(void)
{
	int last = nr_cpus - 1;
	char list[32];
	int err;

	snprintf(list, sizeof(list), nr_cpus > 2 ? "0-%d" : "0", last - 1);
	start_spinners(nr_cpus);
	avoid(0, last - 1);
	if (!settles_within(0, last - 1, 0, SETTLE_MS))
		return fail("%d tasks on avoided CPUs", tasks_within(0, last - 1));
	err = set_online(last, false);
	if (err)
		return fail("offline: %s", strerror(err));
	if (strcmp(get(MASK), list))
		return fail("'%s' instead of '%s' after offline", get(MASK), list);
	if (!settles_within(last, last, 0, SETTLE_MS) || !spreads_over(last, 10 * SETTLE_MS))
		return fail("%d of %d CPUs in use with all of them avoided", cpus_in_use(), last);
	if (put(MASK, list) != EINVAL)
		return fail("a mask of all online CPUs was taken");
	err = set_online(last, true);
	if (err)
		return fail("online: %s", strerror(err));
	return off_and_staying_off(0, last - 1);
}

/* An avoided CPU goes and comes back; an offline one may be named. */
static enum outcome test_hotplug_avoided(void)
{
	int last = nr_cpus - 1;

	start_spinners(nr_cpus);
	avoid_upper_half();
	for (int i = 0; i < 5; i++) {
		errno = set_online(last, false);
		if (errno)
			return fail("offline: %s", strerror(errno));
		avoid_none();
		avoid_upper_half();
		errno = set_online(last, true);
		if (errno)
			return fail("online: %s", strerror(errno));
	}
	return off_and_staying_off(first_avoided(), last);
}

/* The mask changes while everything moves about. */
static enum outcome test_flapping(void)
{
	long end = now_ms() + WATCH_MS;

	for (int i = 0; i < nr_cpus; i++)
		start(fork_and_exec, 0, nr_cpus - 1);
	start_spinners(nr_cpus);
	for (int i = 0; now_ms() < end; i++) {
		avoid(i % nr_cpus, i % nr_cpus);
		sleep_ms(i % 5);
		avoid_none();
	}
	return judge_places();
}

static enum outcome test_kernel_log(void)
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
	free(log);
	return PASS;
}

static void run_case(const char *name, enum outcome (*test)(void))
{
	static const char *const words[] = { "ok", "not ok", "skipped" };
	enum outcome outcome;

	avoid_none();
	shared->runs = shared->misplaced = 0;
	outcome = test();
	stop_tasks();
	printf("%s %s%s%s\n", words[outcome], name, outcome == FAIL ? ": " : "",
	       outcome == FAIL ? why : "");
	fflush(stdout);
	count[outcome]++;
}

static void prepare(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (getpid() == 1) {
		mkdir("/proc", 0755);
		mkdir("/sys", 0755);
		if (mount("proc", "/proc", "proc", 0, NULL) || mount("sysfs", "/sys", "sysfs", 0, NULL))
			die("mount");
	}
	nr_cpus = sysconf(_SC_NPROCESSORS_ONLN);
	if (nr_cpus < 2 || nr_cpus > MAX_CPUS) {
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

static void run_all(void)
{
	run_case("file", test_file);
	run_case("read back", test_read_back);
	run_case("refused lists", test_refused);
	run_case("busy tasks leave, stay away and come back", test_busy);
	run_case("lower CPUs avoided", test_lower_cpus);
	run_case("many busy tasks", test_many);
	run_case("pinned task stays", test_pinned);
	run_case("pinned tasks spread", test_pinned_spread);
	run_case("affinity set and widened", test_set_affinity);
	run_case("fork and exec", test_fork_exec);
	run_case("pipes", test_pipes);
	run_case("sleepers", test_sleepers);
	run_case("real-time task stays", test_real_time);
	run_case("last usable CPU offline and online", test_hotplug);
	run_case("avoided CPU offline and online", test_hotplug_avoided);
	run_case("mask flapping", test_flapping);
	run_case("kernel log", test_kernel_log);
}

int main(int argc, char **argv)
{
	/* What fork_and_exec() executes: did exec() leave the avoided CPUs alone? */
	if (argc == 3 && !strcmp(argv[1], "--place"))
		return sched_getcpu() >= atoi(argv[2]);

	prepare();
	run_all();
	avoid_none();
	printf("%d passed, %d failed, %d skipped\n", count[PASS], count[FAIL], count[SKIP]);
	leave(count[FAIL] != 0);
}
