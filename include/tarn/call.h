/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tarn/call.h - ask and be answered: any number of clients and servers, which come, go and die at
 * any time.
 *
 *     r = tarn_service_open(region, "sums", &opts, &service);
 *     while (tarn_service_take_wait(service, TARN_FOREVER, &request) == 0)
 *             r = tarn_service_respond_wait(service, &request, &sum, sizeof(sum), deadline);
 *
 *     r = tarn_client_open(region, "sums", &opts, &client);
 *     r = tarn_client_call(client, &numbers, sizeof(numbers), &sum, sizeof(sum), deadline, &size);
 *
 * A service is a name for its servers. Each client has two rings with each server, one for requests
 * and one for what is answered, and sends each call to the server that owes it the fewest answers;
 * where several do, they take turns. A request is answered by one response, or by several, the last
 * of which says so, or by an error that the server chooses.
 *
 * A call is sent once. It ends with an answer, or with -EPIPE as soon as its server has died or
 * left: then it was done, or half done, or not at all, and whoever wants it repeated calls again,
 * which goes to another server. An answer belongs to one call of one client: it is never taken for
 * that of another, whoever had the place before, and however late it comes.
 *
 * Callers:   a handle belongs to one thread at a time; each thread that serves has its own. A child
 *            of fork() cannot use its parent's (-EBUSY); it opens its own.
 * Progress:  taking, answering and beginning are wait-free, and make no system call while nobody
 *            sleeps, but where a server or client has come since the last one. The _wait calls,
 *            and tarn_client_call(), spin a little, then sleep.
 * Crash:     a server killed anywhere: its callers are woken by its death, and told -EPIPE. A
 *            client killed anywhere: what it asked and nobody has taken is dropped; who answers it
 *            is told -EPIPE; its place goes to the next client.
 * Memory:    a place of 64 bytes for each of 64 servers and clients; for each server, and each four
 *            places of clients of which one has called it, four times both rings and 2.5 KiB. It
 *            stays for those who come next, and goes with the service.
 * Trust:     members may write what they like: then calls fail with -EUCLEAN, or are answered
 *            wrongly, and nothing is read or written outside of the objects. What is seen in place
 *            may change under the eyes of who reads it.
 */
#ifndef TARN_CALL_H
#define TARN_CALL_H

#include <stdbool.h>
#include <stddef.h>

#include <tarn/base.h>

TARN_BEGIN_DECLS

struct tarn_region;  /* <tarn/region.h> */
struct tarn_service; /* this process's handles: of a server */
struct tarn_client;

#define TARN_SERVICE_NAME_MAX    55  /* bytes: those of its rings are longer */
#define TARN_SERVICE_SERVERS_MAX 64u /* at a time */
#define TARN_SERVICE_CLIENTS_MAX 1000u
#define TARN_CLIENT_CALLS_MAX    256u /* of one client that are not answered, at a time */

/* tarn_call_opts.flags */
enum {
	/* The service is not created: -ENOENT where it is absent. */
	TARN_CALL_EXISTING = 1u << 0,
	/* The _wait calls sleep at once. */
	TARN_CALL_NO_SPIN = 1u << 1,
};

/* All zero means: the default of each. What a service is made with holds for all who open it. */
struct tarn_call_opts {
	uint64_t request_capacity;  /* bytes of requests that a server has not taken yet, from one
	                               client; a power of two, 1024 .. 2^31; 0 = 16 KiB */
	uint64_t response_capacity; /* the same of responses; 0 = 16 KiB */
	uint32_t clients; /* places, 1 .. TARN_SERVICE_CLIENTS_MAX; 0 = as many as members */
	uint32_t flags;   /* TARN_CALL_ of this handle, not of the service */
	struct tarn_diag *diag;
	uint64_t reserved[2]; /* zero */
};

/* Who has called, or who answers. */
struct tarn_call_peer {
	uint32_t member; /* as in struct tarn_message; 0: it is gone, and so is what follows */
	int32_t pid;     /* in its own PID namespace */
	uint32_t uid;    /* effective, as it says of itself */
	uint32_t gid;
};

