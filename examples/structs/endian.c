/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * endian - byte order: what plain shared memory does, and what a region does.
 *
 *     endian PATH         of a file that is made for it
 *
 * prints, on a machine that stores the low byte first:
 *
 *     0x01020304 lies in memory as 04 03 02 01
 *     htole32(0x01020304) lies in memory as 04 03 02 01
 *     read on a machine of the other order, without le32toh: 0x04030201
 *     a region of the other order: Protocol error: ...
 *
 * Processes of one host have one byte order, so what is shared among them needs no conversion; but
 * a file, or a copy of a segment, can come to another machine. There are two ways out. Plain: agree
 * on one order, and convert each field at each access (htole32, le32toh); forget one, and nobody
 * notices until then. Tarn: fields have fixed widths, are of the creator's order and cost nothing,
 * and the order is written down once; a machine of the other one is refused before it reads a
 * number. Word size and alignment do not differ: 32- and 64-bit programs share one region.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <tarn/tarn.h>

enum { ORDER_AT = 8 }; /* the field byte_order of the superblock, see design/format.md */

static void show(const char *what, uint32_t value)
{
	unsigned char b[4];

	memcpy(b, &value, sizeof(b));
	printf("%s lies in memory as %02x %02x %02x %02x\n", what, b[0], b[1], b[2], b[3]);
}

/* As a machine of the other order would have written it. */
static int turn_around(const char *path)
{
	uint32_t order = 0;
	int fd = open(path, O_RDWR | O_CLOEXEC);
	int r = fd < 0 || pread(fd, &order, sizeof(order), ORDER_AT) != sizeof(order);

	order = __builtin_bswap32(order);
	r = r || pwrite(fd, &order, sizeof(order), ORDER_AT) != sizeof(order);
	close(fd);
	return r;
}

int main(int argc, char **argv)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_region_opts opts = { .diag = &diag };
	struct tarn_region *region = NULL;
	char addr[512];

	if (argc != 2)
		return fprintf(stderr, "usage: endian PATH\n"), 2;
	show("0x01020304", 0x01020304);
	show("htole32(0x01020304)", htole32(0x01020304));
	printf("read on a machine of the other order, without le32toh: 0x%08x\n",
	       __builtin_bswap32(0x01020304));

	snprintf(addr, sizeof(addr), "file:%s", argv[1]);
	int r = tarn_region_create(addr, &opts, &region);

	if (r < 0) {
		fprintf(stderr, "endian: %s: %s\n", diag.what, strerror(-r));
		return 1;
	}
	tarn_region_close(region);
	if (turn_around(argv[1]))
		return 1;
	r = tarn_region_open(addr, &opts, &region);
	printf("a region of the other order: %s: %s (%s)\n", strerror(-r), diag.what, diag.hint);
	unlink(argv[1]);
	return r != -EPROTO;
}
