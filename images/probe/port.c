// SPDX-License-Identifier: GPL-2.0-only
#include "port.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "monotonic.h"

/* Holds the largest sample (guest.c), its `d` line, and, in the usual case of a backlog, many. */
#define CHUNK_SIZE (256 * 1024)
/* poll() on a port without reader returns at once with POLLHUP, so absence has to be slept through. */
#define ABSENT_NAP_NS (20 * NS_PER_MS)
/* The default of 8 MiB would be locked into memory. */
#define STACK_SIZE (64 * 1024)

struct port {
	const char *where, *hello;
	struct ring *ring;
	int fd, wake_in, wake_out;
	size_t hello_length, hello_sent; /* to the present reader */
	size_t length, sent;             /* of the chunk */
	char chunk[CHUNK_SIZE];
};

static bool has_name(const char *entry, const char *name)
{
	char path[PATH_MAX], found[256] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/virtio-ports/%s/name", entry);
	file = fopen(path, "re");
	if (!file)
		return false;
	if (fgets(found, sizeof(found), file))
		found[strcspn(found, "\n")] = '\0';
	fclose(file);
	return strcmp(found, name) == 0;
}

static bool find_port(const char *where, char path[PATH_MAX])
{
	DIR *entries;
	struct dirent *entry;
	bool found = false;

	if (strchr(where, '/')) {
		snprintf(path, PATH_MAX, "%s", where);
		return true;
	}
	entries = opendir("/sys/class/virtio-ports");
	while (entries && !found && (entry = readdir(entries)))
		if ((found = has_name(entry->d_name, where)))
			snprintf(path, PATH_MAX, "/dev/%s", entry->d_name);
	if (entries)
		closedir(entries);
	return found;
}

/* A terminal would turn newlines into two characters. */
static void make_raw(int fd)
{
	struct termios mode;

	if (tcgetattr(fd, &mode) == 0) {
		cfmakeraw(&mode);
		tcsetattr(fd, TCSANOW, &mode);
	}
}

static void open_port(struct port *port)
{
	char path[PATH_MAX];

	if (!find_port(port->where, path))
		return;
	port->fd = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (port->fd >= 0)
		make_raw(port->fd);
}

static void start_again(struct port *port)
{
	port->hello_sent = 0;
	port->sent = 0;
}

static void reader_is_gone(struct port *port)
{
	start_again(port);
	nap_ns(ABSENT_NAP_NS);
}

/* Waits until the port can be written, and returns whether it can. */
static bool wait_writable(struct port *port)
{
	struct pollfd poller = { .fd = port->fd, .events = POLLOUT };

	poll(&poller, 1, -1);
	if (poller.revents & (POLLERR | POLLNVAL)) { /* a FIFO whose reader has gone */
		close(port->fd);
		port->fd = -1;
	}
	if (poller.revents & (POLLERR | POLLHUP | POLLNVAL)) {
		reader_is_gone(port);
		return false;
	}
	return poller.revents & POLLOUT;
}

/* Waits for something new in the ring; a reader that goes meanwhile ends the wait too. */
static void wait_for_samples(struct port *port)
{
	struct pollfd poller[] = { { .fd = port->wake_out, .events = POLLIN }, { .fd = port->fd } };
	char taken[64];

	poll(poller, 2, -1);
	while (read(port->wake_out, taken, sizeof(taken)) == sizeof(taken))
		;
}

/* Writes what it can of `bytes`; returns how much went, 0 where the port took nothing. */
static size_t put(struct port *port, const char *bytes, size_t length)
{
	ssize_t written = write(port->fd, bytes, length);

	if (written < 0 && errno != EAGAIN && errno != EINTR)
		reader_is_gone(port);
	return written > 0 ? (size_t)written : 0;
}

/* Not "+=" on the call itself, here and below: put() may have started all over. */
static void send_hello(struct port *port)
{
	size_t went = put(port, port->hello + port->hello_sent, port->hello_length - port->hello_sent);

	port->hello_sent += went;
}

static void send_chunk(struct port *port)
{
	size_t went = put(port, port->chunk + port->sent, port->length - port->sent);

	port->sent += went;
	if (port->sent == port->length)
		port->length = port->sent = 0;
}

/* The chunk is taken only when the port can be written, so that while nobody reads all stays in the ring. */
static void step(struct port *port)
{
	if (port->fd < 0) {
		open_port(port);
		if (port->fd < 0)
			nap_ns(ABSENT_NAP_NS);
	} else if (!wait_writable(port)) {
		return;
	} else if (port->hello_sent < port->hello_length) {
		send_hello(port);
	} else if (port->length > 0) {
		send_chunk(port);
	} else {
		port->length = ring_take(port->ring, port->chunk, sizeof(port->chunk));
		if (port->length == 0)
			wait_for_samples(port);
	}
}

static void *carry(void *argument)
{
	for (;;)
		step(argument);
	return NULL;
}

struct port *port_start(const char *where, struct ring *ring, const char *hello)
{
	struct port *port = calloc(1, sizeof(*port));
	pthread_attr_t attributes;
	pthread_t thread;
	int wake[2];

	if (!port || pipe2(wake, O_NONBLOCK | O_CLOEXEC) != 0)
		return NULL;
	port->where = where;
	port->hello = hello;
	port->hello_length = strlen(hello);
	port->ring = ring;
	port->fd = -1;
	port->wake_out = wake[0];
	port->wake_in = wake[1];
	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	if (pthread_create(&thread, &attributes, carry, port) != 0)
		return NULL;
	return port;
}

void port_wake(struct port *port)
{
	if (write(port->wake_in, "", 1) < 0)
		return; /* the pipe is full: the thread has been told often enough */
}
