// SPDX-License-Identifier: GPL-2.0-only
/*
 * bad_writes [SECONDS]: writes to /sys/devices/system/cpu/paravirt that must be refused, one at a time and, for
 * SECONDS (2), from several threads at once.
 *
 * Prints one line per case and at the end "N passed, N failed"; the exit status is 0 if none failed. Leaves the
 * mask empty. It needs three CPUs or more, all online.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/wait.h>

#include "mask_file.h"

#define LONG_WRITE 65536
#define NOBODY 65534
#define WRITERS 4

static int nr_cpus;
static uint64_t present;
static int passed, failed;

static void report(const char *name, bool good, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void report(const char *name, bool good, const char *format, ...)
{
	va_list args;

	printf("%s %s", good ? "ok" : "not ok", name);
	if (!good) {
		printf(": ");
		va_start(args, format);
		vprintf(format, args);
		va_end(args);
	}
	printf("\n");
	*(good ? &passed : &failed) += 1;
}

/* A mask that a refused write must leave as it is: of two CPUs, so that neither an empty one nor a lost bit passes. */
static uint64_t kept(void)
{
	return cpu_bits(1, 2);
}

static void keep(void)
{
	errno = write_mask(kept());
	if (errno)
		die("set " MASK);
}

static void expect_refusal(const char *name, const void *bytes, size_t size, int wanted)
{
	uint64_t mask;
	int err;

	keep();
	err = put_bytes(MASK, bytes, size);
	mask = read_list(MASK);
	report(name, err == wanted && mask == kept(), "%s instead of %s, mask %llx instead of %llx", strerror(err),
	       strerror(wanted), (unsigned long long)mask, (unsigned long long)kept());
}

static void expect_refused_text(const char *text)
{
	char name[64];

	snprintf(name, sizeof(name), "'%.*s' is refused", (int)strcspn(text, "\n"), text);
	expect_refusal(name, text, strlen(text), EINVAL);
}

/* ---- one at a time ---- */

static void test_texts(void)
{
	static const char *const garbage[] = {
		"x\n", "1-\n", "-1\n", "-\n", "1-x\n", "1;2\n", "0x1\n", "1 x\n", "1.5\n", "2-1\n", "1,,x\n", "all\n",
		"1-2:3/2\n", "1-2:0/0\n", "on\n", "\xff\xfe\n",
	};
	static const char *const out_of_range[] = {
		"62\n", "63\n", "64\n", "1,64\n", "0-9999\n", "4294967296\n", "18446744073709551617\n",
		"99999999999999999999999999\n",
	};

	for (size_t i = 0; i < sizeof(garbage) / sizeof(*garbage); i++)
		expect_refused_text(garbage[i]);
	for (size_t i = 0; i < sizeof(out_of_range) / sizeof(*out_of_range); i++)
		expect_refused_text(out_of_range[i]);
}

static void test_sets(void)
{
	char text[512];

	render_list(UINT64_C(1) << nr_cpus, text, sizeof(text));
	expect_refused_text(text);
	render_list(cpu_bits(1, (unsigned long)nr_cpus), text, sizeof(text));
	expect_refused_text(text);
	render_list(present, text, sizeof(text));
	expect_refused_text(text);
}

/* All online CPUs but not all present ones. */
static void test_no_active_left(void)
{
	char path[64], text[512];
	int last = nr_cpus - 1, err;

	snprintf(path, sizeof(path), CPU_ROOT "/cpu%d/online", last);
	errno = put(path, "0");
	if (errno)
		die(path);
	render_list(cpu_bits(0, (unsigned long)last - 1), text, sizeof(text));
	expect_refused_text(text);
	keep();
	err = write_mask(cpu_bits(1, (unsigned long)last));
	report("a present CPU that is offline may be named", !err, "%s", strerror(err));
	errno = put(path, "1");
	if (errno)
		die(path);
}

/* A write of no bytes asks for nothing; an empty line asks for an empty mask, and is no bad write. */
static void test_empty(void)
{
	expect_refusal("a write of no bytes changes nothing", "", 0, 0);
	keep();
	errno = put(MASK, "\n");
	report("an empty line clears", !errno && !read_list(MASK), "errno %d, mask %llx", errno,
	       (unsigned long long)read_list(MASK));
}

static void test_unreadable(void)
{
	expect_refusal("a buffer that is not there is refused", (const void *)8, 4, EFAULT);
}

/* ---- 64 KiB ---- */

static void fill(char *buffer, const char *with)
{
	size_t length = strlen(with);

	for (size_t i = 0; i < LONG_WRITE; i++)
		buffer[i] = with[i % length];
}

static void test_long(void)
{
	static char buffer[LONG_WRITE];

	fill(buffer, "x");
	expect_refusal("64 KiB of garbage are refused", buffer, LONG_WRITE, EINVAL);
	fill(buffer, "9");
	expect_refusal("a number of 64 KiB is refused", buffer, LONG_WRITE, EINVAL);
	fill(buffer, "0-9999,");
	expect_refusal("a list of 64 KiB out of range is refused", buffer, LONG_WRITE, EINVAL);
	/* What does not fit into a page is not seen: the rest might be anything. */
	fill(buffer, "1,");
	expect_refusal("a list of 64 KiB that begins well is refused", buffer, LONG_WRITE, EINVAL);
	memset(buffer, ' ', LONG_WRITE);
	expect_refusal("64 KiB of blanks are refused", buffer, LONG_WRITE, EINVAL);
}

