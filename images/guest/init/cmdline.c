// SPDX-License-Identifier: GPL-2.0-only
#include "cmdline.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool cmdline_parse_ip(const char *text, uint32_t *address, uint32_t *netmask)
{
	char copy[32], *slash, *end;
	unsigned long prefix;

	if (strlen(text) >= sizeof(copy))
		return false;
	strcpy(copy, text);
	slash = strchr(copy, '/');
	if (!slash)
		return false;
	*slash = '\0';
	prefix = strtoul(slash + 1, &end, 10);
	if (slash[1] < '0' || slash[1] > '9' || *end != '\0' || prefix < 1 || prefix > 32)
		return false;
	*netmask = htonl(UINT32_MAX << (32 - prefix));
	return inet_pton(AF_INET, copy, address) == 1;
}

static bool copy_value(char *to, size_t size, const char *value)
{
	if (*value == '\0' || strlen(value) >= size)
		return false;
	strcpy(to, value);
	return true;
}

static bool parse_ip(struct settings *settings, const char *value)
{
	return copy_value(settings->ip, sizeof(settings->ip), value) &&
	       cmdline_parse_ip(value, &settings->address, &settings->netmask);
}

static bool parse_interval(struct settings *settings, const char *value)
{
	return strspn(value, "0123456789") == strlen(value) &&
	       copy_value(settings->interval_ms, sizeof(settings->interval_ms), value);
}

static bool parse_role(struct settings *settings, const char *value)
{
	return (strcmp(value, "guest") == 0 || strcmp(value, "host") == 0) &&
	       copy_value(settings->role, sizeof(settings->role), value);
}

static bool parse_word(struct settings *settings, const char *word)
{
	const char *value = strchr(word, '=');

	if (strncmp(word, "lab.", 4) != 0 || !value)
		return true;
	value++;
	if (strncmp(word, "lab.name=", 9) == 0)
		return copy_value(settings->name, sizeof(settings->name), value);
	if (strncmp(word, "lab.ip=", 7) == 0)
		return parse_ip(settings, value);
	if (strncmp(word, "lab.interval_ms=", 16) == 0)
		return parse_interval(settings, value);
	if (strncmp(word, "lab.role=", 9) == 0)
		return parse_role(settings, value);
	if (strncmp(word, "lab.watch=", 10) == 0)
		return *value == '/' && copy_value(settings->watch, sizeof(settings->watch), value);
	if (strncmp(word, "lab.root=", 9) == 0)
		return *value == '/' && copy_value(settings->root, sizeof(settings->root), value);
	return false; /* a misspelt word must not go unnoticed */
}

bool cmdline_parse(const char *cmdline, struct settings *settings, char wrong[128])
{
	char *copy = strdup(cmdline), *rest, *word;
	bool good = copy != NULL;

	*settings = (struct settings){ .name = "guest", .interval_ms = "100", .role = "guest", .root = "/dev/vda" };
	wrong[0] = '\0';
	for (word = strtok_r(copy, " \t\n", &rest); good && word; word = strtok_r(NULL, " \t\n", &rest)) {
		good = parse_word(settings, word);
		if (!good)
			snprintf(wrong, 128, "%s", word);
	}
	free(copy);
	return good;
}
