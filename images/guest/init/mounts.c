// SPDX-License-Identifier: GPL-2.0-only
#include "mounts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "fatal.h"

#define DEVICE_WAIT_MS 10000
#define STEP_MS 10
#define READ_AHEAD_KB "1024"

static void make_directory(const char *path, mode_t mode)
{
	if (mkdir(path, mode) != 0 && errno != EEXIST)
		fatal(path);
}

static void mount_on(const char *path, const char *type, unsigned long flags, const char *options)
{
	make_directory(path, 0755);
	if (mount(type, path, type, flags, options) != 0)
		fatal(path);
}

/* For what a small kernel may lack. */
static void mount_if_there(const char *path, const char *type, const char *options)
{
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		return;
	if (mount(type, path, type, MS_NOSUID | MS_NODEV | MS_NOEXEC, options) != 0 && errno != ENODEV)
		complain(path);
}

static void take_console(void)
{
	int console = open("/dev/console", O_RDWR);

	if (console < 0)
		return;
	for (int fd = 0; fd < 3; fd++)
		dup2(console, fd);
	if (console > 2)
		close(console);
}

void mount_early(void)
{
	mkdir("/dev", 0755);
	if (mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755") != 0 && errno != EBUSY)
		fatal("/dev");
	take_console();
	mount_on("/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_on("/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
}

static void wait_for_device(const char *device)
{
	for (int waited = 0; access(device, F_OK) != 0; waited += STEP_MS) {
		if (waited >= DEVICE_WAIT_MS)
			fatal(device);
		nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000 }, NULL);
	}
}

/*
 * Every read costs an emulated guest milliseconds, however short it is, and what is read of a small image is
 * soon all of it: read far ahead. A device that does not have the file is as fast as it is.
 */
static void read_far_ahead(const char *device)
{
	char path[192];
	const char *name = strrchr(device, '/');
	int fd;

	snprintf(path, sizeof(path), "/sys/block/%s/queue/read_ahead_kb", name ? name + 1 : device);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	if (write(fd, READ_AHEAD_KB, strlen(READ_AHEAD_KB)) < 0)
		fprintf(stderr, "lab-init: %s: %s\n", path, strerror(errno));
	close(fd);
}

static void mount_overlay(const char *device)
{
	wait_for_device(device);
	make_directory("/image", 0755);
	read_far_ahead(device);
	if (mount(device, "/image", "erofs", MS_RDONLY, NULL) != 0)
		fatal(device);
	mount_on("/layer", "tmpfs", 0, "mode=0755");
	make_directory("/layer/upper", 0755);
	make_directory("/layer/work", 0755);
	make_directory("/newroot", 0755);
	if (mount("overlay", "/newroot", "overlay", 0, "lowerdir=/image,upperdir=/layer/upper,workdir=/layer/work") != 0)
		fatal("overlay");
}

static void copy_bytes(int from, int to, const char *name)
{
	char bytes[4096];
	ssize_t length;

	while ((length = read(from, bytes, sizeof(bytes))) > 0)
		if (write(to, bytes, (size_t)length) != length)
			fatal(name);
	if (length < 0)
		fatal(name);
}

/* The original goes: nothing needs it again, and it may be a secret. */
static void move_seed_file(int from_directory, int to_directory, const char *name)
{
	int from = openat(from_directory, name, O_RDONLY | O_CLOEXEC);
	int to = openat(to_directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (from < 0 || to < 0)
		fatal(name);
	copy_bytes(from, to, name);
	close(from);
	close(to);
	unlinkat(from_directory, name, 0);
}

static void move_seed(void)
{
	DIR *seed = opendir("/seed");
	int to_directory = open("/newroot/run/lab", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *entry;

	if (to_directory < 0)
		fatal("/run/lab");
	while (seed && (entry = readdir(seed)))
		if (entry->d_name[0] != '.')
			move_seed_file(dirfd(seed), to_directory, entry->d_name);
	if (seed)
		closedir(seed);
	close(to_directory);
}

static void relocate(const char *from, const char *to)
{
	make_directory(to, 0755);
	if (mount(from, to, NULL, MS_MOVE, NULL) != 0)
		fatal(to);
}

/*
 * Modules come in the initramfs, with the kernel that they belong to. Bound, not copied: its file system lives on
 * under the new root.
 */
static void bind_modules(void)
{
	if (access("/lib/modules", F_OK) != 0)
		return;
	make_directory("/newroot/lib/modules", 0755);
	if (mount("/lib/modules", "/newroot/lib/modules", NULL, MS_BIND, NULL) != 0)
		fatal("/lib/modules");
}

void enter_root(const char *device)
{
	mount_overlay(device);
	mount_on("/newroot/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
	make_directory("/newroot/run/lab", 0755);
	make_directory("/newroot/run/lab/load", 0755);
	move_seed();
	bind_modules();
	relocate("/dev", "/newroot/dev");
	relocate("/proc", "/newroot/proc");
	relocate("/sys", "/newroot/sys");
	unlink("/init");
	if (chdir("/newroot") != 0 || mount(".", "/", NULL, MS_MOVE, NULL) != 0 || chroot(".") != 0 || chdir("/") != 0)
		fatal("switch to the new root");
}

/* Every controller that the kernel has is to be had below, for libvirt and for experiments. */
static void enable_controllers(void)
{
	FILE *controllers = fopen("/sys/fs/cgroup/cgroup.controllers", "re");
	char name[64];

	while (controllers && fscanf(controllers, "%63s", name) == 1) {
		int subtree = open("/sys/fs/cgroup/cgroup.subtree_control", O_WRONLY | O_CLOEXEC);

		if (subtree < 0 || dprintf(subtree, "+%s", name) < 0)
			complain(name);
		if (subtree >= 0)
			close(subtree);
	}
	if (controllers)
		fclose(controllers);
}

static void link_descriptors(void)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
		if (symlink(links[i][0], links[i][1]) != 0 && errno != EEXIST)
			complain(links[i][1]);
}

void mount_late(void)
{
	mount_on("/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_on("/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666,gid=5");
	mount_on("/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	link_descriptors();
	mount_if_there("/sys/kernel/debug", "debugfs", NULL);
	mount_if_there("/sys/kernel/tracing", "tracefs", NULL);
	mount_if_there("/sys/fs/cgroup", "cgroup2", "nsdelegate");
	enable_controllers();
}
