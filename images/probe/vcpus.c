// SPDX-License-Identifier: GPL-2.0-only
#include "vcpus.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "monotonic.h"

static int open_task(pid_t pid, pid_t tid, const char *file)
{
	char path[80];

	snprintf(path, sizeof(path), "/proc/%d/task/%d/%s", (int)pid, (int)tid, file);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* The vCPU number in a thread's name, or -1: qemu_thread_create() in accel/kvm and accel/tcg sets it. */
static int vcpu_number(pid_t pid, pid_t tid)
{
	char name[32] = "";
	int fd = open_task(pid, tid, "comm"), number = -1;

	if (fd < 0)
		return -1;
	if (read(fd, name, sizeof(name) - 1) <= 0 || sscanf(name, "CPU %d/", &number) != 1)
		number = -1;
	close(fd);
	return number;
}

static bool is_known(const struct vcpus *vcpus, pid_t tid)
{
	for (size_t i = 0; i < vcpus->count; i++)
		if (vcpus->vcpu[i].tid == tid)
			return true;
	return false;
}

static void close_vcpu(const struct vcpu *vcpu)
{
	if (vcpu->schedstat_fd >= 0)
		close(vcpu->schedstat_fd);
	if (vcpu->status_fd >= 0)
		close(vcpu->status_fd);
}

static bool add_thread(struct vcpus *vcpus, pid_t pid, pid_t tid)
{
	struct vcpu vcpu = { .tid = tid };
	int number;

	if (tid <= 0 || vcpus->count == VCPUS_MAX || is_known(vcpus, tid))
		return false;
	number = vcpu_number(pid, tid);
	if (number < 0)
		return false;
	vcpu.number = (unsigned int)number;
	vcpu.schedstat_fd = open_task(pid, tid, "schedstat");
	vcpu.status_fd = open_task(pid, tid, "status");
	if (vcpu.schedstat_fd < 0 || vcpu.status_fd < 0) {
		close_vcpu(&vcpu);
		return false;
	}
	vcpus->vcpu[vcpus->count++] = vcpu;
	return true;
}

size_t vcpus_scan(struct vcpus *vcpus, pid_t pid)
{
	char path[40];
	size_t added = 0;
	struct dirent *entry;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)pid);
	tasks = opendir(path);
	while (tasks && (entry = readdir(tasks)))
		added += add_thread(vcpus, pid, (pid_t)atoi(entry->d_name));
	if (tasks)
		closedir(tasks);
	return added;
}

static bool read_file(int fd, char *bytes, size_t size)
{
	ssize_t length = pread(fd, bytes, size - 1, 0);

	bytes[length > 0 ? length : 0] = '\0';
	return length > 0;
}

/* The number behind `label`, which stands at the start of a line of /proc/PID/status. */
static bool find_number(const char *status, const char *label, uint64_t *number)
{
	const char *at = strstr(status, label);

	if (at)
		*number = strtoull(at + strlen(label), NULL, 10);
	return at != NULL;
}

static void remember(struct vcpu *vcpu, const char *schedstat, uint64_t t_ns)
{
	char *end;

	vcpu->t_ns = t_ns;
	vcpu->run_ns = strtoull(schedstat, &end, 10);
	vcpu->delay_ns = strtoull(end, NULL, 10);
}

static bool sample_vcpu(struct vcpu *vcpu, const char *guest, struct text *out)
{
	char schedstat[80], status[4096];
	uint64_t t0_ns = monotonic_ns(), t1_ns, voluntary, involuntary;
	bool alive = read_file(vcpu->schedstat_fd, schedstat, sizeof(schedstat));

	t1_ns = monotonic_ns();
	if (!alive || !read_file(vcpu->status_fd, status, sizeof(status)) ||
	    !find_number(status, "\nvoluntary_ctxt_switches:", &voluntary) ||
	    !find_number(status, "\nnonvoluntary_ctxt_switches:", &involuntary))
		return false;
	schedstat[strcspn(schedstat, "\n")] = '\0';
	remember(vcpu, schedstat, t0_ns + (t1_ns - t0_ns) / 2);
	text_string(out, "v ");
	text_string(out, guest);
	text_field(out, vcpu->number);
	text_field(out, (uint64_t)vcpu->tid);
	text_field(out, t0_ns);
	text_field(out, t1_ns);
	text_char(out, ' ');
	text_string(out, schedstat);
	text_field(out, voluntary);
	text_field(out, involuntary);
	text_char(out, '\n');
	return true;
}

void vcpus_sample(struct vcpus *vcpus, const char *guest, struct text *out)
{
	for (size_t i = 0; i < vcpus->count;) {
		if (sample_vcpu(&vcpus->vcpu[i], guest, out)) {
			i++;
			continue;
		}
		close_vcpu(&vcpus->vcpu[i]);
		vcpus->vcpu[i] = vcpus->vcpu[--vcpus->count];
	}
}

void vcpus_close(struct vcpus *vcpus)
{
	for (size_t i = 0; i < vcpus->count; i++)
		close_vcpu(&vcpus->vcpu[i]);
	vcpus->count = 0;
}
