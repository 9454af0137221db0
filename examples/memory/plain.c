/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * plain - the same as hello.c with the calls of the system, each looked at.
 *
 *     plain write posix /NAME TEXT     shm_open() and mmap()
 *     plain write sysv PATH TEXT       ftok(PATH, 'A'), shmget() and shmat()
 *     plain read posix|sysv ...        prints the text
 *     plain remove posix|sysv ...
 *
 * O_EXCL and IPC_EXCL: without them two programs that use one name by chance share it silently,
 * and a second start takes what the first one left for its own. The mode is 0600, and not 0666.
 * posix_fallocate() and not ftruncate() alone: when /dev/shm is full that is an error here, and
 * not SIGBUS in the middle of a write later. Between shm_open() and posix_fallocate() another
 * process can open a segment of no bytes: Tarn gives it its name when it is complete.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

enum { SIZE = 4096 };

/* The memory, or NULL and errno. */
static char *posix(const char *name, int create)
{
	int fd = shm_open(name, create ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0600);
	void *at;

	if (fd < 0)
		return NULL;
	if (create && (errno = posix_fallocate(fd, 0, SIZE)) != 0) {
		close(fd);
		shm_unlink(name);
		return NULL;
	}
	at = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd); /* the mapping stays */
	return at == MAP_FAILED ? NULL : at;
}

static char *sysv(const char *path, int create, int *ret_id)
{
	key_t key = ftok(path, 'A');
	void *at;

	if (key == -1)
		return NULL;
	*ret_id = shmget(key, SIZE, create ? IPC_CREAT | IPC_EXCL | 0600 : 0);
	if (*ret_id < 0)
		return NULL;
	at = shmat(*ret_id, NULL, 0);
	return at == (void *)-1 ? NULL : at;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		return fprintf(stderr, "usage: plain write|read|remove KIND NAME [TEXT]\n"), 2;
	int writes = argc == 5 && strcmp(argv[1], "write") == 0, id = -1;
	int is_posix = strcmp(argv[2], "posix") == 0;
	char *at = is_posix ? posix(argv[3], writes) : sysv(argv[3], writes, &id);
	int failed = at == NULL;

	if (!failed && writes)
		snprintf(at, SIZE, "%s", argv[4]);
	else if (!failed && strcmp(argv[1], "read") == 0)
		printf("%.*s\n", SIZE, at);
	else if (!failed && strcmp(argv[1], "remove") == 0)
		failed = is_posix ? shm_unlink(argv[3]) : shmctl(id, IPC_RMID, NULL);
	if (failed)
		perror(argv[3]);
	else if (is_posix)
		munmap(at, SIZE);
	else
		shmdt(at);
	return failed;
}
