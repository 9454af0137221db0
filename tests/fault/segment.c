/* SPDX-License-Identifier: BSD-2-Clause */
/* segment.c - every call on segments, with each call of plat failing in turn. See fault.h. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <tarn/segment.h>

#include "fault.h"

enum { SIZE = 16384, MAX = 65536 };

static struct tarn_segment *seg;  /* what run() made */
static struct tarn_segment *kept; /* what setup() made, for calls on an open segment */
static struct tarn_segment *const untouched = (struct tarn_segment *)(uintptr_t)16;
static uint32_t kept_flags; /* as it was made */
static int pair[2];

/* --- addresses ----------------------------------------------------------------------------- */

static const char *posix_addr(void)
{
	static char addr[80];

	snprintf(addr, sizeof(addr), "%sposix", harness_prefix());
	return addr;
}

static const char *file_addr(void)
{
	static char addr[80];

	snprintf(addr, sizeof(addr), "file:/dev/shm/%sfile", harness_prefix());
	return addr;
}

static const char *sysv_addr(void)
{
	static char addr[40];

	snprintf(addr, sizeof(addr), "sysv:0x%x", (unsigned)fault_key());
	return addr;
}

/* --- run: create and open ------------------------------------------------------------------ */

/* The result of a call that gives a handle; checks the promises about failure. */
static int handed(int r, const struct tarn_diag *diag, struct harness_report *report)
{
	if (r < 0 && seg != untouched)
		return harness_say(report, FAULT_BROKEN, "it failed, and the handle was touched");
	if (r < 0 && diag->what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	if (r == 0 && (seg == untouched || tarn_segment_data(seg) == NULL))
		return harness_say(report, FAULT_BROKEN, "success without a segment");
	if (r == 0)
		memset(tarn_segment_data(seg), 1, SIZE); /* reserved: this must not fault */
	return r;
}

static int create(const char *addr, uint64_t max, uint32_t flags, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_segment_opts opts = {
		.size = SIZE, .max_size = max, .flags = flags, .diag = &diag
	};

	seg = untouched;
	return handed(tarn_segment_create(addr, &opts, &seg), &diag, report);
}

static int open_at(const char *addr, uint32_t flags, struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_segment_opts opts = { .size = SIZE, .flags = flags, .diag = &diag };

	seg = untouched;
	return handed(tarn_segment_open(addr, &opts, &seg), &diag, report);
}

static int create_posix(struct harness_report *report)
{
	return create(posix_addr(), MAX, 0, report);
}

static int create_dressed(struct harness_report *report)
{
	return create(posix_addr(), MAX,
		      TARN_SEGMENT_POPULATE | TARN_SEGMENT_LOCK | TARN_SEGMENT_NO_FORK, report);
}

static int create_lazy(struct harness_report *report)
{
	return create(posix_addr(), MAX, TARN_SEGMENT_LAZY, report);
}

static int create_file(struct harness_report *report)
{
	return create(file_addr(), MAX, 0, report);
}

static int create_sysv(struct harness_report *report)
{
	return create(sysv_addr(), 0, 0, report);
}

static int create_private(struct harness_report *report)
{
	return create("sysv:private", 0, 0, report);
}

static int create_memfd(struct harness_report *report)
{
	return create("memfd:fault", MAX, 0, report);
}

static int create_sealed(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_segment_opts opts = { .size = SIZE,
						.seals = F_SEAL_SHRINK | F_SEAL_GROW,
						.diag = &diag };

	seg = untouched;
	return handed(tarn_segment_create("memfd:fault", &opts, &seg), &diag, report);
}

static int create_anon(struct harness_report *report)
{
	return create("anon:", 0, 0, report);
}

static int open_posix(struct harness_report *report)
{
	return open_at(posix_addr(), 0, report);
}

static int open_file(struct harness_report *report)
{
	return open_at(file_addr(), 0, report);
}

static int open_sysv(struct harness_report *report)
{
	return open_at(sysv_addr(), 0, report);
}

static int open_fd(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	const struct tarn_segment_opts opts = { .diag = &diag };

	seg = untouched;
	return handed(tarn_segment_open_fd(tarn_segment_fd(kept), &opts, &seg), &diag, report);
}

static int send_and_receive(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "nothing was sent" };
	const struct tarn_segment_opts opts = { .diag = &diag };
	int r = tarn_segment_send(pair[0], kept, false);
	char byte[8];

	seg = untouched;
	if (r == 0)
		r = handed(tarn_segment_recv(pair[1], &opts, &seg, NULL), &diag, report);
	if (r < 0)
		while (recv(pair[1], byte, sizeof(byte), MSG_DONTWAIT) > 0)
			; /* what was sent and not taken */
	return r;
}

