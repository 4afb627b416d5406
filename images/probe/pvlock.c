// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvlock: a load of threads over one contended critical section.
 *
 *     pvlock --mode spin|futex|kernel --threads N --hold NS --gap NS --seconds S [--mark-us N] [--tracing DIR]
 *
 * Each thread takes the lock, holds it for --hold of arithmetic, drops it, and works for --gap outside. When the
 * vCPU of whoever holds it does not run, everybody waits: lock-holder preemption. The modes are
 *
 *   spin    a test-and-test-and-set lock in user space; who waits spins, and never sleeps
 *   futex   a mutex that sleeps in the kernel (mutex2 of U. Drepper, "Futexes Are Tricky")
 *   kernel  every critical section is one futex(FUTEX_WAKE_BITSET) on an address on which other threads sleep that no
 *           such call wakes: the kernel walks them all under the spinlock of the one hash bucket (futex_wake() in
 *           kernel/futex/waitwake.c), a queued or, where the hypervisor offers it, a paravirt spinlock. As many
 *           sleep as make that walk take --hold, 1024 at most.
 *
 * Ends after --seconds, or when told by SIGTERM or SIGINT, and prints what it saw:
 *
 *     pvlock 1 mode=M threads=N hold_ns=N gap_ns=N sleepers=N alone_ns=N elapsed_ns=N operations=N
 *     hold count=N mean_ns=N p50_ns=N p99_ns=N max_ns=N
 *     hold-bucket FROM COUNT       that many took at least FROM ns and less than twice that
 *     wait ... and wait-bucket ...
 *
 * alone_ns is the critical section's length when nobody disturbs it. In the kernel its two parts cannot be told apart:
 * there the wait is what a call took longer than that, and no hold is told. Times are of CLOCK_MONOTONIC, so that the
 * vCPU's own absence counts. Percentiles are right within a sixteenth.
 *
 * With --mark-us a lock that was held for longer than that is marked in the guest's traces, before it is dropped:
 * "pvlock hold MODE NS" (marker.h), so that its holder can be told from whom else a preemption may have hit; and four
 * times a second that this is done. In the kernel nobody knows from when on it was held, so there are no such marks.
 */
#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "marker.h"
#include "monotonic.h"

#define MAX_THREADS 256
#define MAX_SLEEPERS 1024
#define FIRST_SLEEPERS 8
#define STACK_SIZE (64 * 1024)
/* Times are counted by powers of two, each cut into so many parts for the percentiles. */
#define POWERS 64
#define PARTS 8
#define CACHE_LINE 64
#define TRIES 25
/* Arithmetic steps per look at a clock while it is found out how long they take. */
#define CALIBRATION_STEPS 20000
#define SAY_LIMIT_NS (250 * NS_PER_MS)
#define SLEEP_BIT 1u
#define WAKE_BIT 2u

enum mode { SPIN, FUTEX, KERNEL };

static const char *const mode_names[] = { "spin", "futex", "kernel", NULL };

struct request {
	enum mode mode;
	uint32_t threads;
	uint64_t hold_ns, gap_ns, length_ns, mark_ns; /* UINT64_MAX: no hold is so long */
};

struct times {
	uint64_t part[POWERS][PARTS]; /* of power i: from 2^i ns on; what took no time at all is in the first */
	uint64_t count, sum_ns, max_ns;
};

struct thread {
	struct times hold, wait;
	pthread_t id;
	char padding[CACHE_LINE];
};

static struct {
	_Alignas(CACHE_LINE) _Atomic uint32_t word;
	_Alignas(CACHE_LINE) _Atomic uint32_t parked;
	_Alignas(CACHE_LINE) _Atomic bool over;
} shared;

static struct request request;
static struct thread threads[MAX_THREADS];
static uint64_t hold_steps, gap_steps, alone_ns;
static uint32_t sleepers;
static _Atomic uint32_t asleep;
static pthread_barrier_t start;

static _Noreturn void die(const char *what)
{
	fprintf(stderr, "pvlock: %s: %s\n", what, strerror(errno));
	exit(1);
}

static _Noreturn void usage_error(const char *text, const char *about)
{
	fprintf(stderr,
		"pvlock: %s%s\n"
		"usage: pvlock --mode spin|futex|kernel --threads N --hold NS --gap NS --seconds S\n"
		"              [--mark-us N] [--tracing DIR]\n",
		text, about);
	exit(2);
}

