// SPDX-License-Identifier: GPL-2.0-only
#include "supervise.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "monotonic.h"
#include "output.h"

/* How often those that were killed are looked for again: a process may fork while it is being killed. */
#define KILL_AGAIN_MS 20
#define TIMER_SLACK_NS 1
/* More than a guest of the lab runs; those beyond it are found when others have ended. */
#define MAX_PROCESSES 32768

/* Written by the child until it becomes the command. */
struct shared {
	volatile uint64_t begin_ns;
	volatile int error;
};

struct process {
	pid_t pid, parent;
	bool ours;
};

struct run {
	const struct load_files *files;
	struct shared *shared;
	struct output output;
	pid_t leader;
	int signals, trigger, go;
	uint64_t at_ns, end_ns, kill_at_ns, user_ns, system_ns;
	int status;
	bool released, ended, stopping, stopped;
};

/* ---- the child */

static uint64_t read_start(int go)
{
	uint64_t at_ns;

	if (read(go, &at_ns, sizeof(at_ns)) != sizeof(at_ns))
		_exit(1); /* the supervisor is gone */
	return at_ns;
}

static void sleep_until(uint64_t at_ns)
{
	struct timespec at = { (time_t)(at_ns / NS_PER_S), (long)(at_ns % NS_PER_S) };

	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, NULL) == EINTR)
		;
}

static _Noreturn void become(struct shared *shared, int go, int out, char **command, const sigset_t *unblocked)
{
	int null = open("/dev/null", O_RDONLY | O_CLOEXEC);

	setpgid(0, 0);
	dup2(null, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(out, STDERR_FILENO);
	prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS);
	sigprocmask(SIG_SETMASK, unblocked, NULL);
	sleep_until(read_start(go));
	prctl(PR_SET_TIMERSLACK, 0);
	shared->begin_ns = monotonic_ns();
	execvp(command[0], command);
	shared->error = errno;
	_exit(127);
}

/* ---- signals for everything that the command left */

static pid_t parent_of(const char *entry)
{
	char path[64], line[512], *after;
	int parent = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/stat", entry);
	file = fopen(path, "re");
	if (!file)
		return 0;
	after = fgets(line, sizeof(line), file) ? strrchr(line, ')') : NULL;
	if (!after || sscanf(after, ") %*c %d", &parent) != 1)
		parent = 0;
	fclose(file);
	return parent;
}

static size_t read_processes(struct process *processes)
{
	DIR *entries = opendir("/proc");
	struct dirent *entry;
	size_t count = 0;

	while (entries && count < MAX_PROCESSES && (entry = readdir(entries)))
		if (isdigit((unsigned char)entry->d_name[0])) {
			pid_t parent = parent_of(entry->d_name);

			processes[count++] = (struct process){ atoi(entry->d_name), parent, parent == getpid() };
		}
	if (entries)
		closedir(entries);
	return count;
}

static bool is_ours(const struct process *processes, size_t count, pid_t pid)
{
	for (size_t i = 0; i < count; i++)
		if (processes[i].pid == pid)
			return processes[i].ours;
	return false;
}

/*
 * The children, their children, and so on. A process whose parent has gone becomes this one's child
 * (PR_SET_CHILD_SUBREAPER), so that none gets out of sight.
 */
static void signal_all(int number)
{
	static struct process processes[MAX_PROCESSES];
	size_t count = read_processes(processes);

	for (bool found = true; found;) {
		found = false;
		for (size_t i = 0; i < count; i++)
			if (!processes[i].ours && is_ours(processes, count, processes[i].parent))
				processes[i].ours = found = true;
	}
	for (size_t i = 0; i < count; i++)
		if (processes[i].ours)
			kill(processes[i].pid, number);
}

static void begin_stopping(struct run *run, uint64_t grace_ns)
{
	if (run->stopping)
		return;
	run->stopping = true;
	run->kill_at_ns = monotonic_ns() + grace_ns;
	signal_all(SIGTERM);
}

/* ---- what happens meanwhile */

static uint64_t time_ns(struct timeval time)
{
	return (uint64_t)time.tv_sec * NS_PER_S + (uint64_t)time.tv_usec * 1000;
}