/* --- servers ------------------------------------------------------------------------------- */

/* A request, as its server sees it. It may be copied, kept, and answered later. */
struct tarn_request {
	const void *data; /* in place, 8-byte aligned, until the request is answered or released */
	size_t size;      /* bytes */
	uint64_t number;  /* of this client's calls */
	int64_t deadline; /* after which nobody waits for an answer; TARN_FOREVER */
	uint32_t client;  /* its place */
	uint32_t came;    /* which of those who had that place */
};

/* What a response is. */
enum tarn_response_kind {
	TARN_RESPONSE_LAST = 1,  /* the only one, or the last of several */
	TARN_RESPONSE_MORE = 2,  /* more come */
	TARN_RESPONSE_ERROR = 3, /* no more come: the server has failed, and says by which code */
};

struct tarn_service_stat {
	uint64_t taken;       /* requests, by this handle */
	uint64_t answered;    /* of these */
	uint64_t dropped;     /* requests of clients that had died, or wanted no answer any more */
	uint32_t server;      /* its place */
	uint32_t clients;     /* that it knows of */
	uint32_t held;        /* requests that are not released */
	uint32_t damaged;     /* clients whose rings are, and which are not served */
	uint32_t request_max; /* bytes of the largest request, and response, there can be */
	uint32_t response_max;
};

/**
 * tarn_service_open - become a server of service @name.
 * @opts:        the service is created with them if it is absent. NULL: it must exist.
 * @ret_service: handle on success, untouched on failure; tarn_service_close() it
 * tarn_object_remove() removes the service, and its rings with it.
 *
 * Return: 0, or
 *   -ENOENT   @opts is NULL or says so, and there is no such service
 *   -EINVAL   name or @opts out of range
 *   -EEXIST   it exists with other sizes than @opts asks; diag has both
 *   -EUSERS   as many servers as there may be are alive
 *   -EPROTO   the object is no service, or of another version
 *   -ENOSPC, -ENFILE  no room to create it
 *   -EPERM    the region was opened to look on
 *   -EUCLEAN  its header is damaged
 *   -ENOMEM
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_service_open(struct tarn_region *region, const char *name,
					      const struct tarn_call_opts *opts,
					      struct tarn_service **ret_service);

/**
 * tarn_service_close - leave. Calls that it has not answered fail with -EPIPE, those that it has
 * not taken too. Accepts NULL. Since: 0.1
 */
TARN_API void tarn_service_close(struct tarn_service *service);

/**
 * tarn_service_take - the next request, in place. Clients take turns.
 *
 * It lies there until it is answered for the last time, or released; until then no other one of the
 * same client is taken. Who answers later, and wants to go on with that client meanwhile, copies
 * what it needs, and releases it: answers may be given in any order.
 *
 * Return: 0, or
 *   -EAGAIN   there is none now
 *   -EBUSY    in a child of fork()
 *   -EIO      the region's file was truncated
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_service_take(struct tarn_service *service,
					      struct tarn_request *ret_request);

/** tarn_service_take_wait - the same, waiting for one until @deadline (-ETIMEDOUT). Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_service_take_wait(struct tarn_service *service, int64_t deadline,
						   struct tarn_request *ret_request);

/** tarn_service_release - its bytes are needed no more. It can still be answered. Since: 0.1 */
TARN_API void tarn_service_release(struct tarn_service *service,
				   const struct tarn_request *request);

