/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * version - a counter in a file that survives restarts, and death at any instruction.
 *
 *     version PATH            one more
 *     version PATH for-ever   again and again, to be killed
 *
 * The first prints, one more each time:
 *
 *     Version: 7
 *     Data: Updated as version 7
 *
 * Number and text change together, or not at all: whoever opens the file next undoes what a killed
 * process had begun. In a plain mapped file the process that dies between the two stores leaves a
 * number without its text. tarn_segment_sync() is msync(): when it has returned, the file's pages
 * are on the disk. While the machine stays up nothing depends on it. If the power fails in the
 * middle of a change, some pages may have reached the disk and others not; sections do not mend
 * that.
 */
#include <stdio.h>
#include <string.h>

#include <tarn/tarn.h>

#define RECORD(ROW)                                                                                \
	ROW(VALUE, uint64_t, version, "", "updates so far")                                        \
	ROW(TEXT, data, 64, "what the last of them wrote")
TARN_TYPE(record, 1, RECORD);

static int update(struct tarn_section *section, struct record *record)
{
	struct tarn_tx *tx;
	char data[sizeof(record->data)] = "";
	int r = tarn_section_enter(section, TARN_FOREVER, &tx, NULL);

	if (r < 0)
		return r;
	TARN_SET(tx, &record->version, record->version + 1);
	snprintf(data, sizeof(data), "Updated as version %llu",
		 (unsigned long long)record->version);
	TARN_SET_TEXT(tx, record->data, data);
	return tarn_section_leave(section);
}

static int show(struct tarn_section *section, const struct record *record)
{
	struct record copy;
	int r = tarn_section_read(section, &copy, record, sizeof(copy), TARN_FOREVER);

	if (r == 0)
		printf("Version: %llu\nData: %.64s\n", (unsigned long long)copy.version, copy.data);
	return r;
}

int main(int argc, char **argv)
{
	bool for_ever = argc == 3 && strcmp(argv[2], "for-ever") == 0;
	struct tarn_diag diag = { "", "" };
	const struct tarn_region_opts region_opts = { .flags = TARN_REGION_CREATE, .diag = &diag };
	const struct tarn_section_opts section_opts = { .diag = &diag };
	const struct tarn_struct_opts opts = { .section = TARN_SECTION_REGION, .diag = &diag };
	struct tarn_region *region = NULL;
	struct tarn_section *section = NULL;
	char addr[512];
	void *record = NULL;

	if (argc != 2 && !for_ever)
		return fprintf(stderr, "usage: version PATH [for-ever]\n"), 2;
	snprintf(addr, sizeof(addr), "file:%s", argv[1]);
	int r = tarn_region_open(addr, &region_opts, &region);

	if (r == 0)
		r = tarn_section_open(region, NULL, &section_opts, &section);
	if (r == 0)
		r = tarn_struct_open(region, "record", record_type(), &opts, &record);
	do {
		if (r == 0)
			r = update(section, record);
	} while (r == 0 && for_ever);
	if (r == 0)
		r = tarn_segment_sync(tarn_region_segment(region), 0, 0, TARN_SYNC_WAIT);
	if (r == 0)
		r = show(section, record);
	if (r < 0)
		fprintf(stderr, "version: %s: %s %s\n", argv[1], strerror(-r), diag.what);
	tarn_struct_close(region, record);
	tarn_section_close(section);
	tarn_region_close(region);
	return r < 0;
}