static int status_of(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Takes the dead; returns whether anything of the command still lives. */
static bool reap(struct run *run)
{
	struct rusage usage;
	int status;
	pid_t pid;

	while ((pid = wait4(-1, &status, WNOHANG, &usage)) > 0) {
		run->user_ns += time_ns(usage.ru_utime);
		run->system_ns += time_ns(usage.ru_stime);
		if (pid != run->leader)
			continue;
		run->end_ns = monotonic_ns();
		run->status = status_of(status);
		run->ended = true;
	}
	return pid == 0;
}

static void take_signal(struct run *run)
{
	struct signalfd_siginfo info;

	if (read(run->signals, &info, sizeof(info)) != sizeof(info) || info.ssi_signo == SIGCHLD)
		return;
	if (!run->ended)
		run->stopped = true;
	/* `stop` sends the grace along; from anybody else there is none. */
	begin_stopping(run, info.ssi_code == SI_QUEUE ? (uint64_t)info.ssi_int * NS_PER_MS : 0);
}

static void take_trigger(struct run *run)
{
	char line[32];
	ssize_t length = read(run->trigger, line, sizeof(line) - 1);

	if (length <= 0 || run->released)
		return;
	line[length] = '\0';
	run->at_ns = strtoull(line, NULL, 10);
	run->released = true;
	if (write(run->go, &run->at_ns, sizeof(run->at_ns)) != sizeof(run->at_ns))
		return; /* the child is gone, which SIGCHLD tells */
}

static int patience_ms(const struct run *run)
{
	uint64_t now_ns = monotonic_ns();

	if (!run->stopping)
		return -1;
	return now_ns >= run->kill_at_ns ? KILL_AGAIN_MS : (int)((run->kill_at_ns - now_ns) / NS_PER_MS) + 1;
}

static void attend(struct run *run)
{
	struct pollfd polled[] = { { .fd = run->signals, .events = POLLIN },
				   { .fd = run->trigger, .events = POLLIN },
				   { .fd = run->output.in, .events = POLLIN } };

	poll(polled, 3, patience_ms(run));
	if (polled[2].revents)
		output_take(&run->output);
	if (polled[1].revents & POLLIN)
		take_trigger(run);
	if (polled[0].revents & POLLIN)
		take_signal(run);
}

/* When the first process has ended, the load has; whatever it left behind is ended, too. */
static void watch_over(struct run *run)
{
	while (reap(run)) {
		if (run->ended)
			begin_stopping(run, 0);
		if (run->stopping && monotonic_ns() >= run->kill_at_ns)
			signal_all(SIGKILL);
		attend(run);
	}
}

static void write_status(const struct run *run)
{
	FILE *file = fopen(run->files->status_new, "we");
	unsigned long long begin_ns = run->shared->begin_ns;

	if (!file)
		return;
	fprintf(file,
		"pvload 1\nat %llu\nbegin %llu\nend %llu\nstatus %d\nstopped %d\nwritten %llu\nlost %llu\n"
		"user %llu\nsystem %llu\n",
		(unsigned long long)run->at_ns, begin_ns, (unsigned long long)run->end_ns, run->status, run->stopped,
		(unsigned long long)run->output.written, (unsigned long long)output_lost(&run->output),
		(unsigned long long)run->user_ns, (unsigned long long)run->system_ns);
	if (run->shared->error)
		fprintf(file, "error %d\n", run->shared->error);
	if (fclose(file) == 0)
		rename(run->files->status_new, run->files->status);
}

/* ---- its beginning */

static int watch_signals(sigset_t *before)
{
	sigset_t signals;

	sigemptyset(&signals);
	sigaddset(&signals, SIGTERM);
	sigaddset(&signals, SIGINT);
	sigaddset(&signals, SIGHUP);
	sigaddset(&signals, SIGCHLD);
	sigprocmask(SIG_BLOCK, &signals, before);
	return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void start_child(struct run *run, char **command)
{
	int go[2], out[2];
	sigset_t before;

	run->shared = mmap(NULL, sizeof(*run->shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (run->shared == MAP_FAILED || pipe2(go, O_CLOEXEC) != 0 || pipe2(out, O_CLOEXEC) != 0)
		load_die("the command's pipes");
	run->signals = watch_signals(&before);
	run->leader = fork();
	if (run->leader < 0)
		load_die("fork");
	if (run->leader == 0) {
		close(go[1]);
		become(run->shared, go[0], out[1], command, &before);
	}
	setpgid(run->leader, run->leader); /* whichever of the two comes first */
	close(go[0]);
	close(out[1]);
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	run->go = go[1];
	run->output.in = out[0];
}

static void write_pid(const struct load_files *files)
{
	FILE *file = fopen(files->pid, "we");

	if (!file || fprintf(file, "%d\n", (int)getpid()) < 0 || fclose(file) != 0)
		load_die(files->pid);
}

static void leave_terminal(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		load_die("/dev/null");
	for (int fd = 0; fd < 3; fd++)
		dup2(null, fd);
}

static _Noreturn void work(const struct load_files *files, char **command, size_t limit, int ready)
{
	struct run run = { .files = files };

	setsid();
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	signal(SIGPIPE, SIG_IGN);
	output_open(&run.output, files->out, limit);
	run.trigger = open(files->trigger, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (run.trigger < 0)
		load_die(files->trigger);
	start_child(&run, command);
	write_pid(files);
	leave_terminal();
	if (write(ready, "", 1) != 1)
		_exit(1);
	close(ready);
	watch_over(&run);
	output_close(&run.output);
	write_status(&run);
	_exit(0);
}

/* The supervisor keeps stderr until all is in place, so that its errors are seen here. */
int supervise(const struct load_files *files, char **command, size_t limit)
{
	int ready[2];
	char byte;
	pid_t child;

	if (pipe2(ready, O_CLOEXEC) != 0)
		load_die("pipe");
	child = fork();
	if (child < 0)
		load_die("fork");
	if (child == 0) {
		close(ready[0]);
		work(files, command, limit, ready[1]);
	}
	close(ready[1]);
	return read(ready[0], &byte, 1) == 1 ? 0 : 1;
}