/**
 * tarn_service_respond - answer with a copy of @size bytes; no more come.
 *
 * Return: 0, or
 *   -EAGAIN     the client has not taken what was answered before, and there is no room; nothing
 *               was written
 *   -EMSGSIZE   @size is larger than response_max of tarn_service_stat()
 *   -ECANCELED  nobody waits for it any more: its caller has cancelled it, or closed its handle
 *   -EPIPE      its caller has died
 *   -EBUSY      in a child of fork()
 *   -EUCLEAN    its rings contradict themselves
 * With the last three the request is over, and released.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_service_respond(struct tarn_service *service,
						 const struct tarn_request *request,
						 const void *data, size_t size);

/** tarn_service_respond_wait - the same, waiting for room until @deadline (-ETIMEDOUT), as
 * tarn_service_reserve_wait() does. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_service_respond_wait(struct tarn_service *service,
						      const struct tarn_request *request,
						      const void *data, size_t size,
						      int64_t deadline);

/** tarn_service_more - answer with a copy of @size bytes; more come. Return: as
 * tarn_service_respond(). Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_service_more(struct tarn_service *service,
					      const struct tarn_request *request, const void *data,
					      size_t size);

/**
 * tarn_service_fail - answer that it cannot be done; no more come.
 * @code: not 0; means what client and server agree on
 * @data: what else there is to say of it, @size bytes; may be NULL if that is 0
 *
 * Return: as tarn_service_respond(), and -EINVAL (@code is 0). Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_service_fail(struct tarn_service *service,
					      const struct tarn_request *request, int32_t code,
					      const void *data, size_t size);

/**
 * tarn_service_reserve - room for a response of up to @size bytes, to be filled in place.
 * @ret_data: 8-byte aligned, valid until tarn_service_commit() or tarn_service_abort() of the same
 *            client's; reserving again first moves the reservation.
 * Return: as tarn_service_respond(). Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_service_reserve(struct tarn_service *service,
						 const struct tarn_request *request, size_t size,
						 void **ret_data);

/**
 * tarn_service_reserve_wait - the same, waiting for room until @deadline (-ETIMEDOUT). The caller's
 * death, and its cancelling, wake it.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_service_reserve_wait(struct tarn_service *service,
						      const struct tarn_request *request,
						      size_t size, int64_t deadline,
						      void **ret_data);

/**
 * tarn_service_commit - answer with the first @size bytes of what was reserved.
 * @code: of TARN_RESPONSE_ERROR, not 0; else 0
 * Return: 0, -EINVAL (nothing was reserved for this client, or not so), -EMSGSIZE (more than was
 * reserved; it stays reserved), -EPIPE, -EBUSY. Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_service_commit(struct tarn_service *service,
						const struct tarn_request *request, size_t size,
						enum tarn_response_kind kind, int32_t code);

/** tarn_service_abort - drop the reservation, if there is one. Since: 0.1 */
TARN_API void tarn_service_abort(struct tarn_service *service, const struct tarn_request *request);

/**
 * tarn_service_cancelled - does nobody wait for an answer any more: was it cancelled, is its
 * deadline past, has its caller left or died? To be asked by who works for long. Since: 0.1
 */
TARN_API bool tarn_service_cancelled(struct tarn_service *service,
				     const struct tarn_request *request);

/** tarn_service_peer - who has called. Return: 0; -EPIPE: it is gone. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_service_peer(struct tarn_service *service,
					      const struct tarn_request *request,
					      struct tarn_call_peer *ret_peer);

/** tarn_service_stat - facts, see the struct. Since: 0.1 */
TARN_API void tarn_service_stat(struct tarn_service *service, struct tarn_service_stat *ret_stat);

/* --- clients ------------------------------------------------------------------------------- */

/* A response, as its client sees it. */
struct tarn_response {
	const void *data; /* in place, 8-byte aligned, until the client's next call of any kind */
	size_t size;      /* bytes */
	uint64_t call;    /* whose it is */
	enum tarn_response_kind kind;
	int32_t code;    /* of TARN_RESPONSE_ERROR; else 0 */
	uint32_t server; /* its place */
};

