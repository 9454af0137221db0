/* SPDX-License-Identifier: BSD-2-Clause */
/* base.c - the version string. See <tarn/base.h>. */
#include <tarn/base.h>

const char *tarn_version(void)
{
	return TARN_VERSION;
}
