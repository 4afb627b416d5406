/* SPDX-License-Identifier: GPL-2.0-only */
/* Control groups (v2) of libvirt's domains and their threads. */
#ifndef CGROUPS_H
#define CGROUPS_H

#include "knobio.h"

/* Process of a running domain, whose name has `length` characters; 0 if there is none. */
pid_t domain_pid(const char *domain, int length, struct outcome *outcome);

/* The group of a thread, as a path below the hierarchy's root: a line "0::PATH" in its cgroup file (cgroups(7)). */
bool group_of_task(pid_t pid, pid_t tid, char group[PATH_MAX], struct outcome *outcome);

/*
 * The group of a whole domain: what competes with other domains by its weight. libvirt has groups of the domain's
 * threads below it ("emulator", "vcpu0", "iothread1"), under systemd with "libvirt" between.
 */
bool group_of_domain(const char *domain, int length, char group[PATH_MAX], struct outcome *outcome);

/* Where the group NAME beside that of a domain is, or would be: in `outcome->place`. */
bool group_find_beside(const char *domain, const char *name, struct outcome *outcome);

/* Makes the group in `directory`, gives it a weight, and puts this process into it. */
bool group_join(const char *directory, const char *weight, struct outcome *outcome);

#endif
