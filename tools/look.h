/* SPDX-License-Identifier: BSD-2-Clause */
/* look.h - look at regions from outside: who is in them, and what may be said of them. */
#ifndef TARN_TOOLS_LOOK_H
#define TARN_TOOLS_LOOK_H

#include <stdbool.h>
#include <stdint.h>

#include <tarn/region.h>

#include "cli.h"

/* The options with which verbs that look open: as an observer, and of any mode unless --mode
 * says which. False, with a message: the command line is wrong. */
bool look_opts(struct cli *cli, struct tarn_region_opts *ret_opts);

/* cli_fail() for a region that could not be opened: one that is not there is answered with the
 * region whose name is nearest. */
int look_fail(struct cli *cli, const char *name, int error);

/* REGION/OBJECT taken apart. In file:PATH and sysv:PATH,ID an object can only follow what is a
 * regular file, since nothing else can stand below one. */
struct look_name {
	char region[4200];
	const char *object; /* NULL = the region itself */
};
bool look_name(const char *text, struct look_name *ret_name); /* false: too long */

/* Who is in a region. */
struct look_members {
	uint32_t alive, dead;
	char who[160]; /* "pid 17 (dd), pid 19 (tarn)" */
};
int look_members(struct tarn_region *region, struct look_members *ret_members);

const char *look_kind(uint32_t kind); /* enum tarn_object_kind */
/* Is who locks one told -EOWNERDEAD while nobody has said that it is consistent? */
bool look_tells_deaths(uint32_t kind);

/* "no live member: the kernel holds no lock on slots 0-255" */
const char *look_proof(const struct tarn_region_stat *stat, char buf[120]);

/* Look through the eyes of verb @cmd: what it would print of @argv goes to *@ret_rows, which are
 * freed before, its last list if there are several. Its messages are told as those of @cli's verb.
 * @option: NULL, or one that it is given. Returns its exit code. */
struct rows;
int look_through(const struct cli *cli, const struct cli_cmd *cmd, const char *option, int argc,
		 char **argv, struct rows **ret_rows);
/* What cli.h's take is then; @arg: the struct rows **. */
void look_take(struct rows *rows, void *arg);

#endif /* TARN_TOOLS_LOOK_H */
