/* SPDX-License-Identifier: BSD-2-Clause */
/* apart.c - see apart.h. */

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "apart.h"

bool apart_name(const char *text, struct look_name *ret_name)
{
	static const char scheme[] = "unix:";
	const size_t skip = sizeof(scheme) - 1;
	char *slash;

	if (strncmp(text, scheme, skip) != 0 || strlen(text + skip) >= sizeof(ret_name->region))
		return false;
	memcpy(ret_name->region, text + skip, strlen(text + skip) + 1);
	slash = strrchr(ret_name->region, '/');
	if (slash == NULL || slash == ret_name->region || slash[1] == '\0')
		return false;
	*slash = '\0';
	ret_name->object = slash + 1;
	return true;
}

/* A user's or group's id, by its name or as it is. */
static bool find_id(const char *name, bool group, uint32_t *ret_id)
{
	const struct passwd *user = group ? NULL : getpwnam(name);
	const struct group *found = group ? getgrnam(name) : NULL;
	char *end;
	unsigned long id;

	if (user != NULL || found != NULL) {
		*ret_id = group ? found->gr_gid : user->pw_uid;
		return true;
	}
	errno = 0;
	id = strtoul(name, &end, 10);
	*ret_id = (uint32_t)id;
	return name[0] >= '0' && name[0] <= '9' && *end == '\0' && errno == 0 && id < UINT32_MAX;
}

static bool add_peer(struct cli *cli, struct apart *apart, const char *name)
{
	struct tarn_topic_peers *peers = &apart->peers;
	bool group = name[0] == '@';
	uint32_t *count = group ? &peers->group_count : &peers->user_count;
	uint32_t *ids = group ? apart->groups : apart->users;

	if (strcmp(name, "all") == 0) {
		peers->anybody = true;
		return true;
	}
	if (*count == sizeof(apart->users) / sizeof(apart->users[0])) {
		cli_usage(cli, "--peers names more than 64 %s", group ? "groups" : "users");
		return false;
	}
	if (find_id(name + group, group, &ids[*count])) {
		(*count)++;
		return true;
	}
	cli_usage(cli, "'%s' of --peers is no %s: users by name or number, @groups, all", name,
		  group ? "group" : "user");
	return false;
}

bool apart_peers(struct cli *cli, struct apart *apart, struct tarn_topic_opts *opts)
{
	const char *value = cli_value(cli, "peers");
	char *list = value != NULL ? strdup(value) : NULL, *rest = list, *name;
	bool fine = true;

	*apart = (struct apart){ .peers = { .users = apart->users, .groups = apart->groups } };
	while (fine && (name = strsep(&rest, ",")) != NULL)
		fine = add_peer(cli, apart, name);
	free(list);
	opts->peers = &apart->peers;
	return fine;
}
