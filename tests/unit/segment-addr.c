/* SPDX-License-Identifier: BSD-2-Clause */
/* Addresses: what each form means, and that nothing else is taken for one. */
#include <sys/ipc.h>

#include "segment.h"

static struct tarn__addr parsed(const char *text)
{
	struct tarn__addr addr;
	struct tarn_diag diag = { "", "" };

	if (tarn__addr_parse(text, &addr, &diag) < 0)
		fail_msg("%s: %s", text, diag.what);
	return addr;
}

static void refused(const char *text, int error, const char *word)
{
	struct tarn__addr addr;
	struct tarn_diag diag = { "", "" };
	char both[600];
	int r;

	memset(&addr, 0x5a, sizeof(addr));
	r = tarn__addr_parse(text, &addr, &diag);
	snprintf(both, sizeof(both), "%s (%s)", diag.what, diag.hint);
	if (r != error || strstr(both, word) == NULL)
		fail_msg("'%.60s': %d, not %d; %s; not '%s'", text ? text : "NULL", r, error, both,
			 word);
	for (size_t i = 0; i < sizeof(addr); i++)
		assert_int_equal(((unsigned char *)&addr)[i], 0x5a);
}

/* A name of @size bytes. */
static const char *long_name(const char *scheme, size_t size)
{
	static char text[5000];
	size_t used = (size_t)snprintf(text, sizeof(text), "%s", scheme);

	memset(text + used, 'n', size);
	text[used + size] = '\0';
	return text;
}

static void posix_names_are_one_name_in_dev_shm(void **state)
{
	(void)state;
	assert_string_equal(parsed("frames").path, "/dev/shm/frames");
	assert_string_equal(parsed("/frames").path, "/dev/shm/frames");
	assert_string_equal(parsed("shm:frames").path, "/dev/shm/frames");
	assert_string_equal(parsed("shm:/frames").path, "/dev/shm/frames");
	assert_string_equal(parsed("shm:a:b").path, "/dev/shm/a:b");
	assert_string_equal(parsed("...").path, "/dev/shm/...");
	assert_string_equal(parsed("fr\xc3\xa4mes").path, "/dev/shm/fr\xc3\xa4mes");
	assert_int_equal(parsed("frames").kind, TARN_SEGMENT_POSIX);
	assert_int_equal(strlen(parsed(long_name("", 255)).path), 9 + 255);
}

static void names_that_lead_elsewhere_are_refused(void **state)
{
	(void)state;
	refused(NULL, -EINVAL, "no address");
	refused("", -EINVAL, "empty");
	refused("/", -EINVAL, "empty");
	refused("shm:", -EINVAL, "empty");
	refused("shm:/", -EINVAL, "empty");
	refused(".", -EINVAL, "no name");
	refused("..", -EINVAL, "no name");
	refused("shm:/..", -EINVAL, "no name");
	refused("a/b", -EINVAL, "'/' inside");
	refused("../etc/passwd", -EINVAL, "file:PATH");
	refused("//x", -EINVAL, "'/' inside");
	refused("/dev/shm/x", -EINVAL, "'/' inside");
	refused(long_name("", 256), -EINVAL, "256 bytes, at most 255");
	refused(long_name("shm:/", 256), -EINVAL, "256 bytes");
	refused("a\nb", -EINVAL, "control character 0x0a at byte 1");
	refused("\x1b[2J", -EINVAL, "control character 0x1b");
	refused("x\x7f", -EINVAL, "control character 0x7f");
	refused("huge:../x", -EINVAL, "'/' inside");
	refused("huge:", -EINVAL, "empty");
}

static void unknown_kinds_are_refused_with_the_known_ones(void **state)
{
	(void)state;
	refused("posix:x", -EINVAL, "known are shm: sysv: file: huge: memfd: anon:");
	refused("a:b", -EINVAL, "shm:NAME");
	refused(":x", -EINVAL, "known are");
	refused("SHM:x", -EINVAL, "known are");
	refused(long_name("", 4000), -EINVAL, "4000 bytes");
}

