/* SPDX-License-Identifier: GPL-2.0-only */
/* What the kernel's command line tells the init: lab.name= lab.ip= lab.interval_ms= lab.role= lab.root= lab.watch= */
#ifndef CMDLINE_H
#define CMDLINE_H

#include <stdbool.h>
#include <stdint.h>

struct settings {
	char name[64];		/* host name; "guest" where none is given */
	char ip[32];		/* A.B.C.D/P as given, "" for no network */
	uint32_t address;	/* of lab.ip, in network byte order */
	uint32_t netmask;	/* likewise */
	char interval_ms[16];	/* "100" where none is given */
	char role[16];		/* guest or host */
	char root[128];		/* block device of the root image; /dev/vda */
	char watch[1024];	/* paths of files the probe watches, with commas between; "" for none */
};

/*
 * Fills `settings` from the text of /proc/cmdline. Words that are not the lab's are ignored. On failure
 * returns false and `wrong` holds the offending word.
 */
bool cmdline_parse(const char *cmdline, struct settings *settings, char wrong[128]);

/* "A.B.C.D/P" to address and netmask in network byte order. */
bool cmdline_parse_ip(const char *text, uint32_t *address, uint32_t *netmask);

#endif
