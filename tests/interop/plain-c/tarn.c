/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn.c - the other side: a program that knows <tarn/segment.h>, and runs the plain ones.
 *
 *     tarn POSIX FILE SYSV    the three plain programs
 *
 * Each kind goes both ways: Tarn makes the memory and the plain program finds it, and the other
 * way round; both count in it at once. Prints TAP.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <tarn/segment.h>

#include "plain.h"

extern char **environ;

static int test_count, failure_count;

static void say(bool fine, const char *kind, const char *fact)
{
	printf("%s %d - %s: %s\n", fine ? "ok" : "not ok", ++test_count, kind, fact);
	failure_count += !fine;
}

static pid_t start(char *program, const char *command, char *name)
{
	char *argv[] = { program, (char *)(uintptr_t)command, name, NULL };
	pid_t pid = -1;

	return posix_spawn(&pid, program, NULL, NULL, argv, environ) == 0 ? pid : -1;
}

static bool finish(pid_t pid)
{
	int status = -1;

	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

static bool run(char *program, const char *command, char *name)
{
	return finish(start(program, command, name));
}

static bool count_together(char *program, char *name, struct tarn_segment *seg)
{
	_Atomic unsigned *word = (_Atomic unsigned *)((char *)tarn_segment_data(seg) + WORD);
	pid_t pid = start(program, "count", name);

	for (int i = 0; i < ROUNDS; i++)
		atomic_fetch_add(word, 1);
	return finish(pid) && atomic_load(word) == 2u * ROUNDS;
}

static void tarn_makes(const char *kind, char *program, const char *addr, char *name)
{
	struct tarn_segment_opts opts = { .size = SIZE };
	struct tarn_segment *seg = NULL;

	if (tarn_segment_create(addr, &opts, &seg) < 0) {
		say(false, kind, "Tarn makes it");
		return;
	}
	char *memory = tarn_segment_data(seg);

	snprintf(memory, 16, "tarn");
	say(!run(program, "make", name), kind, "a plain program sees that the name is taken");
	say(run(program, "use", name), kind, "a plain program finds what Tarn has written");
	say(strcmp(memory + SECOND, "plain") == 0, kind, "Tarn sees what it wrote");
	say(count_together(program, name, seg), kind, "both count in one word");
	snprintf(memory + SECOND, 16, "tarn");
	say(run(program, "drop", name), kind, "a plain program removes it");
	say(tarn_segment_remove(addr, NULL) == -ENOENT, kind, "Tarn sees that it is gone");
	tarn_segment_close(seg);
}

static void plain_makes(const char *kind, char *program, const char *addr, char *name)
{
	struct tarn_segment_opts opts = { .size = SIZE };
	struct tarn_segment *seg = NULL;

	say(run(program, "make", name), kind, "a plain program makes it");
	say(tarn_segment_create(addr, &opts, &seg) == -EEXIST, kind,
	    "Tarn sees that the name is taken");
	if (tarn_segment_open(addr, &opts, &seg) < 0) {
		say(false, kind, "Tarn opens it");
		return;
	}
	char *memory = tarn_segment_data(seg);

	say(tarn_segment_size(seg) == SIZE && strcmp(memory, "plain") == 0, kind,
	    "Tarn finds what the plain program has written");
	snprintf(memory, 16, "tarn");
	say(run(program, "use", name), kind, "the plain program sees what Tarn wrote");
	say(strcmp(memory + SECOND, "plain") == 0, kind, "and Tarn its answer");
	say(count_together(program, name, seg), kind, "both count in one word");
	say(tarn_segment_remove(addr, NULL) == 0, kind, "Tarn removes it");
	say(!run(program, "use", name), kind, "the plain program sees that it is gone");
	tarn_segment_close(seg);
}

static void both_ways(const char *kind, char *program, const char *addr, char *name)
{
	tarn_makes(kind, program, addr, name);
	plain_makes(kind, program, addr, name);
}

int main(int argc, char **argv)
{
	char addr[128], name[128];
	int pid = (int)getpid();

	if (argc != 4)
		return 2;
	snprintf(addr, sizeof(addr), "shm:/tarn-plain-%d", pid);
	snprintf(name, sizeof(name), "/tarn-plain-%d", pid);
	both_ways("POSIX", argv[1], addr, name);

	snprintf(addr, sizeof(addr), "file:/tmp/tarn-plain-%d", pid);
	snprintf(name, sizeof(name), "/tmp/tarn-plain-%d", pid);
	both_ways("file", argv[2], addr, name);

	snprintf(addr, sizeof(addr), "sysv:0x7b%06x", (unsigned)pid & 0xffffff);
	snprintf(name, sizeof(name), "0x7b%06x", (unsigned)pid & 0xffffff);
	both_ways("System V", argv[3], addr, name);

	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/tmp/tarn-plain-%d", pid);
	fd = open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
	snprintf(addr, sizeof(addr), "sysv:%s,5", path);
	snprintf(name, sizeof(name), "%s,5", path);
	both_ways("ftok", argv[3], addr, name);
	close(fd);
	unlink(path);

	printf("1..%d\n", test_count);
	return failure_count != 0;
}
