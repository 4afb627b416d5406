// SPDX-License-Identifier: GPL-2.0-only
/*
 * Stands in for an emulator: N busy threads with the names that QEMU gives its vCPU threads, for SECONDS.
 * Usage: fake_emulator N SECONDS PIDFILE
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *run_vcpu(void *number)
{
	char name[16];

	snprintf(name, sizeof(name), "CPU %ld/KVM", (long)number);
	pthread_setname_np(pthread_self(), name);
	for (volatile unsigned long turn = 0;; turn++)
		;
	return NULL;
}

int main(int argc, char **argv)
{
	pthread_t thread;
	FILE *pidfile;

	if (argc != 4)
		return 2;
	for (long number = 0; number < atol(argv[1]); number++)
		if (pthread_create(&thread, NULL, run_vcpu, (void *)number) != 0)
			return 1;
	pidfile = fopen(argv[3], "w");
	if (!pidfile || fprintf(pidfile, "%d\n", (int)getpid()) < 0 || fclose(pidfile) != 0)
		return 1;
	usleep((useconds_t)(atof(argv[2]) * 1e6));
	return 0;
}
