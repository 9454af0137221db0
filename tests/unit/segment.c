/* SPDX-License-Identifier: BSD-2-Clause */
/* Segments of every kind that a test can make anywhere: the bytes are shared, the sizes true. */
#include "segment.h"

static void every_kind_gives_zeroed_writable_memory(void **state)
{
	static const char *const schemes[] = { "shm:", "file:/tmp/", "memfd:" };

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		const char *addr = i < 3    ? own_name(schemes[i], "kinds")
				   : i == 3 ? "anon:"
					    : "sysv:private";
		struct tarn_segment *seg =
			created(addr, &(struct tarn_segment_opts){ .size = 10000 });
		unsigned char *data = tarn_segment_data(seg);

		assert_int_equal(tarn_segment_size(seg), 10000);
		for (size_t at = 0; at < 10000; at++)
			assert_int_equal(data[at], 0);
		memset(data, 0x5a, 10000);
		assert_int_equal(tarn__segment_unname(seg), i == 2 || i == 3 ? -ENOENT : 0);
		tarn_segment_close(seg);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_gives_zeroed_writable_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
