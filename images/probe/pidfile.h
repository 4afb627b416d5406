/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PIDFILE_H
#define PIDFILE_H

#include <sys/types.h>

/*
 * The process whose number stands in the file, or 0. One whose name (/proc/PID/comm) is another is not it: a number is
 * given to somebody else after its owner's end.
 */
pid_t pidfile_running(const char *path, const char *comm);

#endif