struct tarn_client_stat {
	uint64_t begun;       /* calls, by this handle */
	uint64_t answered;    /* of these, by a last response or an error */
	uint64_t lost;        /* of these, by the death of their servers */
	uint64_t stale;       /* responses that nobody waited for any more, and that were dropped */
	uint32_t client;      /* its place */
	uint32_t servers;     /* alive, that it knows of */
	uint32_t calls;       /* not answered */
	uint32_t kept;        /* responses that were copied, since others were asked for */
	uint32_t request_max; /* bytes of the largest request, and response, there can be */
	uint32_t response_max;
};

/**
 * tarn_client_open - become a client of service @name.
 * Return: as tarn_service_open(); -EUSERS: all places for clients are taken. Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_client_open(struct tarn_region *region, const char *name,
					     const struct tarn_call_opts *opts,
					     struct tarn_client **ret_client);

/** tarn_client_close - leave. Calls that are not answered are cancelled. Accepts NULL.
 * Since: 0.1 */
TARN_API void tarn_client_close(struct tarn_client *client);

/**
 * tarn_client_wait_server - wait until there is a server to call.
 * Return: 0, -ETIMEDOUT, or as tarn_client_begin(). Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_client_wait_server(struct tarn_client *client, int64_t deadline);

/**
 * tarn_client_call - ask, and wait for the answer, which has to be a single one.
 * @deadline: for all of it, and told to the server
 * @ret_size: of the answer; with -ENOBUFS and -EREMOTEIO too, else untouched on failure
 *
 * Return: 0, or
 *   -ETIMEDOUT  @deadline has passed; the call is cancelled
 *   -EPIPE      its server has died or left, and may have done it or not
 *   -ENOTCONN   there is no server: see tarn_client_wait_server()
 *   -EREMOTEIO  the server says that it failed: tarn_client_code(); what else it said is in @buf,
 *               as far as that has room
 *   -ENOBUFS    the answer is larger than @buf_size, and gone
 *   -EPROTO     there are several responses; the call is cancelled: see tarn_client_begin()
 *   -EMSGSIZE   @size is larger than request_max of tarn_client_stat()
 *   -EMFILE     TARN_CLIENT_CALLS_MAX calls are not answered
 *   -EBUSY      in a child of fork()
 *   -EUCLEAN    the rings contradict themselves; the call is over
 *   -ENOSPC, -ENFILE, -ENOMEM  no room for rings with any server
 *   -EIO        the region's file was truncated
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_client_call(struct tarn_client *client, const void *data,
					     size_t size, void *buf, size_t buf_size,
					     int64_t deadline, size_t *ret_size);

/** tarn_client_code - what the server said when a call last was -EREMOTEIO. Since: 0.1 */
TARN_API int32_t tarn_client_code(const struct tarn_client *client);

/**
 * tarn_client_begin - ask with a copy of @size bytes, and go on.
 * @deadline: told to the server, and no more; TARN_FOREVER: none
 * @ret_call: to take its answer by; never 0
 *
 * Return: 0, or
 *   -EAGAIN     no server has room for it now; nothing was written
 *   -ENOTCONN, -EMSGSIZE, -EMFILE, -EBUSY, -EUCLEAN, -ENOSPC, -ENFILE, -ENOMEM as
 *   tarn_client_call()
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_client_begin(struct tarn_client *client, const void *data,
					      size_t size, int64_t deadline, uint64_t *ret_call);

/**
 * tarn_client_reserve - room for a request of up to @size bytes, to be filled in place.
 * @ret_data: 8-byte aligned, valid until tarn_client_commit(), tarn_client_abort(), or whatever
 *            else begins a call
 * Return: as tarn_client_begin(). Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_client_reserve(struct tarn_client *client, size_t size,
						void **ret_data);

/** tarn_client_reserve_wait - the same, waiting for a server, and for room, until @deadline
 * (-ETIMEDOUT). Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_client_reserve_wait(struct tarn_client *client, size_t size,
						     int64_t deadline, void **ret_data);

/**
 * tarn_client_commit - ask with the first @size bytes of what was reserved.
 * Return: 0, -EINVAL (nothing is reserved), -EMSGSIZE (more than was reserved; it stays reserved),
 * -EBUSY; -EPIPE (the server has died, nothing was asked). Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_client_commit(struct tarn_client *client, size_t size,
					       int64_t deadline, uint64_t *ret_call);

/** tarn_client_abort - drop the reservation, if there is one. Since: 0.1 */
TARN_API void tarn_client_abort(struct tarn_client *client);

