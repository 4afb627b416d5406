// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvtrace: records one window of the kernel's tracepoints, on a host or in a guest. TRACE.md describes the files.
 *
 *     pvtrace DIR clock=NAME cpus=CPULIST [buffer_kib=N] [pids=FILE] [limit_mib=N] SYSTEM:EVENT...
 *     pvtrace clean
 *
 * Prints `ready NS` when it records, and goes on until SIGTERM, SIGINT, SIGHUP or the end of its standard input, where
 * that is a pipe, a socket or a terminal. Then it writes what is left, removes its instance, and prints `done`.
 * `clean` removes the instances of those that were killed.
 */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "cpulist.h"
#include "monotonic.h"
#include "traceabout.h"
#include "traceclock.h"
#include "tracefs.h"
#include "tracesetup.h"
#include "tracestream.h"

#define DEFAULT_BUFFER_KIB 4096
/* With fewer pages than these half full is soon said of one page. */
#define LEAST_BUFFER_KIB 64
#define MOST_BUFFER_KIB (4u << 20)
#define MOST_LIMIT_MIB (1u << 30)
#define EDGE_PAIRS 5
#define PAIR_INTERVAL_NS NS_PER_S
/* A kernel that has nobody wait for half a buffer is asked this often instead. */
#define ASK_INTERVAL_NS (50 * NS_PER_MS)
#define MOST_IN_VAIN 8

enum { SIGNALS, INPUT, BUFFERS };

struct recorder {
	const struct trace_request *request;
	struct stream *stream;
	FILE *about, *formats;
	struct pollfd descriptors[BUFFERS + MASK_CPUS];
	bool asks; /* from time to time, since poll() does not wait */
	int in_vain;
};

static struct recorder recorder;

static _Noreturn void usage_error(const char *text, const char *about)
{
	fprintf(stderr,
		"pvtrace: %s%s\n"
		"usage: pvtrace DIR clock=NAME cpus=CPULIST [buffer_kib=N] [pids=FILE] [limit_mib=N] SYSTEM:EVENT...\n"
		"usage: pvtrace clean\n",
		text, about);
	exit(2);
}

static uint64_t parse_number(const char *word, const char *text, uint64_t least, uint64_t most)
{
	char *end;
	unsigned long long number;

	errno = 0;
	number = strtoull(text, &end, 10);
	if (!isdigit((unsigned char)*text) || *end != '\0' || errno != 0 || number < least || number > most)
		usage_error("no number, or none that is possible: ", word);
	return number;
}