static long futex(_Atomic uint32_t *word, int operation, uint32_t value, uint32_t bits)
{
	return syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, bits);
}

/* Its result is used, so that no compiler can leave it out. */
static uint64_t work(uint64_t steps, uint64_t state)
{
	for (uint64_t step = 0; step < steps; step++)
		state = state * 6364136223846793005u + 1442695040888963407u;
	return state;
}

static inline void relax(void)
{
#if defined(__x86_64__)
	__builtin_ia32_pause();
#endif
}

static void spin_lock(void)
{
	while (atomic_exchange_explicit(&shared.word, 1, memory_order_acquire))
		while (atomic_load_explicit(&shared.word, memory_order_relaxed))
			relax();
}

static void spin_unlock(void)
{
	atomic_store_explicit(&shared.word, 0, memory_order_release);
}

/* 0: free, 1: held, 2: held and somebody may sleep. */
static void mutex_lock(void)
{
	uint32_t seen = 0;

	if (atomic_compare_exchange_strong(&shared.word, &seen, 1))
		return;
	if (seen != 2)
		seen = atomic_exchange(&shared.word, 2);
	while (seen != 0) {
		futex(&shared.word, FUTEX_WAIT, 2, 0);
		seen = atomic_exchange(&shared.word, 2);
	}
}

static void mutex_unlock(void)
{
	if (atomic_exchange(&shared.word, 0) == 2)
		futex(&shared.word, FUTEX_WAKE, 1, 0);
}

static void count(struct times *times, uint64_t ns)
{
	int power = ns < 2 ? 0 : 63 - __builtin_clzll(ns);

	times->part[power][power < 3 ? 0 : ns >> (power - 3) & (PARTS - 1)]++;
	times->count++;
	times->sum_ns += ns;
	if (ns > times->max_ns)
		times->max_ns = ns;
}

static void enter_user(struct thread *thread, volatile uint64_t *sink)
{
	uint64_t asked_ns = monotonic_ns(), got_ns, done_ns;

	if (request.mode == SPIN)
		spin_lock();
	else
		mutex_lock();
	got_ns = monotonic_ns();
	*sink = work(hold_steps, *sink);
	done_ns = monotonic_ns();
	if (done_ns - got_ns > request.mark_ns)
		marker_write_hold(mode_names[request.mode], got_ns);
	if (request.mode == SPIN)
		spin_unlock();
	else
		mutex_unlock();
	count(&thread->wait, got_ns - asked_ns);
	count(&thread->hold, done_ns - got_ns);
}

static void walk_sleepers(void)
{
	futex(&shared.parked, FUTEX_WAKE_BITSET, INT_MAX, WAKE_BIT);
}

static void enter_kernel(struct thread *thread)
{
	uint64_t asked_ns = monotonic_ns(), took_ns;

	walk_sleepers();
	took_ns = monotonic_ns() - asked_ns;
	count(&thread->wait, took_ns > alone_ns ? took_ns - alone_ns : 0);
}

static void *contend(void *argument)
{
	struct thread *thread = argument;
	volatile uint64_t sink = (uint64_t)(uintptr_t)thread;

	pthread_barrier_wait(&start);
	while (!atomic_load_explicit(&shared.over, memory_order_relaxed)) {
		if (request.mode == KERNEL)
			enter_kernel(thread);
		else
			enter_user(thread, &sink);
		sink = work(gap_steps, sink);
	}
	return NULL;
}

/* ---- how long things take when nobody disturbs them: the quickest of several tries */

static double steps_per_ns(void)
{
	uint64_t best_ns = UINT64_MAX;
	volatile uint64_t sink = 1;

	for (int try = 0; try < TRIES; try++) {
		uint64_t begin_ns = monotonic_ns(), took_ns;

		sink = work(CALIBRATION_STEPS, sink);
		took_ns = monotonic_ns() - begin_ns;
		if (took_ns > 0 && took_ns < best_ns)
			best_ns = took_ns;
	}
	return (double)CALIBRATION_STEPS / (double)best_ns;
}

