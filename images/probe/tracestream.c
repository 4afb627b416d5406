// SPDX-License-Identifier: GPL-2.0-only
#include "tracestream.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "blob.h"
#include "monotonic.h"
#include "tracefs.h"

#define PIPE_BYTES (1 << 20)
/* Of one buffer at a time: the others fill up meanwhile. */
#define ROUNDS 64
/* An event whose CPU lost its pCPU just then is complete when that runs again. */
#define FINISH_TRIES 50
#define FINISH_NAP_NS (10 * NS_PER_MS)

struct pcpu {
	unsigned int number;
	int buffer, file;
	uint64_t bytes, unwritten;
};

struct stream {
	size_t page_size, count;
	uint64_t bytes, limit;
	int pipe[2], nowhere;
	bool over_limit, failed;
	struct pcpu pcpus[MASK_CPUS];
};

static struct stream stream_of_process;

static void close_at_exit(void)
{
	struct stream *stream = &stream_of_process;

	/* An instance that is open cannot be removed. */
	for (size_t i = 0; i < stream->count; i++)
		if (stream->pcpus[i].buffer >= 0)
			close(stream->pcpus[i].buffer);
}

static void open_pcpu(struct stream *stream, const char *directory, unsigned int number)
{
	struct pcpu *pcpu = &stream->pcpus[stream->count++];
	char name[64], path[PATH_MAX];

	*pcpu = (struct pcpu){ .number = number, .buffer = -1 };
	snprintf(name, sizeof(name), "per_cpu/cpu%u/trace_pipe_raw", number);
	pcpu->buffer = instance_open(name, O_RDONLY | O_NONBLOCK);
	if (pcpu->buffer < 0)
		trace_die("%s: %s: is there such a CPU?", name, strerror(errno));
	if (snprintf(path, sizeof(path), "%s/cpu%u.raw", directory, number) >= (int)sizeof(path))
		trace_die("%s: the name is too long", directory);
	pcpu->file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (pcpu->file < 0)
		trace_die("%s: %s", path, strerror(errno));
}

struct stream *stream_open(const char *directory, const uint64_t cpus[MASK_WORDS], size_t page_size, uint64_t limit)
{
	struct stream *stream = &stream_of_process;

	*stream = (struct stream){ .page_size = page_size, .limit = limit };
	atexit(close_at_exit);
	stream->nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (stream->nowhere < 0 || pipe2(stream->pipe, O_CLOEXEC) != 0)
		trace_die("opening a pipe: %s", strerror(errno));
	fcntl(stream->pipe[1], F_SETPIPE_SZ, PIPE_BYTES); /* fewer system calls; a smaller one does too */
	for (unsigned int number = 0; number < MASK_CPUS; number++)
		if (cpus[number / 64] >> (number % 64) & 1)
			open_pcpu(stream, directory, number);
	return stream;
}

size_t stream_count(const struct stream *stream)
{
	return stream->count;
}

void stream_watch(const struct stream *stream, struct pollfd *descriptors)
{
	for (size_t i = 0; i < stream->count; i++)
		descriptors[i] = (struct pollfd){ .fd = stream->pcpus[i].buffer, .events = POLLIN };
}

/* A page of which a part is missing cannot be read: it goes, and the pages after it. */
static void give_up(struct stream *stream, struct pcpu *pcpu)
{
	uint64_t part = pcpu->bytes % stream->page_size;

	fprintf(stderr, "pvtrace: cpu%u.raw: %s: what follows is lost\n", pcpu->number, strerror(errno));
	pcpu->bytes -= part;
	pcpu->unwritten += part;
	stream->bytes -= part;
	if (ftruncate(pcpu->file, (off_t)pcpu->bytes) != 0)
		fprintf(stderr, "pvtrace: cpu%u.raw: %s: its last page is not whole\n", pcpu->number, strerror(errno));
	close(pcpu->file);
	pcpu->file = -1;
	stream->failed = true;
}

static bool may_write(struct stream *stream, const struct pcpu *pcpu, size_t length)
{
	/* Once and for all, so that what is there has no holes. */
	if (stream->bytes + length > stream->limit)
		stream->over_limit = true;
	return !stream->over_limit && pcpu->file >= 0;
}

