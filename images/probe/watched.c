// SPDX-License-Identifier: GPL-2.0-only
#include "watched.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/pidfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "monotonic.h"

/* An emulated host needs up to 13 s to define its first guest (emulator capability probing); be generous. */
#define APPEAR_NS (60 * NS_PER_S)
/* Threads appear shortly after the process; once no new one came for a while, look more seldom. */
#define STABLE_NS (3 * NS_PER_S)
#define RESCAN_STABLE_NS (5 * NS_PER_S)
/* The port closes a moment before the process is gone: only one that outlives it this long is worth a word. */
#define CLOSED_GRACE_NS (1 * NS_PER_S)

#define HELLO "pvprobe "

static void failed(const struct watched *guest, const char *what)
{
	event("error %s %s", guest->name, what);
}

static const char *unless_dash(const char *path)
{
	return strcmp(path, "-") == 0 ? NULL : path;
}

static void open_streamfile(struct watched *guest)
{
	if (!guest->socket || !guest->streamfile)
		return;
	guest->stream_fd = open(guest->streamfile, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
	if (guest->stream_fd < 0)
		event("error %s %s: %s", guest->name, guest->streamfile, strerror(errno));
}

struct watched *watched_start(char *command, char *const fields[WATCHED_FIELDS])
{
	struct watched *guest = calloc(1, sizeof(*guest));

	if (!guest)
		return NULL;
	guest->command = command;
	guest->name = fields[0];
	guest->pidfile = fields[1];
	guest->socket = unless_dash(fields[2]);
	guest->streamfile = unless_dash(fields[3]);
	guest->pid_fd = guest->socket_fd = guest->stream_fd = -1;
	guest->socket_done = !guest->socket;
	guest->deadline_ns = monotonic_ns() + APPEAR_NS;
	console_init(&guest->console, unless_dash(fields[4]));
	open_streamfile(guest);
	return guest;
}

static pid_t read_pid(const char *path)
{
	char text[32] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) < 0)
		text[0] = '\0';
	close(fd);
	return (pid_t)atoi(text);
}

static void become_gone(struct watched *guest)
{
	guest->gone = true;
	event("gone %s %" PRIu64, guest->name, monotonic_ns());
}

static void find_process(struct watched *guest, uint64_t now_ns)
{
	if (guest->pid_fd >= 0 || guest->pid_failed || guest->gone)
		return;
	guest->pid = read_pid(guest->pidfile);
	if (guest->pid > 0)
		guest->pid_fd = pidfd_open(guest->pid, 0);
	if (guest->pid_fd >= 0)
		guest->stable_since_ns = now_ns;
	else if (guest->pid > 0 && errno == ESRCH)
		become_gone(guest); /* it ended before it could be watched */
	else if (now_ns > guest->deadline_ns) {
		guest->pid_failed = true;
		event("error %s no process: %s names none after %" PRIu64 " s", guest->name, guest->pidfile,
		      APPEAR_NS / NS_PER_S);
	}
}

static void find_threads(struct watched *guest, uint64_t now_ns)
{
	if (guest->pid_fd < 0 || guest->gone || now_ns < guest->rescan_ns)
		return;
	if (vcpus_scan(&guest->vcpus, guest->pid) > 0)
		guest->stable_since_ns = now_ns;
	if (guest->vcpus.count > 0 && now_ns - guest->stable_since_ns > STABLE_NS)
		guest->rescan_ns = now_ns + RESCAN_STABLE_NS;
}

static int connect_unix(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
		int why = errno;

		close(fd);
		errno = why;
		return -1;
	}
	return fd;
}

static void connect_port(struct watched *guest, uint64_t now_ns)
{
	if (guest->socket_done || guest->socket_fd >= 0 || guest->gone)
		return;
	guest->socket_fd = connect_unix(guest->socket);
	if (guest->socket_fd >= 0 || (now_ns < guest->deadline_ns && errno != ENAMETOOLONG))
		return;
	guest->socket_done = true;
	event("error %s port %s: %s", guest->name, guest->socket, strerror(errno));
}

static void report_closed(struct watched *guest, uint64_t now_ns)
{
	if (guest->closed_ns == 0 || guest->gone || now_ns - guest->closed_ns < CLOSED_GRACE_NS)
		return;
	guest->closed_ns = 0;
	failed(guest, "port closed while the process lives on");
}

static void report_console(void *context, const char *line)
{
	event("console %s %s", ((struct watched *)context)->name, line);
}

static bool is_awaiting(const struct watched *guest)
{
	bool process = guest->pid_fd < 0 && !guest->pid_failed;
	bool port = guest->socket_fd < 0 && !guest->socket_done;

	return !guest->gone && (process || port);
}

