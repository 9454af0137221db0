/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/base.h - what every other header needs: export marks, the version, deadlines, and
 * the text that goes with an error.
 *
 * Callers:   any thread of any process.
 * Progress:  everything here is wait-free.
 * Crash:     nothing here touches shared memory.
 * Trust:     nothing here reads what a peer can write.
 */
#ifndef TARN_BASE_H
#define TARN_BASE_H

#include <stddef.h>
#include <stdint.h>

#define TARN_API       __attribute__((visibility("default")))
#define TARN_NODISCARD __attribute__((warn_unused_result))

#ifdef __cplusplus
#define TARN_BEGIN_DECLS extern "C" {
#define TARN_END_DECLS   }
#else
#define TARN_BEGIN_DECLS
#define TARN_END_DECLS
#endif

TARN_BEGIN_DECLS

#define TARN_VERSION_MAJOR 0
#define TARN_VERSION_MINOR 1
#define TARN_VERSION_PATCH 0
#define TARN_VERSION       "0.1.0"

/*
 * A deadline is a point in time: nanoseconds of CLOCK_MONOTONIC. One already past makes a
 * call try once and return -ETIMEDOUT.
 */
#define TARN_FOREVER INT64_MAX

/*
 * What went wrong, in words. Calls that can fail for a reason that a number does not tell
 * take a pointer to one of these; NULL where the caller does not want to know. It is written
 * on failure only, and always ends in NUL.
 */
struct tarn_diag {
	char what[256]; /* what was wanted and what was found, without a full stop */
	char hint[256]; /* the command or change that mends it; empty where there is none */
};

/** tarn_version - the version of the library that is running, "MAJOR.MINOR.PATCH". Since: 0.1 */
TARN_API const char *tarn_version(void);

/** tarn_now - nanoseconds of CLOCK_MONOTONIC. Since: 0.1 */
TARN_API int64_t tarn_now(void);

/**
 * tarn_deadline_after - the deadline @wait_ns from now.
 * @wait_ns: 0 and less mean now; what would overflow means TARN_FOREVER
 * Since: 0.1
 */
TARN_API int64_t tarn_deadline_after(int64_t wait_ns);

TARN_END_DECLS

#endif /* TARN_BASE_H */