/* ---- without the right ---- */

/* The errno with which somebody who is not root is kept out. */
static void test_not_root(void)
{
	pid_t pid;
	int status;

	keep();
	pid = fork();
	if (pid < 0)
		die("fork");
	if (!pid)
		_exit(setgid(NOBODY) || setuid(NOBODY) ? 255 : put(MASK, "\n"));
	if (waitpid(pid, &status, 0) != pid)
		die("waitpid");
	report("nobody may not write", WIFEXITED(status) && WEXITSTATUS(status) == EACCES && read_list(MASK) == kept(),
	       "status %x, mask %llx", (unsigned int)status, (unsigned long long)read_list(MASK));
}

/* ---- while the governor has the mask ---- */

static void test_governor(void)
{
	uint64_t mask;
	int err;

	if (access(GOVERNOR "/enable", W_OK))
		return;
	keep();
	errno = put(GOVERNOR "/enable", "1");
	if (errno)
		die(GOVERNOR);
	err = put(MASK, "1\n");
	mask = read_list(MASK);
	report("the governor's mask is not for others", err == EBUSY && (mask & kept()) == kept(), "%s, mask %llx",
	       strerror(err), (unsigned long long)mask);
	errno = put(GOVERNOR "/enable", "0");
	report("the governor gives the mask back", !errno && read_list(MASK) == kept(), "errno %d, mask %llx", errno,
	       (unsigned long long)read_list(MASK));
}

/* ---- many at once ---- */

static _Atomic bool over;
static _Atomic long writes, refusals, wrong;

/* Legal masks of one thread; all leave CPU 0. */
static uint64_t legal_mask(unsigned int thread)
{
	return cpu_bits(1, 1 + thread % (unsigned int)(nr_cpus - 1));
}

static void *write_both(void *number)
{
	unsigned int thread = (unsigned int)(uintptr_t)number;

	while (!atomic_load(&over)) {
		if (write_mask(legal_mask(thread)))
			atomic_fetch_add(&wrong, 1);
		atomic_fetch_add(&writes, 1);
		if (write_mask(present) != EINVAL || put(MASK, "1,x\n") != EINVAL)
			atomic_fetch_add(&wrong, 1);
		atomic_fetch_add(&refusals, 2);
	}
	return NULL;
}

static bool is_legal_mask(uint64_t mask)
{
	for (unsigned int thread = 0; thread < WRITERS; thread++)
		if (mask == legal_mask(thread))
			return true;
	return false;
}

static void test_many(long seconds)
{
	pthread_t threads[WRITERS];
	long end = now_ms() + seconds * 1000, reads = 0, strange = 0;
	uint64_t last = 0;

	errno = write_mask(legal_mask(0));
	if (errno)
		die("set " MASK);
	for (uintptr_t i = 0; i < WRITERS; i++)
		if (pthread_create(&threads[i], NULL, write_both, (void *)i))
			die("pthread_create");
	for (; now_ms() < end; reads++) {
		uint64_t mask = read_list(MASK);

		if (!is_legal_mask(mask) && !strange++)
			last = mask;
	}
	atomic_store(&over, true);
	for (unsigned int i = 0; i < WRITERS; i++)
		pthread_join(threads[i], NULL);
	printf("%d writers: %ld masks, %ld refusals, %ld reads\n", WRITERS, atomic_load(&writes),
	       atomic_load(&refusals), reads);
	report("writers at once get what they should", !atomic_load(&wrong) && atomic_load(&writes) > WRITERS,
	       "%ld wrong answers in %ld writes", atomic_load(&wrong), atomic_load(&writes));
	report("a reader sees whole masks only", !strange && reads > 0, "%ld of %ld are of nobody, the first %llx",
	       strange, reads, (unsigned long long)last);
	report("one of the masks stays", is_legal_mask(read_list(MASK)), "%llx",
	       (unsigned long long)read_list(MASK));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL) && errno != EBUSY)
		die("debugfs");
	present = read_list(CPU_ROOT "/present");
	nr_cpus = __builtin_popcountll(present);
	if (nr_cpus < 3 || read_list(CPU_ROOT "/online") != present || present != cpu_bits(0, (unsigned long)nr_cpus - 1)) {
		errno = ERANGE;
		die("three CPUs or more, all online");
	}
	test_texts();
	test_sets();
	test_no_active_left();
	test_empty();
	test_unreadable();
	test_long();
	test_not_root();
	test_governor();
	test_many(argc > 1 ? strtol(argv[1], NULL, 10) : 2);
	errno = put(MASK, "\n");
	report("the mask can be cleared", !errno && !read_list(MASK), "errno %d", errno);
	printf("%d passed, %d failed\n", passed, failed);
	return failed != 0;
}