static uint64_t section_ns(void)
{
	uint64_t best_ns = UINT64_MAX;
	volatile uint64_t sink = 1;

	for (int try = 0; try < TRIES; try++) {
		uint64_t begin_ns = monotonic_ns(), took_ns;

		if (request.mode == KERNEL)
			walk_sleepers();
		else
			sink = work(hold_steps, sink);
		took_ns = monotonic_ns() - begin_ns;
		if (took_ns < best_ns)
			best_ns = took_ns;
	}
	return best_ns;
}

static pthread_t start_thread(void *(*run)(void *), void *argument)
{
	pthread_attr_t attributes;
	pthread_t thread;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	errno = pthread_create(&thread, &attributes, run, argument);
	if (errno != 0)
		die("pthread_create");
	return thread;
}

static void *sleep_for_ever(void *argument)
{
	atomic_fetch_add(&asleep, 1);
	for (;;)
		futex(&shared.parked, FUTEX_WAIT_BITSET, 0, SLEEP_BIT);
	return argument;
}

static void put_to_sleep(uint32_t wanted)
{
	for (; sleepers < wanted; sleepers++)
		start_thread(sleep_for_ever, NULL);
	while (atomic_load(&asleep) < sleepers)
		nap_ns(NS_PER_MS);
	nap_ns(10 * NS_PER_MS); /* the last of them is on its way into the kernel */
}

static void calibrate(void)
{
	double steps = steps_per_ns();

	hold_steps = (uint64_t)(steps * (double)request.hold_ns);
	gap_steps = (uint64_t)(steps * (double)request.gap_ns);
	if (request.mode == KERNEL)
		put_to_sleep(FIRST_SLEEPERS);
	alone_ns = section_ns();
	while (request.mode == KERNEL && alone_ns < request.hold_ns && sleepers < MAX_SLEEPERS) {
		put_to_sleep(2 * sleepers);
		alone_ns = section_ns();
	}
}

/* ---- what came of it */

static void add(struct times *sum, const struct times *times)
{
	for (int power = 0; power < POWERS; power++)
		for (int part = 0; part < PARTS; part++)
			sum->part[power][part] += times->part[power][part];
	sum->count += times->count;
	sum->sum_ns += times->sum_ns;
	if (times->max_ns > sum->max_ns)
		sum->max_ns = times->max_ns;
}

/* In the middle of the part that `wanted` of them reach. */
static uint64_t percentile_ns(const struct times *times, double share)
{
	double wanted = share * (double)times->count, below = 0;

	for (int power = 0; power < POWERS; power++)
		for (int part = 0; part < PARTS; part++) {
			double found = (double)(UINT64_C(1) << power) * (1 + (part + 0.5) / PARTS);

			below += (double)times->part[power][part];
			if (times->part[power][part] && below >= wanted)
				return found < (double)times->max_ns ? (uint64_t)found : times->max_ns;
		}
	return times->max_ns;
}

static uint64_t count_of(const struct times *times, int power)
{
	uint64_t sum = 0;

	for (int part = 0; part < PARTS; part++)
		sum += times->part[power][part];
	return sum;
}

static void print_times(const char *name, const struct times *times)
{
	printf("%s count=%llu mean_ns=%llu p50_ns=%llu p99_ns=%llu max_ns=%llu\n", name,
	       (unsigned long long)times->count,
	       (unsigned long long)(times->count ? times->sum_ns / times->count : 0),
	       (unsigned long long)percentile_ns(times, 0.5), (unsigned long long)percentile_ns(times, 0.99),
	       (unsigned long long)times->max_ns);
	for (int power = 0; power < POWERS; power++)
		if (count_of(times, power))
			printf("%s-bucket %llu %llu\n", name, power == 0 ? 0ull : 1ull << power,
			       (unsigned long long)count_of(times, power));
}

static void report(uint64_t elapsed_ns)
{
	struct times hold = { 0 }, wait = { 0 };

	for (uint32_t i = 0; i < request.threads; i++) {
		add(&hold, &threads[i].hold);
		add(&wait, &threads[i].wait);
	}
	printf("pvlock 1 mode=%s threads=%u hold_ns=%llu gap_ns=%llu sleepers=%u alone_ns=%llu elapsed_ns=%llu "
	       "operations=%llu\n",
	       mode_names[request.mode], request.threads, (unsigned long long)request.hold_ns,
	       (unsigned long long)request.gap_ns, sleepers, (unsigned long long)alone_ns,
	       (unsigned long long)elapsed_ns, (unsigned long long)wait.count);
	if (request.mode != KERNEL)
		print_times("hold", &hold);
	print_times("wait", &wait);
}

