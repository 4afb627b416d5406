/* SPDX-License-Identifier: GPL-2.0-only */
/* One guest as the host sees it: emulator process, vCPU threads, probe port and console. */
#ifndef WATCHED_H
#define WATCHED_H

#include <poll.h>

#include "console.h"
#include "events.h"
#include "latest.h"
#include "vcpus.h"

#define WATCHED_FIELDS 5
#define HEAD_SIZE 16384

struct watched {
	struct watched *next;
	char *command; /* what the fields below point into */
	const char *name, *pidfile, *socket, *streamfile;
	struct console console;
	struct vcpus vcpus;
	struct latest latest;
	uint64_t deadline_ns, rescan_ns, stable_since_ns, closed_ns;
	uint64_t arrived; /* bytes of the stream so far */
	pid_t pid;
	int pid_fd, socket_fd, stream_fd;
	bool pid_failed, socket_done, ready, gone;
	size_t head_length;
	char head[HEAD_SIZE]; /* what came before the hello line was complete */
};

/* Starts to watch. Takes `command`, whose WATCHED_FIELDS `fields` are NAME PIDFILE SOCKET STREAMFILE CONSOLEFILE. */
struct watched *watched_start(char *command, char *const fields[WATCHED_FIELDS]);

/*
 * Finds what is not there yet (process, threads, socket) and looks at the console. Returns whether something is
 * still awaited, so that the next look should come soon.
 */
bool watched_tick(struct watched *guest, uint64_t now_ns);

/* Two entries for poll(): the process and the port. */
void watched_poll(const struct watched *guest, struct pollfd poller[2]);

/* Handles what poll() saw. */
void watched_handle(struct watched *guest, const struct pollfd poller[2], struct output *output);

void watched_stop(struct watched *guest);

#endif
