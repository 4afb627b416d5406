// SPDX-License-Identifier: GPL-2.0-only
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "fatal.h"

#define INTERFACE_WAIT_MS 5000
#define STEP_MS 10

static struct ifreq request_for(const char *interface)
{
	struct ifreq request = { 0 };

	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	return request;
}

static void set_address(int fd, unsigned long what, const char *interface, uint32_t address)
{
	struct ifreq request = request_for(interface);
	struct sockaddr_in *socket_address = (struct sockaddr_in *)&request.ifr_addr;

	socket_address->sin_family = AF_INET;
	socket_address->sin_addr.s_addr = address;
	if (ioctl(fd, what, &request) != 0)
		fatal(interface);
}

static void bring_up(int fd, const char *interface)
{
	struct ifreq request = request_for(interface);

	if (ioctl(fd, SIOCGIFFLAGS, &request) != 0)
		fatal(interface);
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &request) != 0)
		fatal(interface);
}

static void wait_for(int fd, const char *interface)
{
	for (int waited = 0;; waited += STEP_MS) {
		struct ifreq request = request_for(interface);

		if (ioctl(fd, SIOCGIFINDEX, &request) == 0)
			return;
		if (waited >= INTERFACE_WAIT_MS)
			fatal(interface);
		nanosleep(&(struct timespec){ .tv_nsec = STEP_MS * 1000000 }, NULL);
	}
}

void network_up(uint32_t address, uint32_t netmask)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fatal("network");
	bring_up(fd, "lo");
	if (address != 0) {
		wait_for(fd, "eth0");
		set_address(fd, SIOCSIFADDR, "eth0", address);
		set_address(fd, SIOCSIFNETMASK, "eth0", netmask);
		bring_up(fd, "eth0");
	}
	close(fd);
}
