/* SPDX-License-Identifier: BSD-2-Clause */
/* info_calls.c - who serves and who calls, and what is not answered. See info.h. */

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <tarn/call.h>

#include "info.h"

static const struct out_col party_cols[] = {
	{ "service", "SERVICE", OUT_TEXT, "its name", false },
	{ "role", "ROLE", OUT_TEXT, "server or client", false },
	{ "place", "PLACE", OUT_COUNT, "of servers, or of clients", false },
	{ "pid", "PID", OUT_SIGNED, "its process, in its own PID namespace", false },
	{ "uid", "UID", OUT_COUNT, "its effective user, as it says of itself", false },
	{ "gid", NULL, OUT_COUNT, "its effective group, the same", false },
	{ "command", "COMMAND", OUT_TEXT, "the program's name", false },
	{ "state", "STATE", OUT_TEXT,
	  "alive, or dead: then its callers are told, and its place is for the next one", false },
	{ "peers", "PEERS", OUT_COUNT,
	  "of a server its clients that are alive, of a client the servers that it knows", false },
	{ "requests", "REQUESTS", OUT_COUNT,
	  "that its servers have not taken, or use where they lie; what one has copied, and not "
	  "answered yet, it alone knows",
	  false },
	{ "responses", "ANSWERS", OUT_COUNT, "that their clients have not taken", false },
	{ 0 },
};
const struct out_list info_party_list = { "service_users", party_cols };

struct parties {
	struct info *info;
	const char *service;
};

static int put_party(const struct tarn_call_user *user, void *arg)
{
	const struct parties *parties = arg;
	struct info *info = parties->info;
	struct out *out = &info->out;
	char comm[INFO_COMM];

	info_comm(info, user->slot, comm);
	out_row(out);
	out_text(out, "service", parties->service);
	out_text(out, "role", user->role == TARN_CALL_SERVES ? "server" : "client");
	out_number(out, "place", user->place);
	out_number(out, "pid", (uint64_t)(int64_t)user->pid);
	out_number(out, "uid", user->uid);
	out_number(out, "gid", user->gid);
	out_text(out, "command", comm[0] != '\0' ? comm : NULL);
	out_text(out, "state", user->alive ? "alive" : "dead");
	out_number(out, "peers", user->peers);
	out_number(out, "requests", user->requests);
	out_number(out, "responses", user->responses);
	return 0;
}

int info_service(struct info *info, const struct tarn_object_stat *object)
{
	struct parties parties = { info, object->name };

	return tarn_service_users(info->region, object->name, put_party, &parties);
}
