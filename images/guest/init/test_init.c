// SPDX-License-Identifier: GPL-2.0-only
/* Prints how the init understands a command line given as its argument; run by tests/unit/probe. */
#include <arpa/inet.h>
#include <stdio.h>

#include "cmdline.h"

int main(int argc, char **argv)
{
	struct settings settings;
	char wrong[128];

	if (argc != 2)
		return 2;
	if (!cmdline_parse(argv[1], &settings, wrong)) {
		printf("wrong %s\n", wrong);
		return 1;
	}
	printf("name %s\nip %s\naddress %08x\nnetmask %08x\ninterval_ms %s\nrole %s\nroot %s\nwatch %s\n", settings.name,
	       settings.ip, ntohl(settings.address), ntohl(settings.netmask), settings.interval_ms, settings.role,
	       settings.root, settings.watch);
	return 0;
}