static uint64_t least(uint64_t one, uint64_t other)
{
	return one < other ? one : other;
}

/* For the length asked for, or until a signal. Where holds are marked this is said meanwhile. */
static void wait_for_end(const sigset_t *stops)
{
	uint64_t end_ns = monotonic_ns() + request.length_ns, now_ns;
	bool marks = request.mark_ns != UINT64_MAX;

	while ((now_ns = monotonic_ns()) < end_ns) {
		uint64_t ns = marks ? least(end_ns - now_ns, SAY_LIMIT_NS) : end_ns - now_ns;
		struct timespec span = { (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };

		if (marks)
			marker_write_limit(mode_names[request.mode], request.mark_ns);
		if (sigtimedwait(stops, NULL, &span) >= 0)
			return;
	}
}

static void run(void)
{
	sigset_t stops;
	uint64_t begin_ns;

	sigemptyset(&stops);
	sigaddset(&stops, SIGTERM);
	sigaddset(&stops, SIGINT);
	sigprocmask(SIG_BLOCK, &stops, NULL); /* in all threads: only the wait below takes them */
	calibrate();
	pthread_barrier_init(&start, NULL, request.threads + 1);
	for (uint32_t i = 0; i < request.threads; i++)
		threads[i].id = start_thread(contend, &threads[i]);
	begin_ns = monotonic_ns(); /* not after the barrier: who leaves it last may do so late */
	pthread_barrier_wait(&start);
	wait_for_end(&stops);
	atomic_store(&shared.over, true);
	for (uint32_t i = 0; i < request.threads; i++)
		pthread_join(threads[i].id, NULL);
	report(monotonic_ns() - begin_ns);
}

static uint64_t parse_number(const char *name, const char *text, double scale, double least, double most)
{
	char *end;
	double number = strtod(text, &end);

	if (end == text || *end != '\0' || !(number >= least && number <= most)) {
		fprintf(stderr, "pvlock: %s must be %g to %g, not %s\n", name, least, most, text);
		exit(2);
	}
	return (uint64_t)(number * scale);
}

static enum mode parse_mode(const char *text)
{
	for (int mode = 0; mode_names[mode]; mode++)
		if (strcmp(text, mode_names[mode]) == 0)
			return (enum mode)mode;
	usage_error("the mode is spin, futex or kernel, not ", text);
}

static void take_option(const char *name, const char *value)
{
	if (!value)
		usage_error("no value for option ", name);
	if (strcmp(name, "--mode") == 0)
		request.mode = parse_mode(value);
	else if (strcmp(name, "--threads") == 0)
		request.threads = (uint32_t)parse_number(name, value, 1, 1, MAX_THREADS);
	else if (strcmp(name, "--hold") == 0)
		request.hold_ns = parse_number(name, value, 1, 0, 1e9);
	else if (strcmp(name, "--gap") == 0)
		request.gap_ns = parse_number(name, value, 1, 0, 1e9);
	else if (strcmp(name, "--seconds") == 0)
		request.length_ns = parse_number(name, value, 1e9, 0.01, 1e6);
	else if (strcmp(name, "--mark-us") == 0)
		request.mark_ns = parse_number(name, value, 1e3, 1, 1e9);
	else if (strcmp(name, "--tracing") == 0)
		marker_tracing(value);
	else
		usage_error("unknown option ", name);
}

int main(int argc, char **argv)
{
	request = (struct request){ .threads = 1, .hold_ns = 5000, .gap_ns = 5000, .length_ns = 10 * NS_PER_S,
				      .mark_ns = UINT64_MAX };
	for (int i = 1; i < argc; i += 2)
		take_option(argv[i], i + 1 < argc ? argv[i + 1] : NULL);
	if (request.mode == KERNEL && request.mark_ns != UINT64_MAX)
		usage_error("nobody knows from when on the kernel's lock was held: no ", "--mark-us");
	run();
	return fflush(stdout) == 0 ? 0 : 1;
}
