// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvknob: reads and writes the knobs of a kernel, of a guest's as of a host's. KNOBS.md says what it prints.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "knobio.h"
#include "knoblog.h"
#include "knobout.h"
#include "monotonic.h"

#define WORDS_MAX 256

enum { DONE = 0, REFUSED = 1, USAGE = 2, STALE = 3 };

static const struct knob_kind *const kinds[] = {
	&knob_file,   &knob_debugfs,    &knob_sysctl, &knob_module_parameter, &knob_module,
	&knob_cgroup, &knob_cpu_online, &knob_cmdline, &knob_sched_feature,   &knob_isolated_partition,
	&knob_domain_cgroup,
};

static _Noreturn void usage_error(const char *what, const char *about)
{
	fprintf(stderr, "pvknob: %s%s\n", what, about);
	fputs("usage: pvknob [--root DIR] [--boot ID] [--fence FILE EPOCH] COMMAND\n"
	      "       pvknob probe KIND:PATH...\n"
	      "       pvknob get KIND:PATH...\n"
	      "       pvknob set KIND:PATH VALUE [KIND:PATH VALUE]...\n"
	      "       pvknob set KIND:PATH <VALUE\n"
	      "       pvknob watch INTERVAL_MS KIND:PATH...\n"
	      "       pvknob clock\n",
	      stderr);
	exit(USAGE);
}

bool knob_parse(const char *word, struct knob *knob)
{
	const char *colon = strchr(word, ':');
	size_t length = colon ? (size_t)(colon - word) : 0, base = strcspn(word, "+:");

	*knob = (struct knob){ .word = word, .path = colon ? colon + 1 : "" };
	knob->reload = colon && base < length && strncmp(word + base, "+reload:", 8) == 0;
	if (!colon || (base < length && !knob->reload))
		return false;
	for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++)
		if (strlen(kinds[i]->name) == base && strncmp(kinds[i]->name, word, base) == 0)
			knob->kind = kinds[i];
	return knob->kind != NULL;
}

static struct knob parsed(const char *word)
{
	struct knob knob;

	if (!knob_parse(word, &knob))
		usage_error("no kind of knob: ", word);
	return knob;
}

bool knob_read(const struct knob *knob, struct reading *reading, struct outcome *outcome)
{
	if (!knob->kind->read(knob, reading, outcome))
		return false;
	if (reading->undo.length == 0) {
		blob_string(&reading->undo, knob->word);
		blob_bytes(&reading->back, blob_text(&reading->value), reading->value.length);
	}
	return true;
}

void reading_free(struct reading *reading)
{
	blob_free(&reading->value);
	blob_free(&reading->undo);
	blob_free(&reading->back);
}

/* ---- lines */

static void out_where(const struct knob *knob, const struct outcome *outcome)
{
	out_text("word", knob->word);
	out_text("place", outcome->place);
}

static void out_reading(const struct reading *reading)
{
	out_blob("undo", &reading->undo);
	out_blob("back", &reading->back);
}

static void out_trouble(const struct outcome *outcome)
{
	const char *name = strerrorname_np(outcome->error);

	out_text("errno", name ? name : "-");
	out_text("why", outcome->why[0] ? outcome->why : strerror(outcome->error));
}

static const char *state_name(enum knob_state state)
{
	static const char *const names[] = {
		[KNOB_ABSENT] = "absent",
		[KNOB_READABLE] = "readable",
		[KNOB_WRITABLE] = "writable",
		[KNOB_LOADABLE] = "loadable",
	};

	return names[state];
}

/* ---- probe and get */

static int probe(int argc, char **argv)
{
	int status = DONE;

	for (int i = 0; i < argc; i++) {
		struct knob knob = parsed(argv[i]);
		struct outcome outcome = { 0 };
		enum knob_state state = knob.kind->probe(&knob, &outcome);

		out_begin(state_name(state));
		out_where(&knob, &outcome);
		if (state == KNOB_ABSENT) {
			out_trouble(&outcome);
			status = REFUSED;
		}
		out_end();
	}
	return status;
}

