/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel logs while something is done. */
#ifndef KNOBLOG_H
#define KNOBLOG_H

/* Begins to listen: a descriptor, or -1 where there is no log. */
int log_listen(void);

/* Prints a line `log text=...` for each of the last lines that came since, and closes. */
void log_print(int fd);

#endif
