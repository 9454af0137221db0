/* SPDX-License-Identifier: BSD-2-Clause */
/* diag.c - the words that go with an error. See diag.h. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/diag.h"

int tarn__diag(struct tarn_diag *diag, int error, const char *what, ...)
{
	if (diag == NULL)
		return error;

	va_list ap;

	va_start(ap, what);
	vsnprintf(diag->what, sizeof(diag->what), what, ap);
	va_end(ap);
	diag->hint[0] = '\0';
	return error;
}

void tarn__diag_hint(struct tarn_diag *diag, const char *hint, ...)
{
	if (diag == NULL)
		return;

	va_list ap;

	va_start(ap, hint);
	vsnprintf(diag->hint, sizeof(diag->hint), hint, ap);
	va_end(ap);
}

int tarn__diag_pass(struct tarn_diag *diag, const struct tarn_diag *words, int error)
{
	if (error >= 0 || diag == NULL)
		return error;
	if (words->what[0] == '\0')
		return tarn__diag(diag, error, "%s", strerror(-error));
	*diag = *words;
	return error;
}

const char *tarn__size_text(uint64_t size, char buf[24])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	unsigned unit = 0;
	uint64_t whole = size;
	uint64_t rest = 0; /* of the last division, in 1024ths */

	while (whole >= 1024 && unit < 6) {
		rest = whole % 1024;
		whole /= 1024;
		unit++;
	}
	if (rest * 10 / 1024 != 0)
		snprintf(buf, 24, "%u.%u %s", (unsigned)whole, (unsigned)(rest * 10 / 1024),
			 units[unit]);
	else
		snprintf(buf, 24, "%u %s", (unsigned)whole, units[unit]);
	return buf;
}
