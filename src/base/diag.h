/* SPDX-License-Identifier: BSD-2-Clause */
/* diag.h - write a struct tarn_diag, if the caller gave one. */
#ifndef TARN_BASE_DIAG_H
#define TARN_BASE_DIAG_H

#include <tarn/base.h>

/* Set what went wrong, as printf; clears the hint. Returns @error, so that
 * `return tarn__diag(diag, -EINVAL, "...")` reads well. */
int tarn__diag(struct tarn_diag *diag, int error, const char *what, ...)
	__attribute__((format(printf, 3, 4)));

/* Set what mends it. */
void tarn__diag_hint(struct tarn_diag *diag, const char *hint, ...)
	__attribute__((format(printf, 2, 3)));

/* At the end of a call that tried more than one way: if @error is one, give @words to @diag, or the
 * name of the error where there are none. Returns @error. */
int tarn__diag_pass(struct tarn_diag *diag, const struct tarn_diag *words, int error);

/* "64 MiB", "1.5 GiB", "700 bytes": sizes for the eye. */
const char *tarn__size_text(uint64_t size, char buf[24]);

#endif /* TARN_BASE_DIAG_H */
