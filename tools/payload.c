/* SPDX-License-Identifier: BSD-2-Clause */
/* payload.c - see payload.h. */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "payload.h"
#include "stream.h"

/* --- in ------------------------------------------------------------------------------------ */

int payload_read(struct cli *cli, const char *path, struct payload *ret_payload)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "rb");
	unsigned char *bytes = NULL;
	size_t size = 0, room = 0, got = 1;

	if (file == NULL)
		return cli_fail(cli, path, -errno);
	while (got > 0 && size < UINT32_MAX) {
		if (size == room) {
			unsigned char *grown = realloc(bytes, room * 2 + 65536);

			if (grown == NULL)
				break;
			bytes = grown;
			room = room * 2 + 65536;
		}
		got = fread(bytes + size, 1, room - size, file);
		size += got;
	}
	int error = ferror(file) ? errno : got > 0 ? ENOMEM : 0;

	if (file != stdin)
		fclose(file);
	if (error != 0) {
		free(bytes);
		return cli_error(cli, "%s: it cannot be read: %s", path, strerror(error));
	}
	*ret_payload = (struct payload){ bytes, size };
	return CLI_OK;
}

static int digit_of(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

bool payload_from_hex(const char *text, size_t size, unsigned char *to, size_t *ret_size)
{
	if (size % 2 != 0)
		return false;
	for (size_t i = 0; i < size; i += 2) {
		int high = digit_of(text[i]), low = digit_of(text[i + 1]);

		if (high < 0 || low < 0)
			return false;
		to[i / 2] = (unsigned char)(high << 4 | low);
	}
	*ret_size = size / 2;
	return true;
}

/* --- out ----------------------------------------------------------------------------------- */

static bool is_control(unsigned char c)
{
	return (c < 0x20 && c != '\t') || c == 0x7f;
}

void payload_put_text(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		if (is_control(bytes[i]))
			printf("\\x%02x", bytes[i]);
		else
			putchar(bytes[i]);
	}
}

void payload_put_hex(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		printf("%02x", bytes[i]);
}

bool payload_printable(const unsigned char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++)
		if (is_control(bytes[i]))
			return false;
	return true;
}

char *payload_hex(const unsigned char *bytes, size_t size)
{
	char *text = malloc(size * 2 + 1);

	for (size_t i = 0; text != NULL && i < size; i++)
		snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	if (text != NULL)
		text[size * 2] = '\0';
	return text;
}

/* --- pace ---------------------------------------------------------------------------------- */

bool pace_take(struct cli *cli, struct pace *ret_pace)
{
	const char *rate = cli_value(cli, "rate");
	char *end = NULL;
	double hz = rate != NULL ? strtod(rate, &end) : 0;

	if (rate != NULL && (*end != '\0' || !(hz >= 1e-3) || hz > 1e9)) {
		cli_usage(cli, "'%s' is no value for --rate: 0.001 to 1000000000", rate);
		return false;
	}
	*ret_pace = (struct pace){ .step_ns = rate != NULL ? (int64_t)(1e9 / hz) : 0 };
	return true;
}

void pace_begin(struct pace *pace)
{
	pace->next_ns = tarn_now();
}

void pace_keep(struct pace *pace)
{
	if (pace->step_ns == 0)
		return;
	while (stream_signal() == 0) {
		int64_t left = pace->next_ns - tarn_now();
		struct timespec nap = { .tv_sec = left / 1000000000, .tv_nsec = left % 1000000000 };

		if (left <= 0)
			break;
		nanosleep(&nap, NULL);
	}
	pace->next_ns += pace->step_ns;
}
