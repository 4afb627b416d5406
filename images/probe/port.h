/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The thread that carries samples from the ring to a port, so that sampling never waits for a reader.
 *
 * Every reader gets the hello line first: when the reader has gone and another comes, the hello line and the
 * samples in flight are sent again from their beginning. While nobody reads, samples stay in the ring, which
 * keeps the newest.
 */
#ifndef PORT_H
#define PORT_H

#include "ring.h"

struct port;

/*
 * Starts the thread. `where` is a path, or the name of a virtio-serial port (looked up in sysfs, since a
 * small guest has no udev to make links). It may appear later. NULL if the thread cannot be started.
 */
struct port *port_start(const char *where, struct ring *ring, const char *hello);

/* Tells the thread that the ring has something new; never blocks. */
void port_wake(struct port *port);

#endif