/* From the pipe, where pages are that were taken, into the file. */
static void keep(struct stream *stream, struct pcpu *pcpu, size_t length)
{
	bool write_it = may_write(stream, pcpu, length);

	while (length > 0) {
		int to = write_it ? pcpu->file : stream->nowhere;
		ssize_t went = splice(stream->pipe[0], NULL, to, NULL, length, 0);

		if (went < 0 && errno == EINTR)
			continue;
		if (went <= 0 && !write_it)
			trace_die("cpu%u: emptying a pipe: %s", pcpu->number, strerror(errno));
		if (went <= 0) {
			give_up(stream, pcpu);
			write_it = false;
			continue;
		}
		length -= (size_t)went;
		*(write_it ? &pcpu->bytes : &pcpu->unwritten) += (uint64_t)went;
		stream->bytes += write_it ? (uint64_t)went : 0;
	}
}

static bool drain_pcpu(struct stream *stream, struct pcpu *pcpu)
{
	for (int round = 0; round < ROUNDS; round++) {
		/* splice() takes full pages only: tracing_buffers_splice_read() in kernel/trace/trace.c */
		ssize_t got = splice(pcpu->buffer, NULL, stream->pipe[1], NULL, PIPE_BYTES, SPLICE_F_NONBLOCK);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return round > 0;
		keep(stream, pcpu, (size_t)got);
	}
	return true;
}

bool stream_drain(struct stream *stream)
{
	bool any = false;

	for (size_t i = 0; i < stream->count; i++)
		any = drain_pcpu(stream, &stream->pcpus[i]) || any;
	return any;
}

/* read() takes a page that is not full too, and fills the rest with zeros. */
static bool take_page(struct stream *stream, struct pcpu *pcpu, char *page)
{
	ssize_t got = read(pcpu->buffer, page, stream->page_size);
	size_t put = 0;

	if (got <= 0)
		return got < 0 && errno == EINTR;
	while (put < (size_t)got) {
		ssize_t went = write(stream->pipe[1], page + put, (size_t)got - put);

		if (went <= 0)
			trace_die("cpu%u: filling a pipe: %s", pcpu->number, strerror(errno));
		put += (size_t)went;
	}
	keep(stream, pcpu, put);
	return true;
}

/* The number behind `key` in the statistics of a CPU's buffer, 0 where the kernel does not tell. */
static uint64_t parse_statistic(const char *text, const char *key)
{
	for (const char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':')
			return strtoull(line + strlen(key) + 1, NULL, 10);
	}
	return 0;
}

static const char *read_statistics(const struct pcpu *pcpu, struct blob *into)
{
	char name[64];

	snprintf(name, sizeof(name), "per_cpu/cpu%u/stats", pcpu->number);
	if (!instance_read(name, into))
		blob_reset(into);
	return blob_text(into);
}

static void finish_pcpu(struct stream *stream, struct pcpu *pcpu, char *page)
{
	struct blob statistics = { 0 };

	for (int try = 0; try < FINISH_TRIES; try++) {
		while (drain_pcpu(stream, pcpu))
			;
		while (take_page(stream, pcpu, page))
			;
		if (parse_statistic(read_statistics(pcpu, &statistics), "entries") == 0)
			break;
		nap_ns(FINISH_NAP_NS);
	}
	blob_free(&statistics);
	close(pcpu->buffer);
	pcpu->buffer = -1;
	if (pcpu->file >= 0 && close(pcpu->file) != 0)
		trace_die("cpu%u.raw: %s", pcpu->number, strerror(errno));
	pcpu->file = -1;
}

void stream_finish(struct stream *stream)
{
	char *page = malloc(stream->page_size);

	if (!page)
		trace_die("no memory");
	for (size_t i = 0; i < stream->count; i++)
		finish_pcpu(stream, &stream->pcpus[i], page);
	free(page);
}

bool stream_failed(const struct stream *stream)
{
	return stream->failed;
}

uint64_t stream_tell(const struct stream *stream, FILE *about)
{
	struct blob statistics = { 0 };
	uint64_t unwritten = 0;

	for (size_t i = 0; i < stream->count; i++) {
		const struct pcpu *pcpu = &stream->pcpus[i];
		const char *text = read_statistics(pcpu, &statistics);

		fprintf(about, "cpu %u entries %" PRIu64, pcpu->number,
			parse_statistic(text, "entries") + parse_statistic(text, "read events"));
		fprintf(about, " overrun %" PRIu64, parse_statistic(text, "overrun"));
		fprintf(about, " dropped %" PRIu64, parse_statistic(text, "dropped events"));
		fprintf(about, " commit_overrun %" PRIu64, parse_statistic(text, "commit overrun"));
		fprintf(about, " bytes %" PRIu64 " unwritten %" PRIu64 "\n", pcpu->bytes, pcpu->unwritten);
		unwritten += pcpu->unwritten;
	}
	blob_free(&statistics);
	return unwritten;
}