/* --- run: calls on an open segment --------------------------------------------------------- */

static int grow(struct harness_report *report)
{
	struct tarn_diag diag = { .what = "" };
	uint64_t before = tarn_segment_size(kept);
	int r = tarn_segment_grow(kept, MAX, &diag);

	if (r < 0 && diag.what[0] == '\0')
		return harness_say(report, FAULT_BROKEN, "error %d without a word", r);
	tarn__plat_fault = NULL; /* to look, and to touch */
	if (r == 0 && tarn_segment_size(kept) != MAX)
		return harness_say(report, FAULT_BROKEN, "success, and it has not grown");
	if (r < 0 && tarn_segment_size(kept) != before)
		return harness_say(report, FAULT_BROKEN, "it failed, and has grown");
	if (r == 0)
		memset(tarn_segment_data(kept), 2, MAX);
	return r;
}

/* Memory that is taken cannot be given back where a peer may use it already: it has grown even if
 * it could not be locked then, and the next call locks it. */
static int grow_locked(struct harness_report *report)
{
	struct harness_holdings held;
	int r = tarn_segment_grow(kept, MAX, NULL);

	if (r < 0)
		return r;
	tarn__plat_fault = NULL;
	harness_holdings(fault_key(), &held);
	if (tarn_segment_size(kept) != MAX ||
	    (!harness_sanitized() && held.locked_kib * 1024 < MAX))
		return harness_say(report, FAULT_BROKEN, "success, and only %d KiB are locked",
				   (int)held.locked_kib);
	return 0;
}

static int change_mode(struct harness_report *report)
{
	(void)report;
	return tarn_segment_chmod(kept, 0600, UINT32_MAX, UINT32_MAX);
}

static int dress(struct harness_report *report)
{
	int r = tarn_segment_lock(kept, 0, 0, NULL);

	(void)report;
	if (r < 0)
		return r;
	r = tarn_segment_advise(kept, 0, 0, TARN_ADVICE_WILLNEED);
	if (r == 0)
		r = tarn_segment_sync(kept, 0, 0, TARN_SYNC_WAIT);
	if (r == 0)
		r = tarn_segment_protect(kept, 0, 0, true);
	tarn__plat_fault = NULL;
	if (tarn_segment_unlock(kept, 0, 0) < 0)
		return harness_say(report, FAULT_BROKEN, "it cannot be unlocked");
	return r;
}

static int look(struct harness_report *report)
{
	struct tarn_segment_stat st = { .mode = 0123456 };
	int r = tarn_segment_stat(kept, &st);

	if (r < 0 && st.mode != 0123456)
		return harness_say(report, FAULT_BROKEN, "it failed, and the output was touched");
	return r;
}

static int remove_posix(struct harness_report *report)
{
	(void)report;
	return tarn_segment_remove(posix_addr(), NULL);
}

static int remove_sysv(struct harness_report *report)
{
	(void)report;
	return tarn_segment_remove(sysv_addr(), NULL);
}

/* --- before and after ---------------------------------------------------------------------- */

