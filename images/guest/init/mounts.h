/* SPDX-License-Identifier: GPL-2.0-only */
/* The file systems: first the kernel's own, then the root that the guest will live in. */
#ifndef MOUNTS_H
#define MOUNTS_H

/* devtmpfs, proc and sysfs in the initramfs, and the console as stdin, stdout and stderr. */
void mount_early(void);

/* The read-only image on `device` under a tmpfs, with /run and the seed files in it, becomes the root. */
void enter_root(const char *device);

/* What stands inside of the new root: /tmp, /dev/pts, /dev/shm, debugfs, tracefs, cgroup2. */
void mount_late(void);

#endif