bool watched_tick(struct watched *guest, uint64_t now_ns)
{
	find_process(guest, now_ns);
	find_threads(guest, now_ns);
	connect_port(guest, now_ns);
	report_closed(guest, now_ns);
	if (!guest->gone)
		console_check(&guest->console, false, report_console, guest);
	return is_awaiting(guest);
}

void watched_poll(const struct watched *guest, struct pollfd poller[2])
{
	poller[0] = (struct pollfd){ .fd = guest->gone ? -1 : guest->pid_fd, .events = POLLIN };
	poller[1] = (struct pollfd){ .fd = guest->socket_fd, .events = POLLIN };
}

static void keep(struct watched *guest, const char *bytes, size_t length, uint64_t now_ns)
{
	guest->arrived += length;
	latest_take(&guest->latest, bytes, length, now_ns);
	while (guest->stream_fd >= 0 && length > 0) {
		ssize_t written = write(guest->stream_fd, bytes, length);

		if (written < 0) {
			event("error %s %s: %s", guest->name, guest->streamfile, strerror(errno));
			close(guest->stream_fd);
			guest->stream_fd = -1;
			return;
		}
		bytes += written;
		length -= (size_t)written;
	}
}

static const char *find_hello(const struct watched *guest)
{
	const char *at = guest->head, *end = guest->head + guest->head_length;

	while (at) {
		if ((size_t)(end - at) >= strlen(HELLO) && memcmp(at, HELLO, strlen(HELLO)) == 0)
			return memchr(at, '\n', (size_t)(end - at)) ? at : NULL;
		at = memchr(at, '\n', (size_t)(end - at));
		at = at ? at + 1 : NULL;
	}
	return NULL;
}

static void note_arrival(const struct watched *guest, uint64_t now_ns, struct output *output)
{
	text_string(&output->text, "a ");
	text_string(&output->text, guest->name);
	text_field(&output->text, now_ns);
	text_field(&output->text, guest->arrived);
	text_char(&output->text, '\n');
}

/*
 * Until the hello line is complete, bytes are held back. What stands before it is the rest of what an earlier
 * reader left in the emulator's buffers, and no part of this stream.
 */
static void take_head(struct watched *guest, const char *bytes, size_t length, uint64_t now_ns, struct output *output)
{
	const char *hello;

	if (length > HEAD_SIZE - guest->head_length)
		guest->head_length = 0;
	memcpy(guest->head + guest->head_length, bytes, length);
	guest->head_length += length;
	hello = find_hello(guest);
	if (!hello)
		return;
	guest->ready = true;
	note_arrival(guest, now_ns, output); /* at 0: tells this stream from an earlier one of the same name */
	keep(guest, hello, guest->head_length - (size_t)(hello - guest->head), now_ns);
	event("ready %s %" PRIu64, guest->name, now_ns);
}

/* One read; false when there is nothing more for now. */
static bool read_port(struct watched *guest, struct output *output)
{
	char bytes[HEAD_SIZE];
	ssize_t length = read(guest->socket_fd, bytes, sizeof(bytes));
	uint64_t now_ns = monotonic_ns();

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (length <= 0) {
		close(guest->socket_fd);
		guest->socket_fd = -1;
		guest->socket_done = true;
		guest->closed_ns = now_ns;
		return false;
	}
	if (guest->ready)
		keep(guest, bytes, (size_t)length, now_ns);
	else
		take_head(guest, bytes, (size_t)length, now_ns, output);
	if (guest->ready)
		note_arrival(guest, now_ns, output);
	return (size_t)length == sizeof(bytes);
}

static void finish(struct watched *guest, struct output *output)
{
	while (guest->socket_fd >= 0 && read_port(guest, output))
		;
	console_check(&guest->console, true, report_console, guest);
	text_string(&output->text, "g ");
	text_string(&output->text, guest->name);
	text_field(&output->text, monotonic_ns());
	text_char(&output->text, '\n');
	become_gone(guest);
	vcpus_close(&guest->vcpus);
}

void watched_handle(struct watched *guest, const struct pollfd poller[2], struct output *output)
{
	if (poller[1].revents && guest->socket_fd >= 0)
		read_port(guest, output);
	if (poller[0].revents && !guest->gone)
		finish(guest, output);
}

void watched_stop(struct watched *guest)
{
	vcpus_close(&guest->vcpus);
	console_close(&guest->console);
	if (guest->pid_fd >= 0)
		close(guest->pid_fd);
	if (guest->socket_fd >= 0)
		close(guest->socket_fd);
	if (guest->stream_fd >= 0)
		close(guest->stream_fd);
	free(guest->command);
	free(guest);
}
