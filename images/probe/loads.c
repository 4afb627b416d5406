// SPDX-License-Identifier: GPL-2.0-only
#include "loads.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load_layout.h"
#include "monotonic.h"

#define MAX_LOADS 64

/*
 * A directory's time stamp is as coarse as a tick, so a change right after a scan may leave it as it was.
 * For this long after a change it is scanned again. (inotify would be exact, but small kernels lack it.)
 */
#define RESCAN_NS (1 * NS_PER_S)

struct load {
	char name[LOAD_MAX_NAME + 1];
	ino_t inode;
	const struct load_file *file;
	size_t size;
};

struct loads {
	const char *directory;
	struct timespec changed;
	uint64_t rescan_until_ns;
	size_t count;
	struct load load[MAX_LOADS];
};

struct loads *loads_watch(const char *directory)
{
	struct loads *loads = calloc(1, sizeof(*loads));

	if (loads)
		loads->directory = directory;
	return loads;
}

static bool file_usable(const struct load_file *file, size_t size)
{
	return memcmp(file->header.magic, LOAD_MAGIC, sizeof(file->header.magic)) == 0 &&
	       file->header.version == LOAD_VERSION && file->header.tasks <= LOAD_MAX_TASKS &&
	       size >= sizeof(*file) + file->header.tasks * sizeof(struct load_task);
}

static void map_load(struct loads *loads, int fd, const char *name, const struct stat *about)
{
	size_t size = (size_t)about->st_size;
	struct load *load = &loads->load[loads->count];
	void *file;

	if (size < sizeof(struct load_file))
		return;
	file = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
	if (file == MAP_FAILED)
		return;
	if (!file_usable(file, size)) {
		munmap(file, size);
		return;
	}
	*load = (struct load){ .inode = about->st_ino, .file = file, .size = size };
	strcpy(load->name, name);
	loads->count++;
}

static bool is_mapped(const struct loads *loads, const char *name, ino_t inode)
{
	for (size_t i = 0; i < loads->count; i++)
		if (loads->load[i].inode == inode && strcmp(loads->load[i].name, name) == 0)
			return true;
	return false;
}

static void add_load(struct loads *loads, int directory, const char *name)
{
	struct stat about;
	int fd;

	if (!load_name_valid(name) || loads->count == MAX_LOADS)
		return;
	fd = openat(directory, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return;
	if (fstat(fd, &about) == 0 && S_ISREG(about.st_mode) && !is_mapped(loads, name, about.st_ino))
		map_load(loads, fd, name, &about);
	close(fd);
}

static void forget_ended(struct loads *loads, int directory)
{
	struct stat about;

	for (size_t i = 0; i < loads->count;) {
		struct load *load = &loads->load[i];

		if (directory >= 0 && fstatat(directory, load->name, &about, 0) == 0 &&
		    about.st_ino == load->inode) {
			i++;
			continue;
		}
		munmap((void *)load->file, load->size);
		*load = loads->load[--loads->count];
	}
}

static void rescan(struct loads *loads)
{
	DIR *entries = opendir(loads->directory);
	struct dirent *entry;

	forget_ended(loads, entries ? dirfd(entries) : -1);
	if (!entries)
		return;
	while ((entry = readdir(entries)))
		add_load(loads, dirfd(entries), entry->d_name);
	closedir(entries);
}

static void rescan_if_changed(struct loads *loads)
{
	uint64_t now_ns = monotonic_ns();
	struct stat about = { 0 };

	if (stat(loads->directory, &about) != 0 && loads->count == 0)
		return;
	if (about.st_mtim.tv_sec != loads->changed.tv_sec || about.st_mtim.tv_nsec != loads->changed.tv_nsec) {
		loads->changed = about.st_mtim;
		loads->rescan_until_ns = now_ns + RESCAN_NS;
	}
	if (now_ns < loads->rescan_until_ns)
		rescan(loads);
}

/* A reader that keeps meeting a writer takes what is there: the mask changes only when someone changes it. */
static void read_affinity(const struct load_task *task, uint64_t mask[MASK_WORDS])
{
	for (int attempt = 0; attempt < 8; attempt++) {
		uint32_t before = atomic_load(&task->affinity_turn);

		for (int word = 0; word < MASK_WORDS; word++)
			mask[word] = atomic_load_explicit(&task->affinity[word], memory_order_relaxed);
		atomic_thread_fence(memory_order_acquire);
		if (before % 2 == 0 && before == atomic_load(&task->affinity_turn))
			return;
	}
}

static void sample_task(const struct load *load, uint32_t number, struct text *sample)
{
	const struct load_task *task = &load->file->task[number];
	uint64_t mask[MASK_WORDS];

	text_string(sample, "w ");
	text_string(sample, load->name);
	text_field(sample, number);
	text_field(sample, (uint64_t)atomic_load_explicit(&task->tid, memory_order_relaxed));
	text_field(sample, atomic_load_explicit(&task->work, memory_order_relaxed));
	text_field(sample, atomic_load_explicit(&task->vcpu, memory_order_relaxed));
	text_char(sample, ' ');
	read_affinity(task, mask);
	cpulist_format(mask, sample);
	text_char(sample, '\n');
}

void loads_sample(struct loads *loads, struct text *sample)
{
	rescan_if_changed(loads);
	for (size_t i = 0; i < loads->count; i++)
		for (uint32_t number = 0; number < loads->load[i].file->header.tasks; number++)
			sample_task(&loads->load[i], number, sample);
}