static bool get_one(const struct knob *knob)
{
	struct reading reading = { 0 };
	struct outcome outcome = { 0 };
	enum knob_state state = knob->kind->probe(knob, &outcome);
	bool done = state != KNOB_ABSENT && knob_read(knob, &reading, &outcome);

	out_begin(done ? "value" : state == KNOB_ABSENT ? "absent" : "refused");
	out_where(knob, &outcome);
	out_text("state", state_name(state));
	if (done) {
		out_number("t_ns", monotonic_ns());
		out_blob("value", &reading.value);
		out_reading(&reading);
	} else {
		out_trouble(&outcome);
	}
	out_end();
	reading_free(&reading);
	return done;
}

static int get(int argc, char **argv)
{
	int status = DONE;

	for (int i = 0; i < argc; i++) {
		struct knob knob = parsed(argv[i]);

		if (!get_one(&knob))
			status = REFUSED;
	}
	return status;
}

/* ---- set */

struct written {
	struct reading before, after;
	struct outcome outcome;
};

static void out_written(const struct knob *knob, const struct written *written, bool done, uint64_t t0, uint64_t t1)
{
	out_begin(done ? "set" : "refused");
	out_where(knob, &written->outcome);
	out_number("t0_ns", t0);
	out_number("t1_ns", t1);
	out_blob("old", &written->before.value);
	out_blob("new", &written->after.value);
	out_reading(&written->before);
	if (!done)
		out_trouble(&written->outcome);
	out_end();
}

/* A refusal that leaves another value behind is told by the values. */
static bool read_again(const struct knob *knob, struct written *written, bool done)
{
	struct outcome outcome = { 0 };

	if (knob_read(knob, &written->after, &outcome))
		return done;
	if (done)
		written->outcome = outcome;
	return false;
}

/* Makes `count` changes that are one write to the kernel. */
static bool set_together(const struct change *changes, size_t count, bool by_reload)
{
	struct written *written = calloc(count, sizeof(*written));
	struct outcome outcome = { 0 };
	uint64_t t0_ns, t1_ns;
	bool done = true;
	int log = log_listen();

	for (size_t i = 0; i < count; i++)
		done &= knob_read(&changes[i].knob, &written[i].before, &written[i].outcome);
	t0_ns = monotonic_ns();
	if (done) {
		done = by_reload ? module_reload(changes, count, &outcome) :
				   changes[0].knob.kind->write(&changes[0].knob, &changes[0].value, &outcome);
		for (size_t i = 0; i < count; i++)
			written[i].outcome = outcome;
	}
	t1_ns = monotonic_ns();
	for (size_t i = 0; i < count; i++) {
		bool good = read_again(&changes[i].knob, &written[i], done);

		out_written(&changes[i].knob, &written[i], good, t0_ns, t1_ns);
		done &= good;
		reading_free(&written[i].before);
		reading_free(&written[i].after);
	}
	log_print(log);
	free(written);
	return done;
}

/* In order, up to the first that is refused. */
static int set_all(const struct change *changes, size_t count)
{
	for (size_t i = 0; i < count;) {
		size_t batch = module_batch(changes + i, count - i);

		if (!set_together(changes + i, batch ? batch : 1, batch != 0))
			return REFUSED;
		i += batch ? batch : 1;
	}
	return DONE;
}

static void read_stdin(struct blob *value)
{
	char chunk[65536];
	size_t length;

	while ((length = fread(chunk, 1, sizeof(chunk), stdin)) > 0)
		blob_bytes(value, chunk, length);
}

static int set(int argc, char **argv)
{
	struct change changes[WORDS_MAX] = { 0 };
	size_t count = (size_t)(argc + 1) / 2;

	if (count == 0 || count > WORDS_MAX || (argc % 2 && argc > 1))
		usage_error("set takes a value for each knob", "");
	for (size_t i = 0; i < count; i++) {
		changes[i].knob = parsed(argv[2 * i]);
		if (argc == 1)
			read_stdin(&changes[i].value);
		else if (!unescape(argv[2 * i + 1], &changes[i].value))
			usage_error("a backslash in a value must be written as \\x5c: ", argv[2 * i + 1]);
	}
	return set_all(changes, count);
}

/* ---- watch */

/* Whoever watches closes our stdin when it is over. */
static bool still_wanted(int interval_ms)
{
	struct pollfd input = { .fd = STDIN_FILENO, .events = POLLIN };
	char byte;

	return poll(&input, 1, interval_ms) <= 0 || read(STDIN_FILENO, &byte, 1) > 0;
}

