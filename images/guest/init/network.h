/* SPDX-License-Identifier: GPL-2.0-only */
/* A static address, so that nothing waits for DHCP. */
#ifndef NETWORK_H
#define NETWORK_H

#include <stdint.h>

/* Brings up lo, and eth0 with the address where it is not 0. Both numbers in network byte order. */
void network_up(uint32_t address, uint32_t netmask);

#endif
