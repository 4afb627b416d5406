// SPDX-License-Identifier: GPL-2.0-only
#include "fatal.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 1000
#define STEP_MS 10

/*
 * An x86 machine without ACPI cannot switch itself off: the kernel would only halt, and the host would wait
 * for ever. It can reset, and the lab's domains end on a reset.
 */
static int last_act = RB_POWER_OFF;

void find_power_switch(void)
{
#ifdef __x86_64__
	if (access("/sys/firmware/acpi", F_OK) != 0)
		last_act = RB_AUTOBOOT;
#endif
}

static void nap_ms(long ms)
{
	nanosleep(&(struct timespec){ .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 }, NULL);
}

static bool everybody_gone(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return kill(-1, 0) != 0 && errno == ESRCH;
}

void power_off(void)
{
	kill(-1, SIGTERM);
	for (int waited = 0; waited < GRACE_MS && !everybody_gone(); waited += STEP_MS)
		nap_ms(STEP_MS);
	kill(-1, SIGKILL);
	sync();
	reboot(last_act);
	for (;;)
		pause();
}

void complain(const char *what)
{
	dprintf(2, "lab-init: %s: %s\n", what, strerror(errno));
}

static _Noreturn void end(void)
{
	sync();
	nap_ms(50); /* lets a slow console print the line */
	reboot(last_act);
	for (;;)
		pause();
}

void fatal(const char *what)
{
	dprintf(2, "lab-init: fatal: %s: %s\n", what, strerror(errno));
	end();
}

void fatal_text(const char *what, const char *text)
{
	dprintf(2, "lab-init: fatal: %s: %s\n", what, text);
	end();
}