static void watch_one(const struct knob *knob, struct blob *last, bool first)
{
	struct reading reading = { 0 };
	struct outcome outcome = { 0 };
	uint64_t t_ns = monotonic_ns();
	bool read = knob_read(knob, &reading, &outcome);

	if (!read)
		blob_format(&reading.value, "(%s)", strerrorname_np(outcome.error));
	if (first || !blob_equal(last, &reading.value)) {
		out_begin(first ? "value" : "changed");
		out_where(knob, &outcome);
		out_number("t_ns", t_ns);
		out_blob("old", last);
		out_blob("value", &reading.value);
		out_end();
		blob_reset(last);
		blob_bytes(last, blob_text(&reading.value), reading.value.length);
	}
	reading_free(&reading);
}

static int watch(int argc, char **argv)
{
	struct blob last[WORDS_MAX] = { 0 };
	struct knob knobs[WORDS_MAX];
	int interval_ms = argc > 0 ? atoi(argv[0]) : 0;

	if (interval_ms < 1 || argc < 2 || argc - 1 > WORDS_MAX)
		usage_error("watch takes milliseconds and knobs", "");
	for (int i = 0; i < argc - 1; i++) {
		knobs[i] = parsed(argv[i + 1]);
		watch_one(&knobs[i], &last[i], true);
	}
	while (still_wanted(interval_ms))
		for (int i = 0; i < argc - 1; i++)
			watch_one(&knobs[i], &last[i], false);
	return DONE;
}

static int print_clock(int argc, char **argv)
{
	(void)argv;
	if (argc)
		usage_error("clock takes nothing", "");
	out_begin("clock");
	out_number("t_ns", monotonic_ns());
	out_end();
	return DONE;
}

/* ---- who may write */

/*
 * A command whose sender died may still be on its way when the sender's work is taken back by somebody else. So
 * everybody comes with a number, the epoch, and whoever comes with a lower one than was seen before is too late.
 * The lock is held until this process ends. A fence without its directory belongs to a lab that is no more.
 */
static bool pass_fence(const char *file, const char *epoch_text)
{
	int fd = open(file, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	unsigned long long epoch = strtoull(epoch_text, NULL, 10), seen = 0;
	char text[24] = "";

	if (fd < 0 || flock(fd, LOCK_EX) != 0 || access(file, F_OK) != 0)
		return false;
	if (pread(fd, text, sizeof(text) - 1, 0) > 0)
		seen = strtoull(text, NULL, 10);
	if (epoch < seen)
		return false;
	snprintf(text, sizeof(text), "%llu", epoch);
	return epoch == seen || pwrite(fd, text, strlen(text), 0) > 0;
}

static void read_boot_id(struct blob *boot)
{
	struct outcome outcome = { 0 };

	place_at(&outcome, "/proc/sys/kernel/random/boot_id");
	file_read(&outcome, boot);
}

static int give_up(const char *kind, const char *why)
{
	out_begin(kind);
	out_text("why", why);
	out_end();
	return STALE;
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
} commands[] = {
	{ "probe", probe }, { "get", get }, { "set", set }, { "watch", watch }, { "clock", print_clock },
};

int main(int argc, char **argv)
{
	const char *wanted_boot = NULL;
	struct blob boot = { 0 };
	char **fence = NULL;
	int at = 1;

	for (; at + 1 < argc && argv[at][0] == '-'; at += 2) {
		if (strcmp(argv[at], "--root") == 0)
			root_set(argv[at + 1]);
		else if (strcmp(argv[at], "--boot") == 0)
			wanted_boot = argv[at + 1];
		else if (strcmp(argv[at], "--fence") == 0 && at + 2 < argc)
			fence = &argv[++at];
		else
			usage_error("unknown option ", argv[at]);
	}
	if (at >= argc)
		usage_error("no command", "");
	read_boot_id(&boot);
	out_begin("pvknob");
	out_number("version", 1);
	out_blob("boot", &boot);
	out_end();
	if (wanted_boot && strcmp(wanted_boot, blob_text(&boot)) != 0)
		return give_up("other-boot", wanted_boot);
	if (fence && !pass_fence(fence[0], fence[1]))
		return give_up("stale", fence[0]);
	for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
		if (strcmp(argv[at], commands[i].name) == 0)
			return commands[i].run(argc - at - 1, argv + at + 1);
	usage_error("unknown command ", argv[at]);
}
