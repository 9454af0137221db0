/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * mismatch - programs that disagree about a struct or its size: refused, and told where.
 *
 *     mismatch
 *
 * prints
 *
 *     shmget of 200 bytes where there are 100: Invalid argument
 *     plain struct, read with its fields in another order: y is 4.94066e-324, not 2.5
 *     tarn segment of 200 bytes where there are 100: ...
 *     tarn struct with its fields in another order: ...
 *     tarn struct of a later version, read by the earlier program: x is 1
 *
 * The kernel knows sizes only, and of pages: mmap() of more than there is works, and reading behind
 * the last page is SIGBUS. Of what the bytes mean nobody knows anything; a magic number and a
 * version have to be kept by hand. A type of Tarn is kept beside the struct and compared by
 * whoever opens it; later versions may add fields at the end, which earlier programs do not see.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/shm.h>
#include <unistd.h>

#include <tarn/tarn.h>

#define DATA(ROW)                                                                                  \
	ROW(VALUE, int32_t, x, "", "")                                                             \
	ROW(VALUE, double, y, "", "")
#define SWAPPED(ROW)                                                                               \
	ROW(VALUE, double, y, "", "")                                                              \
	ROW(VALUE, int32_t, x, "", "")
#define LATER(ROW) DATA(ROW) ROW(VALUE, uint64_t, z, "", "new in version 2")
TARN_TYPE(data, 1, DATA);
TARN_TYPE(swapped, 1, SWAPPED);
TARN_TYPE(later, 2, LATER);

static int plain(void)
{
	key_t key = (key_t)getpid() | 0x5a000000;
	int id = shmget(key, 100, IPC_CREAT | IPC_EXCL | 0600);
	struct data *data = id < 0 ? (void *)-1 : shmat(id, NULL, 0);
	struct swapped wrong;

	if (data == (void *)-1)
		return 1;
	int more = shmget(key, 200, 0);

	printf("shmget of 200 bytes where there are 100: %s\n", strerror(more < 0 ? errno : 0));
	shmctl(id, IPC_RMID, NULL);
	*data = (struct data){ .x = 1, .y = 2.5 };
	memcpy(&wrong, data, sizeof(wrong));
	printf("plain struct, read with its fields in another order: y is %g, not 2.5\n", wrong.y);
	return shmdt(data) < 0 || more >= 0;
}

int main(void)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_segment_opts small = { .size = 100 };
	const struct tarn_segment_opts large = { .size = 200, .diag = &diag };
	const struct tarn_struct_opts opts = { .diag = &diag };
	struct tarn_segment *seg = NULL, *same = NULL;
	struct tarn_region *region = NULL;
	void *made = NULL, *data = NULL;

	if (plain() || tarn_segment_create("memfd:data", &small, &seg) < 0 ||
	    tarn_region_create("anon:", NULL, &region) < 0)
		return 1;
	int r = tarn_segment_open_fd(tarn_segment_fd(seg), &large, &same);

	printf("tarn segment of 200 bytes where there are 100: %s: %s\n", strerror(-r), diag.what);
	if (r != -EMSGSIZE)
		return 1;

	/* What another program would have, which calls its struct data, too. */
	struct tarn_type swapped = *swapped_type(), later = *later_type();

	swapped.name = later.name = "data";
	if (tarn_struct_open(region, "one", data_type(), &opts, &made) < 0)
		return 1;
	r = tarn_struct_open(region, "one", &swapped, NULL, &data);
	if (r != -EPROTO)
		return 1;
	r = tarn_struct_open(region, "one", &swapped, &opts, &data);
	printf("tarn struct with its fields in another order: %s: %s\n", strerror(-r), diag.what);
	if (tarn_struct_open(region, "two", &later, &opts, &made) < 0)
		return 1;
	((struct later *)made)->x = 1;
	if (tarn_struct_open(region, "two", data_type(), &opts, &data) < 0)
		return 1;
	printf("tarn struct of a later version, read by the earlier program: x is %d\n",
	       ((struct data *)data)->x);
	tarn_segment_close(seg);
	return r != -EPROTO;
}