static const char *value_of(const char *word, const char *key)
{
	size_t length = strlen(key);

	return strncmp(word, key, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static void take_option(struct trace_request *request, const char *word)
{
	const char *value;

	if ((value = value_of(word, "clock")))
		request->clock = value;
	else if ((value = value_of(word, "pids")))
		request->pids = value;
	else if ((value = value_of(word, "buffer_kib")))
		request->buffer_kib = parse_number(word, value, LEAST_BUFFER_KIB, MOST_BUFFER_KIB);
	else if ((value = value_of(word, "limit_mib")))
		request->limit = parse_number(word, value, 0, MOST_LIMIT_MIB) << 20;
	else if (!(value = value_of(word, "cpus")))
		usage_error("unknown option ", word);
	else if (!(request->has_cpus = cpulist_parse(value, request->cpus)))
		usage_error("not a cpulist: ", value);
}

static void check_event(const char *event)
{
	const char *colon = strchr(event, ':');

	if (!colon || colon == event || !colon[1])
		usage_error("not a SYSTEM:EVENT: ", event);
	for (const char *at = event; *at; at++)
		if (!isalnum((unsigned char)*at) && *at != '_' && *at != '-' && at != colon)
			usage_error("not a SYSTEM:EVENT: ", event);
}

static struct trace_request parse_request(int argc, char **argv)
{
	struct trace_request request = { .buffer_kib = DEFAULT_BUFFER_KIB, .limit = UINT64_MAX };
	const char *refusal;

	if (argc < 2 || argv[1][0] == '\0' || argv[1][0] == '-')
		usage_error("no directory", "");
	request.directory = argv[1];
	request.events = calloc((size_t)argc, sizeof(*request.events));
	if (!request.events)
		trace_die("no memory");
	for (int i = 2; i < argc; i++)
		if (strchr(argv[i], '='))
			take_option(&request, argv[i]);
		else
			check_event(request.events[request.event_count++] = argv[i]);
	if (!request.clock || !request.has_cpus)
		usage_error("missing option ", request.clock ? "cpus=CPULIST" : "clock=NAME");
	if ((refusal = trace_clock_refusal(request.clock)))
		trace_die("clock=%s: %s", request.clock, refusal);
	return request;
}

static void tell_machine(const struct trace_request *request, size_t page_size, FILE *about)
{
	static char bytes[8192];
	struct text cpus = { .bytes = bytes, .size = sizeof(bytes) };
	struct utsname machine;

	uname(&machine);
	cpulist_format(request->cpus, &cpus);
	fprintf(about, "version 1\nclock %s\nkernel %s\n", request->clock, machine.release);
	fprintf(about, "page_size %zu\ncpus %.*s\n", page_size, (int)cpus.length, cpus.bytes);
}

static void tell_pairs(struct recorder *this, int count)
{
	for (int i = 0; i < count; i++)
		trace_clock_pair(this->request->clock, this->about);
}

static void start_recording(struct recorder *this)
{
	const struct trace_request *request = this->request;
	size_t page_size = formats_page_size();

	this->about = about_make(request->directory);
	this->stream = stream_open(request->directory, request->cpus, page_size, request->limit);
	this->formats = formats_make(request->directory, request->events, request->event_count);
	tell_machine(request, page_size, this->about);
	for (size_t i = 0; i < request->event_count; i++) {
		bool present = trace_enable(request->events[i]);

		fprintf(this->about, "event %s %s\n", request->events[i], present ? "present" : "absent");
	}
	tell_pairs(this, EDGE_PAIRS);
	instance_must_write("tracing_on", "1");
	printf("ready %" PRIu64 "\n", monotonic_ns());
	fflush(stdout);
}

/* They wait until somebody looks for them, so that they come at no moment at which an instance would be left. */
static int hold_signals(void)
{
	sigset_t signals;
	int descriptor;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigprocmask(SIG_BLOCK, &signals, NULL);
	descriptor = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (descriptor < 0)
		trace_die("signalfd: %s", strerror(errno));
	return descriptor;
}

/* Files and /dev/null are at their end from the beginning: that says nothing. */
static bool input_can_end(void)
{
	struct stat about;

	return fstat(STDIN_FILENO, &about) == 0 &&
	       (S_ISFIFO(about.st_mode) || S_ISSOCK(about.st_mode) || isatty(STDIN_FILENO));
}

static void watch(struct recorder *this, int signals)
{
	this->descriptors[SIGNALS] = (struct pollfd){ .fd = signals, .events = POLLIN };
	this->descriptors[INPUT] = (struct pollfd){ .fd = input_can_end() ? STDIN_FILENO : -1, .events = POLLIN };
	stream_watch(this->stream, this->descriptors + BUFFERS);
}

static bool input_ended(void)
{
	char bytes[256];
	ssize_t length = read(STDIN_FILENO, bytes, sizeof(bytes));

	return length == 0 || (length < 0 && errno != EINTR && errno != EAGAIN);
}

static bool told_to_end(const struct recorder *this)
{
	return this->descriptors[SIGNALS].revents || (this->descriptors[INPUT].revents && input_ended());
}

static bool buffers_called(const struct recorder *this)
{
	for (size_t i = 0; i < stream_count(this->stream) && !this->asks; i++)
		if (this->descriptors[BUFFERS + i].revents)
			return true;
	return false;
}

/* Old kernels call a buffer ready when it has any event; a CPU that is offline is ready in error all the time. */
static void take_pages(struct recorder *this)
{
	bool called = buffers_called(this), any = stream_drain(this->stream);

	if (called)
		this->in_vain = any ? 0 : this->in_vain + 1;
	this->asks = this->in_vain >= MOST_IN_VAIN;
}

static bool wait_until(struct recorder *this, uint64_t moment_ns)
{
	size_t count = BUFFERS + (this->asks ? 0 : stream_count(this->stream));
	uint64_t now_ns = monotonic_ns();
	uint64_t span_ns = moment_ns > now_ns ? moment_ns - now_ns : 0;
	struct timespec span;

	if (this->asks && span_ns > ASK_INTERVAL_NS)
		span_ns = ASK_INTERVAL_NS;
	span = (struct timespec){ (time_t)(span_ns / NS_PER_S), (long)(span_ns % NS_PER_S) };
	return ppoll(this->descriptors, count, &span, NULL) > 0;
}

static void record(struct recorder *this)
{
	uint64_t next_ns = monotonic_ns() + PAIR_INTERVAL_NS;

	for (;;) {
		if (wait_until(this, next_ns) && told_to_end(this))
			return;
		take_pages(this);
		if (monotonic_ns() < next_ns)
			continue;
		tell_pairs(this, 1);
		next_ns += PAIR_INTERVAL_NS;
		if (next_ns < monotonic_ns())
			next_ns = monotonic_ns() + PAIR_INTERVAL_NS;
	}
}

static void close_file(FILE *file, const char *name)
{
	bool failed = ferror(file);

	if (fclose(file) != 0 || failed)
		trace_die("%s: it could not be written whole", name);
}

static int finish(struct recorder *this)
{
	uint64_t unwritten;

	instance_must_write("tracing_on", "0");
	tell_pairs(this, EDGE_PAIRS);
	stream_finish(this->stream);
	formats_add_names(this->formats);
	unwritten = stream_tell(this->stream, this->about);
	fprintf(this->about, "cost_ns %" PRIu64 "\n", clock_ns(CLOCK_PROCESS_CPUTIME_ID));
	close_file(this->formats, "formats");
	close_file(this->about, "about");
	if (unwritten)
		fprintf(stderr, "pvtrace: %" PRIu64 " bytes were recorded and not written\n", unwritten);
	if (!instance_remove() || stream_failed(this->stream))
		return 1;
	printf("done\n");
	return 0;
}

int main(int argc, char **argv)
{
	struct trace_request request;

	/* Whoever ends it goes by its name, and its file may have another one. */
	prctl(PR_SET_NAME, "pvtrace");
	if (argc == 2 && strcmp(argv[1], "clean") == 0)
		return instances_clean();
	request = parse_request(argc, argv);
	recorder.request = &request;
	recorder.descriptors[SIGNALS].fd = hold_signals();
	if (mkdir(request.directory, 0755) != 0 && errno != EEXIST)
		trace_die("%s: %s", request.directory, strerror(errno));
	trace_prepare(&request);
	start_recording(&recorder);
	watch(&recorder, recorder.descriptors[SIGNALS].fd);
	record(&recorder);
	return finish(&recorder);
}
