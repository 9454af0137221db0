/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sysv.c - a program that knows shmget() and shmat(). See plain.h; NAME is a number for a raw key,
 * or PATH,ID for one of ftok().
 */
#include <stdlib.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "plain.h"

static key_t key_of(char *name)
{
	char *comma = strrchr(name, ',');

	if (comma == NULL)
		return (key_t)strtoul(name, NULL, 0);
	*comma = '\0';
	return ftok(name, (int)strtol(comma + 1, NULL, 0));
}

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;

	int make = strcmp(argv[1], "make") == 0;
	int id = shmget(key_of(argv[2]), SIZE, make ? IPC_CREAT | IPC_EXCL | 0600 : 0);

	if (id < 0)
		return complain("shmget");

	char *memory = shmat(id, NULL, 0);

	if (memory == (char *)-1)
		return complain("shmat");
	if (strcmp(argv[1], "drop") == 0 && shmctl(id, IPC_RMID, NULL) < 0)
		return complain("shmctl");
	return act(argv[1], memory);
}
