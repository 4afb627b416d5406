// SPDX-License-Identifier: GPL-2.0-only
#include "ring.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>

#include "text.h"


struct ring {
	pthread_mutex_t lock;
	uint64_t dropped, reported;
	size_t size, start, used;
	char bytes[];
};

struct ring *ring_create(size_t size)
{
	struct ring *ring = calloc(1, sizeof(*ring) + size);

	if (!ring)
		return NULL;
	ring->size = size;
	pthread_mutex_init(&ring->lock, NULL);
	return ring;
}

static void copy_in(struct ring *ring, const void *from, size_t length)
{
	size_t at = (ring->start + ring->used) % ring->size;
	size_t straight = length < ring->size - at ? length : ring->size - at;

	memcpy(ring->bytes + at, from, straight);
	memcpy(ring->bytes, (const char *)from + straight, length - straight);
	ring->used += length;
}

static void peek(const struct ring *ring, size_t offset, void *to, size_t length)
{
	size_t at = (ring->start + offset) % ring->size;
	size_t straight = length < ring->size - at ? length : ring->size - at;

	memcpy(to, ring->bytes + at, straight);
	memcpy((char *)to + straight, ring->bytes, length - straight);
}

static void advance(struct ring *ring, size_t length)
{
	ring->start = (ring->start + length) % ring->size;
	ring->used -= length;
}

static uint32_t oldest_length(const struct ring *ring)
{
	uint32_t length;

	peek(ring, 0, &length, sizeof(length));
	return length;
}

void ring_push(struct ring *ring, const char *sample, size_t length)
{
	uint32_t head = (uint32_t)length;

	pthread_mutex_lock(&ring->lock);
	if (sizeof(head) + length > ring->size) {
		ring->dropped++;
	} else {
		while (ring->size - ring->used < sizeof(head) + length) {
			advance(ring, sizeof(head) + oldest_length(ring));
			ring->dropped++;
		}
		copy_in(ring, &head, sizeof(head));
		copy_in(ring, sample, length);
	}
	pthread_mutex_unlock(&ring->lock);
}

void ring_count_drop(struct ring *ring)
{
	pthread_mutex_lock(&ring->lock);
	ring->dropped++;
	pthread_mutex_unlock(&ring->lock);
}

static void report_drops(struct ring *ring, struct text *out)
{
	if (ring->dropped == ring->reported)
		return;
	text_string(out, "d");
	text_field(out, ring->dropped);
	text_char(out, '\n');
	ring->reported = ring->dropped;
}

size_t ring_take(struct ring *ring, char *bytes, size_t size)
{
	struct text out = { .bytes = bytes, .size = size };

	pthread_mutex_lock(&ring->lock);
	report_drops(ring, &out);
	while (ring->used > 0) {
		uint32_t length = oldest_length(ring);

		if (length > size - out.length)
			break;
		peek(ring, sizeof(length), bytes + out.length, length);
		out.length += length;
		advance(ring, sizeof(length) + length);
	}
	pthread_mutex_unlock(&ring->lock);
	return out.length;
}