static int keep(const char *addr, struct harness_report *report)
{
	const struct tarn_segment_opts opts = { .size = SIZE,
						.max_size =
							strncmp(addr, "sysv", 4) == 0 ? 0 : MAX };
	int r = tarn_segment_create(addr, &opts, &kept);

	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

static int keep_posix(struct harness_report *report)
{
	return keep(posix_addr(), report);
}

static int keep_locked(struct harness_report *report)
{
	const struct tarn_segment_opts opts = {
		.size = SIZE,
		.max_size = MAX,
		.flags = kept_flags = TARN_SEGMENT_LOCK | TARN_SEGMENT_POPULATE,
	};
	int r = tarn_segment_create(posix_addr(), &opts, &kept);

	return r == 0 ? 0 : harness_say(report, -1, "setup: %s", strerror(-r));
}

static int keep_file(struct harness_report *report)
{
	return keep(file_addr(), report);
}

static int keep_sysv(struct harness_report *report)
{
	return keep(sysv_addr(), report);
}

static int keep_memfd(struct harness_report *report)
{
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return harness_say(report, -1, "socketpair: %s", strerror(errno));
	return keep("memfd:fault", report);
}

static void undo_open(void)
{
	tarn_segment_close(seg);
}

/* Close and remove, which must leave nothing behind whatever was made. */
static void undo_create(void)
{
	const char *addrs[] = { posix_addr(), file_addr(), sysv_addr() };
	struct tarn_segment_stat st;
	char addr[40];

	if (tarn_segment_stat(seg, &st) == 0 && st.id >= 0 && st.key == 0) {
		snprintf(addr, sizeof(addr), "sysv:#%d", st.id);
		(void)!tarn_segment_remove(addr, NULL);
	}
	tarn_segment_close(seg);
	for (int i = 0; i < 3; i++)
		(void)!tarn_segment_remove(addrs[i], NULL);
}

/* The next run grows it again. */
static void undo_grow(void)
{
	const struct tarn_segment_opts opts = { .max_size = MAX, .flags = kept_flags };

	if (ftruncate(tarn_segment_fd(kept), SIZE) < 0)
		abort();
	tarn_segment_close(kept);
	if (tarn_segment_open(posix_addr(), &opts, &kept) < 0)
		abort();
}

static void undo_remove_posix(void)
{
	struct tarn_segment *again;
	const struct tarn_segment_opts opts = { .size = SIZE };

	if (tarn_segment_create(posix_addr(), &opts, &again) < 0)
		abort();
	tarn_segment_close(again);
}

static void undo_remove_sysv(void)
{
	struct tarn_segment *again;
	const struct tarn_segment_opts opts = { .size = SIZE };

	if (tarn_segment_create(sysv_addr(), &opts, &again) < 0)
		abort();
	tarn_segment_close(again);
}

/* --- the table ----------------------------------------------------------------------------- */

/* clang-format off */
static const struct fault_case cases[] = {
	{ .name = "create_posix", .run = create_posix, .undo = undo_create },
	{ .name = "create_populated_and_locked", .run = create_dressed, .undo = undo_create },
	{ .name = "create_lazy", .run = create_lazy, .undo = undo_create },
	{ .name = "create_file", .run = create_file, .undo = undo_create },
	{ .name = "create_sysv", .run = create_sysv, .undo = undo_create },
	{ .name = "create_sysv_private", .run = create_private, .undo = undo_create },
	{ .name = "create_memfd", .run = create_memfd, .undo = undo_create },
	{ .name = "create_memfd_sealed", .run = create_sealed, .undo = undo_create },
	{ .name = "create_anon", .run = create_anon, .undo = undo_create },
	{ .name = "open_posix", .setup = keep_posix, .run = open_posix, .undo = undo_open },
	{ .name = "open_file", .setup = keep_file, .run = open_file, .undo = undo_open },
	{ .name = "open_sysv", .setup = keep_sysv, .run = open_sysv, .undo = undo_open },
	{ .name = "open_fd", .setup = keep_memfd, .run = open_fd, .undo = undo_open },
	{ .name = "send_and_receive", .setup = keep_memfd, .run = send_and_receive,
	  .undo = undo_open },
	{ .name = "grow", .setup = keep_posix, .run = grow, .undo = undo_grow },
	{ .name = "grow_locked", .setup = keep_locked, .run = grow_locked,
	  .undo = undo_grow },
	{ .name = "chmod", .setup = keep_posix, .run = change_mode },
	{ .name = "lock_advise_sync_protect", .setup = keep_posix, .run = dress },
	{ .name = "stat_posix", .setup = keep_posix, .run = look },
	{ .name = "stat_sysv", .setup = keep_sysv, .run = look },
	{ .name = "remove_posix", .setup = keep_posix, .run = remove_posix,
	  .undo = undo_remove_posix },
	{ .name = "remove_sysv", .setup = keep_sysv, .run = remove_sysv,
	  .undo = undo_remove_sysv },
};
/* clang-format on */

int main(int argc, char **argv)
{
	return fault_main(argc, argv, cases, (int)(sizeof(cases) / sizeof(cases[0])));
}
