/* SPDX-License-Identifier: GPL-2.0-only */
/* Another duty for tasks of pvspin that run, without the time that starting a program takes. */
#ifndef DUTY_H
#define DUTY_H

/* `arguments` are "FILE PPM": the counter file of a load, and millionths of a CPU. An error is an event. */
void duty_write(const char *arguments);

#endif
