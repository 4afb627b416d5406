// SPDX-License-Identifier: GPL-2.0-only
/*
 * /init of the lab's guests and host VMs: process 1 from the initramfs to power-off.
 *
 * It mounts the shared read-only image under a tmpfs, sets name and address, runs /lab/start of the image and
 * then reaps children until it is told to end (SIGTERM, SIGUSR1, SIGUSR2, or ctrl-alt-del as SIGINT). The
 * start script finds LAB_NAME, LAB_IP, LAB_INTERVAL_MS, LAB_ROLE and LAB_WATCH in its environment. Where something goes
 * wrong, and where the start script fails, the machine says so on its console and switches itself off: a
 * guest that is gone is noticed at once, one that hangs is waited for.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cmdline.h"
#include "fatal.h"
#include "mounts.h"
#include "network.h"

#define START "/lab/start"

static void read_settings(struct settings *settings)
{
	char cmdline[4096] = "", wrong[128];
	int fd = open("/proc/cmdline", O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, cmdline, sizeof(cmdline) - 1) < 0)
		fatal("/proc/cmdline");
	close(fd);
	if (!cmdline_parse(cmdline, settings, wrong))
		fatal_text("kernel command line", wrong);
}

static void export_settings(const struct settings *settings)
{
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	setenv("HOME", "/root", 1);
	setenv("LAB_NAME", settings->name, 1);
	setenv("LAB_IP", settings->ip, 1);
	setenv("LAB_INTERVAL_MS", settings->interval_ms, 1);
	setenv("LAB_ROLE", settings->role, 1);
	setenv("LAB_WATCH", settings->watch, 1);
}

static pid_t run_start(const sigset_t *unblocked)
{
	pid_t child = fork();

	if (child < 0)
		fatal("fork");
	if (child > 0)
		return child;
	setsid();
	sigprocmask(SIG_SETMASK, unblocked, NULL);
	execl(START, START, (char *)NULL);
	complain(START);
	_exit(127);
}

static void check_start(int status)
{
	char text[64];

	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return;
	if (WIFEXITED(status))
		snprintf(text, sizeof(text), "exit status %d", WEXITSTATUS(status));
	else
		snprintf(text, sizeof(text), "ended by signal %d", WTERMSIG(status));
	fatal_text(START, text);
}

static void reap(pid_t start)
{
	int status;
	pid_t ended;

	while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
		if (ended == start)
			check_start(status);
}

static _Noreturn void serve(const sigset_t *signals, pid_t start)
{
	int number;

	for (;;) {
		reap(start);
		if (sigwait(signals, &number) == 0 && number != SIGCHLD)
			power_off();
	}
}

int main(void)
{
	struct settings settings;
	sigset_t signals, unblocked;

	if (getpid() != 1) {
		fprintf(stderr, "lab-init: is process 1 of a lab's machine, and nothing else\n");
		return 2;
	}
	sigemptyset(&signals);
	for (size_t i = 0; i < 5; i++)
		sigaddset(&signals, (int[]){ SIGCHLD, SIGTERM, SIGUSR1, SIGUSR2, SIGINT }[i]);
	sigprocmask(SIG_BLOCK, &signals, &unblocked);
	mount_early();
	find_power_switch();
	reboot(RB_DISABLE_CAD); /* ctrl-alt-del becomes SIGINT */
	read_settings(&settings);
	enter_root(settings.root);
	if (sethostname(settings.name, strlen(settings.name)) != 0)
		complain("hostname");
	mount_late();
	network_up(settings.address, settings.netmask);
	export_settings(&settings);
	serve(&signals, run_start(&unblocked));
}