static void file_paths_are_taken_as_they_are(void **state)
{
	(void)state;
	assert_string_equal(parsed("file:/tmp/a:b").path, "/tmp/a:b");
	assert_string_equal(parsed("file:x").path, "x");
	assert_string_equal(parsed("file:../x").path, "../x");
	assert_int_equal(parsed("file:x").kind, TARN_SEGMENT_FILE);
	refused("file:", -EINVAL, "empty");
	refused("file:/tmp/", -EINVAL, "names a directory");
	refused("file:a\tb", -EINVAL, "control character 0x09");
	refused(long_name("file:/", 4095), -EINVAL, "4096 bytes, at most 4095");
}

static void system_v_keys_have_four_forms(void **state)
{
	(void)state;
	assert_int_equal(parsed("sysv:0x1F").key, 0x1f);
	assert_int_equal(parsed("sysv:0xffffffff").key, -1);
	assert_int_equal(parsed("sysv:0x1").id, -1);
	assert_int_equal(parsed("sysv:#0").id, 0);
	assert_int_equal(parsed("sysv:#2147483647").id, INT32_MAX);
	assert_int_equal(parsed("sysv:private").key, IPC_PRIVATE);
	assert_int_equal(parsed("sysv:private").kind, TARN_SEGMENT_SYSV);
	refused("sysv:", -EINVAL, "sysv:0xKEY");
	refused("sysv:0x", -EINVAL, "sysv:0xKEY");
	refused("sysv:0x0", -EINVAL, "not 0");
	refused("sysv:0x100000000", -EINVAL, "sysv:0xKEY");
	refused("sysv:0x12 ", -EINVAL, "sysv:0xKEY");
	refused("sysv:12", -EINVAL, "sysv:0xKEY");
	refused("sysv:#", -EINVAL, "sysv:#SHMID");
	refused("sysv:#-1", -EINVAL, "sysv:#SHMID");
	refused("sysv:#2147483648", -EINVAL, "sysv:#SHMID");
	refused("sysv:#18446744073709551617", -EINVAL, "sysv:#SHMID");
}

static void system_v_path_keys_are_those_of_ftok(void **state)
{
	(void)state;
	assert_int_equal(parsed("sysv:/tmp,7").key, ftok("/tmp", 7));
	assert_int_equal(parsed("sysv:/tmp,0x41").key, ftok("/tmp", 'A'));
	assert_int_equal(parsed("sysv:/tmp,A").key, ftok("/tmp", 'A'));
	assert_int_equal(parsed("sysv:/tmp,255").key, ftok("/tmp", 255));
	refused("sysv:/tmp,0", -EINVAL, "1 to 255");
	refused("sysv:/tmp,256", -EINVAL, "1 to 255");
	refused("sysv:/tmp,", -EINVAL, "1 to 255");
	refused("sysv:/tmp,AB", -EINVAL, "1 to 255");
	refused("sysv:,1", -EINVAL, "empty");
	refused("sysv:/nowhere/at/all,1", -ENOENT, "/nowhere/at/all");
}

static void memfds_have_a_name_or_a_process_and_descriptor(void **state)
{
	(void)state;
	assert_string_equal(parsed("memfd:pool").path, "pool");
	assert_int_equal(parsed("memfd:pool").pid, 0);
	assert_int_equal(parsed("memfd:12:7").pid, 12);
	assert_int_equal(parsed("memfd:12:7").id, 7);
	assert_string_equal(parsed("memfd:12:x").path, "12:x");
	refused("memfd:", -EINVAL, "empty");
	refused(long_name("memfd:", 250), -EINVAL, "at most 249");
	assert_int_equal(parsed("anon:").kind, TARN_SEGMENT_ANON);
	refused("anon:x", -EINVAL, "takes no name");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(posix_names_are_one_name_in_dev_shm),
		cmocka_unit_test(names_that_lead_elsewhere_are_refused),
		cmocka_unit_test(unknown_kinds_are_refused_with_the_known_ones),
		cmocka_unit_test(file_paths_are_taken_as_they_are),
		cmocka_unit_test(system_v_keys_have_four_forms),
		cmocka_unit_test(system_v_path_keys_are_those_of_ftok),
		cmocka_unit_test(memfds_have_a_name_or_a_process_and_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
