/* SPDX-License-Identifier: BSD-2-Clause */
/* segments.h - what <tarn/host.h> knows, in the words and options that the verbs share. */
#ifndef TARN_TOOLS_SEGMENTS_H
#define TARN_TOOLS_SEGMENTS_H

#include <stdbool.h>
#include <stdint.h>

#include <tarn/host.h>

#include "cli.h"
#include "out.h"

const char *segments_type(uint32_t kind);       /* "posix", "sysv", "memfd" ... */
const char *segments_state(uint32_t state);     /* "live", "idle", "orphan" ... */
const char *segments_content(uint32_t content); /* "region", "semaphore" ...; NULL = not known */

/* Rights of TARN_HOST_READ ..., as /proc/PID/maps has them: "rw-s", "r--p". */
const char *segments_rights(uint32_t rights, char buf[8]);
/* A user's name, or number where there is no name; NULL: not known. Until the next call. */
const char *segments_user(uint32_t uid);
/* F_SEAL_* as words apart by commas; empty = none. */
const char *segments_seals(uint32_t seals, char buf[80]);
/* Permission bits in octal, "0600"; NULL = not known. */
const char *segments_mode(uint32_t mode, char buf[8]);

/* The types of --type: "posix,sysv". Bit n: kind n; besides */
#define SEGMENTS_REGIONS (1u << 31) /* "region": what is Tarn's own, of any kind */
/* False, with a message: one of them is none. Untouched where the option was not given. */
bool segments_types(struct cli *cli, uint32_t *ret_types);
bool segments_type_among(const struct tarn_host_segment *segment, uint32_t types);

/* Exit code and message for a scan that failed. */
int segments_fail(struct cli *cli, const struct tarn_host_opts *opts, int error);
/* The segment that @name means; the address nearest to it is offered where there is none. Returns
 * CLI_OK or an exit code. */
int segments_find(struct cli *cli, struct tarn_host *host, const char *name,
		  const struct tarn_host_segment **ret_segment);
/* "pid 17 (dd), pid 19 (cat) and 2 more"; empty = nobody seen. */
const char *segments_users(const struct tarn_host *host, const struct tarn_host_segment *segment,
			   char buf[160]);
/* Tell @out what of the picture is missing. @buf lives as long as @out. */
void segments_partial(struct out *out, const struct tarn_host *host, char buf[160]);

#endif /* TARN_TOOLS_SEGMENTS_H */
