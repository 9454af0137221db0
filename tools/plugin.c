/* SPDX-License-Identifier: BSD-2-Clause */
/* plugin.c - see plugin.h. */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "plugin.h"

#define PREFIX "tarn-"

/* A verb is a word, never a path. */
static bool is_verb(const char *text)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz0123456789-";

	return *text != '\0' && *text != '-' && strlen(text) < 64 &&
	       strspn(text, letters) == strlen(text);
}

/* execvp() fails with EACCES, too, where there is no such file but a folder that cannot be looked
 * into. */
static bool is_there(const char *name)
{
	const char *path = getenv("PATH");
	char *dirs = strdup(path != NULL ? path : ""), *rest = dirs, *dir, file[PATH_MAX];
	bool found = false;

	while (!found && (dir = strsep(&rest, ":")) != NULL)
		found = snprintf(file, sizeof(file), "%s/%s", dir, name) < (int)sizeof(file) &&
			access(file, F_OK) == 0;
	free(dirs);
	return found;
}

void plugin_run(const char *verb, char **argv)
{
	char name[80];

	if (!is_verb(verb))
		return;
	snprintf(name, sizeof(name), PREFIX "%s", verb);
	argv[0] = name;
	signal(SIGPIPE, SIG_DFL);
	execvp(name, argv);
	int error = errno;

	if (error != ENOENT && (error != EACCES || is_there(name))) {
		cli_error(NULL, "%s: %s", name, strerror(error));
		exit(CLI_FAILURE);
	}
	signal(SIGPIPE, SIG_IGN);
	argv[0] = (char *)verb;
}

static void scan(const char *dir, void (*fn)(const char *verb, void *arg), void *arg)
{
	DIR *entries = opendir(dir);
	struct dirent *entry;
	char path[PATH_MAX];

	while (entries != NULL && (entry = readdir(entries)) != NULL) {
		const char *verb = entry->d_name + strlen(PREFIX);

		if (strncmp(entry->d_name, PREFIX, strlen(PREFIX)) != 0 || !is_verb(verb))
			continue;
		if (snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name) < (int)sizeof(path) &&
		    access(path, X_OK) == 0)
			fn(verb, arg);
	}
	if (entries != NULL)
		closedir(entries);
}

void plugin_each(void (*fn)(const char *verb, void *arg), void *arg)
{
	const char *path = getenv("PATH");
	char *dirs = path != NULL ? strdup(path) : NULL;
	char *rest = dirs;

	for (char *dir; (dir = strsep(&rest, ":")) != NULL;) {
		if (*dir != '\0')
			scan(dir, fn, arg);
	}
	free(dirs);
}
