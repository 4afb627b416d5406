/* SPDX-License-Identifier: GPL-2.0-only */
/* The end of the machine: on purpose, or because something went wrong. */
#ifndef FATAL_H
#define FATAL_H

/* Prints "lab-init: WHAT: strerror(errno)" on the console and goes on. */
void complain(const char *what);

/* Prints "lab-init: fatal: WHAT: strerror(errno)" and powers off, so that the host sees it at once. */
_Noreturn void fatal(const char *what);

/* As fatal(), with a text instead of errno. */
_Noreturn void fatal_text(const char *what, const char *text);

/* Ends all other processes, syncs and powers off. */
_Noreturn void power_off(void);

/* To be called once /sys is there: notes how this machine can be switched off. */
void find_power_switch(void);

#endif