/**
 * tarn_client_take - the next response, in place.
 * @call: to this call; 0: to any
 * @ret_response: with -EPIPE and -EUCLEAN it has call, which is over, and server, and nothing else
 *
 * To ask for one call while responses to others lie before its own copies these, up to as many
 * bytes as the ring has; then they are to be taken first (-ENOBUFS).
 *
 * Return: 0, or
 *   -EAGAIN    there is none now
 *   -EPIPE     its server has died or left, and all that it answered before was taken
 *   -ENOENT    @call is not one that waits for an answer; 0: there is none
 *   -ENOBUFS   see above
 *   -EBUSY     in a child of fork()
 *   -EUCLEAN   the rings contradict themselves
 *   -ENOMEM
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_client_take(struct tarn_client *client, uint64_t call,
					     struct tarn_response *ret_response);

/**
 * tarn_client_take_wait - the same, waiting for one until @deadline (-ETIMEDOUT; the call goes on).
 * The death of the server wakes it.
 * Since: 0.1
 */
TARN_API TARN_NODISCARD int tarn_client_take_wait(struct tarn_client *client, uint64_t call,
						  int64_t deadline,
						  struct tarn_response *ret_response);

/** tarn_client_release - the bytes of the response that was taken last are needed no more; so its
 * server has room again. The next call does the same. Since: 0.1 */
TARN_API void tarn_client_release(struct tarn_client *client);

/**
 * tarn_client_cancel - want no answer any more. The server is told when it asks; what it answers
 * all the same is dropped.
 * Return: 0, -ENOENT, -EBUSY. Since: 0.1
 */
TARN_API int tarn_client_cancel(struct tarn_client *client, uint64_t call);

/** tarn_client_peer - who is to answer @call. Return: 0; -ENOENT; -EPIPE: it is gone. Since: 0.1 */
TARN_API TARN_NODISCARD int tarn_client_peer(struct tarn_client *client, uint64_t call,
					     struct tarn_call_peer *ret_peer);

/** tarn_client_stat - facts, see the struct. Since: 0.1 */
TARN_API void tarn_client_stat(struct tarn_client *client, struct tarn_client_stat *ret_stat);

/* --- from outside -------------------------------------------------------------------------- */

enum tarn_call_role {
	TARN_CALL_SERVES = 1,
	TARN_CALL_ASKS = 2,
};

/* A server or client of a service, as others see it. */
struct tarn_call_user {
	uint32_t role;  /* enum tarn_call_role */
	uint32_t place; /* of servers, or of clients */
	uint32_t slot;  /* of its member */
	int32_t pid;    /* in its PID namespace, for the eye */
	uint32_t uid;   /* effective, as it says of itself */
	uint32_t gid;
	bool alive;
	uint32_t peers; /* server: clients that are alive and go by it; client: servers that it
	                   goes by */
	/* Calls whose requests lie in its rings: not taken, or in use where they lie. What was
	 * copied, released, and is not answered yet, is known to its server alone. */
	uint64_t requests;
	uint64_t responses; /* that their clients have not taken */
};

/**
 * tarn_service_users - call @fn for each server of service @name, then for each client, until it
 * returns non-zero. It looks only: no place is taken, and nothing is written.
 * Return: 0, what @fn returned, or -ENOENT (no such service), -EINVAL (no name of one), -EPROTO,
 * -EUCLEAN, -ENOMEM, -EIO. Since: 0.1
 */
TARN_API TARN_NODISCARD int
tarn_service_users(struct tarn_region *region, const char *name,
		   int (*fn)(const struct tarn_call_user *user, void *arg), void *arg);

TARN_END_DECLS

#endif /* TARN_CALL_H */
