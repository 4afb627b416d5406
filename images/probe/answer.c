// SPDX-License-Identifier: GPL-2.0-only
#include "answer.h"

#include <limits.h>
#include <poll.h>
#include <unistd.h>

#include "monotonic.h"

/* poll() promises of a pipe that this much can be written without waiting, and as a whole (pipe(7)). */
#define CHUNK PIPE_BUF
/* Longer than any line: a node's name is at most 40 characters, a number 20. */
#define LINE_ROOM 256

struct answer {
	struct text text;
	bool given_up;
	char bytes[CHUNK];
};

static void send_chunk(struct answer *answer)
{
	struct pollfd reader = { .fd = STDOUT_FILENO, .events = POLLOUT };

	if (!answer->given_up)
		answer->given_up = poll(&reader, 1, 0) != 1 || !(reader.revents & POLLOUT) ||
				   write(STDOUT_FILENO, answer->bytes, answer->text.length) < 0;
	text_reset(&answer->text);
}

static void begin_line(struct answer *answer, const char *kind)
{
	if (answer->text.size - answer->text.length < LINE_ROOM)
		send_chunk(answer);
	text_string(&answer->text, kind);
}

static void put_vcpu(struct answer *answer, const struct watched *guest, const struct vcpu *vcpu)
{
	if (vcpu->t_ns == 0)
		return;
	begin_line(answer, "state-vcpu ");
	text_string(&answer->text, guest->name);
	text_field(&answer->text, vcpu->number);
	text_field(&answer->text, vcpu->t_ns);
	text_field(&answer->text, vcpu->run_ns);
	text_field(&answer->text, vcpu->delay_ns);
	text_char(&answer->text, '\n');
}

static void put_steal(struct answer *answer, const struct watched *guest, size_t i)
{
	const struct latest_sample *whole = &guest->latest.whole;

	begin_line(answer, "state-steal ");
	text_string(&answer->text, guest->name);
	text_field(&answer->text, whole->steal[i].vcpu);
	text_field(&answer->text, guest->latest.arrived_ns);
	text_field(&answer->text, whole->t0_ns + (whole->t1_ns - whole->t0_ns) / 2);
	text_field(&answer->text, whole->steal[i].steal * NS_PER_S / guest->latest.user_hz);
	text_char(&answer->text, '\n');
}

static void put_guest(struct answer *answer, const struct watched *guest)
{
	for (size_t i = 0; i < guest->vcpus.count; i++)
		put_vcpu(answer, guest, &guest->vcpus.vcpu[i]);
	for (size_t i = 0; guest->latest.known && i < guest->latest.whole.count; i++)
		put_steal(answer, guest, i);
}

void answer_state(const struct watched *guests)
{
	static struct answer answer;

	answer.given_up = false;
	answer.text = (struct text){ .bytes = answer.bytes, .size = CHUNK };
	for (const struct watched *guest = guests; guest; guest = guest->next)
		put_guest(&answer, guest);
	begin_line(&answer, "state-end");
	text_field(&answer.text, monotonic_ns());
	text_char(&answer.text, '\n');
	send_chunk(&answer);
}
