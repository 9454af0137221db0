/* SPDX-License-Identifier: BSD-2-Clause */
/* file.c - a program that knows open() and mmap(). See plain.h. */
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "plain.h"

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;

	int make = strcmp(argv[1], "make") == 0;
	int fd = open(argv[2], make ? O_RDWR | O_CREAT | O_EXCL : O_RDWR, 0600);

	if (fd < 0)
		return complain("open");
	if (make && ftruncate(fd, SIZE) < 0)
		return complain("ftruncate");

	char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return complain("mmap");
	if (strcmp(argv[1], "drop") == 0 && unlink(argv[2]) < 0)
		return complain("unlink");
	return act(argv[1], memory);
}
