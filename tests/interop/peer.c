/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One side of a conversation between two builds of the library: other compilers, C libraries, word
 * sizes, machines. It knows the public headers alone; tests/interop/run pairs the builds.
 *
 *   peer layout                        what this build thinks a region looks like
 *   peer create ADDR                   a region with an object of known bytes and a ring
 *   peer look ADDR                     join it; check region, object and fellow members
 *   peer produce ADDR FIRST COUNT END  push records FIRST ..., then END: finish, leave or die
 *   peer consume ADDR COUNT            pop records 0 .. COUNT - 1 whoever sends them, to the end
 *   peer write ADDR FIRST COUNT        make a latest value FIRST ..., each a whole struct
 *   peer watch ADDR LAST               read and hold it, until it is LAST; it never goes back
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tarn/tarn.h>

enum { CARD_SIZE = 1000, RECORD_MAX = 181, RING_CAPACITY = 4096 };

#ifndef BYTE_SEED /* another one makes a build that the rest must disagree with */
#define BYTE_SEED 1
#endif

static const int64_t PATIENCE = 60000000000; /* ns; nothing here is timed, a hang should end */

static int fail(const char *what, int r)
{
	fprintf(stderr, "peer: %s: %s\n", what, r < 0 ? strerror(-r) : "wrong");
	return 1;
}

static unsigned char byte_of(uint64_t record, size_t at)
{
	return (unsigned char)(record * 131 + at * 7 + BYTE_SEED);
}

static size_t size_of(uint64_t record)
{
	return record * 37 % RECORD_MAX;
}

#define INNER(ROW)                                                                                 \
	ROW(VALUE, uint8_t, small, "", "before a large one")                                       \
	ROW(VALUE, int64_t, large, "ns", "aligned to its size, whoever builds this")
TARN_TYPE(inner, 1, INNER);

#define TYPED(ROW)                                                                                 \
	ROW(VALUE, uint16_t, number, "", "")                                                       \
	ROW(STRUCTS, inner, inners, 3, "")                                                         \
	ROW(VALUE, float, half, "V", "")                                                           \
	ROW(VALUE, double, whole, "V", "")                                                         \
	ROW(TEXT, words, 7, "")                                                                    \
	ROW(REF, to, inner, "")
TARN_TYPE(typed, BYTE_SEED, TYPED);

static const struct typed typed_value = {
	.number = 513,
	.inners = { { 1, -2 }, { 3, INT64_C(1) << 40 }, { 5, 6 } },
	.half = 0.5F,
	.whole = 2.25,
	.words = "typed",
	.to = UINT64_C(1) << 33,
};

/* The members one by one: what is between them is nobody's. */
static bool is_typed(const struct typed *t)
{
	bool same = t->number == typed_value.number && t->half == typed_value.half &&
		    t->whole == typed_value.whole && t->to == typed_value.to &&
		    memcmp(t->words, typed_value.words, sizeof(t->words)) == 0;

	for (int i = 0; i < 3; i++)
		same = same && t->inners[i].small == typed_value.inners[i].small &&
		       t->inners[i].large == typed_value.inners[i].large;
	return same;
}

static int open_region(const char *addr, uint32_t flags, struct tarn_region **ret_region)
{
	struct tarn_diag diag = { "", "" };
	const struct tarn_region_opts opts = { .size = 65536, .flags = flags, .diag = &diag };
	int r = tarn_region_open(addr, &opts, ret_region);

	if (r < 0)
		fprintf(stderr, "peer: %s\n", diag.what);
	return r;
}

static int make_contents(struct tarn_region *region)
{
	const struct tarn_ring_opts opts = { .capacity = RING_CAPACITY };
	struct tarn_ring *ring = NULL;
	const struct tarn_struct_opts typed_opts = { .section = "lock" };
	const struct tarn_latest_opts newest_opts = { .type = typed_type() };
	struct tarn_latest *newest = NULL;
	void *card = NULL, *data = NULL;
	int r = tarn_object_create(region, "card", CARD_SIZE, &card, NULL);

	if (r < 0)
		return r;
	for (size_t i = 0; i < CARD_SIZE; i++)
		((unsigned char *)card)[i] = byte_of(0, i);
	tarn_object_close(region, card);
	r = tarn_struct_open(region, "typed", typed_type(), &typed_opts, &data);
	if (r < 0)
		return r;
	*(struct typed *)data = typed_value;
	tarn_struct_close(region, data);
	r = tarn_latest_open(region, "newest", &newest_opts, &newest);
	if (r == 0)
		r = tarn_latest_write(newest, &typed_value, sizeof(typed_value), TARN_FOREVER,
				      NULL);
	tarn_latest_close(newest);
	if (r < 0)
		return r;
	r = tarn_ring_open(region, "records", TARN_RING_OBSERVER, &opts, &ring);
	tarn_ring_close(ring);
	return r;
}

static int create(const char *addr)
{
	struct tarn_region *region = NULL;
	int r = open_region(addr, TARN_REGION_CREATE, &region);

	if (r == 0)
		r = make_contents(region);
	tarn_region_close(region);
	return r < 0 ? fail("create", r) : 0;
}

/* --- layout and look ----------------------------------------------------------------------- */

static int print_object(const struct tarn_object_stat *stat, void *arg)
{
	(void)arg;
	printf("object %s kind %u off %llu size %llu\n", stat->name, stat->kind,
	       (unsigned long long)stat->off, (unsigned long long)stat->size);
	return 0;
}

static int layout(void)
{
	struct tarn_region *region = NULL;
	struct tarn_region_stat stat;
	const struct tarn_region_opts opts = { .size = 65536, .max_size = 1 << 20 };
	int r = tarn_region_create("anon:", &opts, &region);

	if (r == 0)
		r = make_contents(region);
	if (r == 0)
		r = tarn_region_stat(region, &stat);
	if (r == 0) {
		printf("version %u layout %08x total %llu size %llu max %llu used %llu\n",
		       stat.version, stat.layout, (unsigned long long)stat.total_size,
		       (unsigned long long)stat.size, (unsigned long long)stat.max_size,
		       (unsigned long long)stat.used);
		r = tarn_region_objects(region, print_object, NULL);
	}
	tarn_region_close(region);
	return r < 0 ? fail("layout", r) : 0;
}

static void report(const struct tarn_finding *finding, void *arg)
{
	(void)arg;
	fprintf(stderr, "peer: %s %s: %s\n", finding->where, finding->field, finding->rule);
}

static int print_member(const struct tarn_member_stat *stat, void *arg)
{
	(void)arg;
	printf("member %s %s\n", stat->self ? "self" : "other", stat->alive ? "alive" : "dead");
	return 0;
}

static int look(const char *addr)
{
	struct tarn_region *region = NULL;
	void *card = NULL, *data = NULL;
	uint64_t size = 0;
	int r = open_region(addr, 0, &region);

	if (r < 0)
		return fail("open", r);
	r = tarn_region_check(region, report, NULL);
	if (r == 0)
		r = tarn_object_open(region, "card", &card, &size);
	if (r == 0 && size < CARD_SIZE)
		r = -EMSGSIZE;
	for (size_t i = 0; r == 0 && i < CARD_SIZE; i++)
		if (((unsigned char *)card)[i] != byte_of(0, i))
			r = -EILSEQ;
	if (r == 0)
		r = tarn_struct_open(region, "typed", typed_type(), NULL, &data);
	if (r == 0 && !is_typed(data))
		r = -EILSEQ;
	tarn_struct_close(region, data);
	if (r == 0)
		r = tarn_region_members(region, print_member, NULL);
	tarn_object_close(region, card);
	tarn_region_close(region);
	return r < 0 ? fail("look", r) : 0;
}

/* --- produce and consume ------------------------------------------------------------------- */

static int push(struct tarn_ring *ring, uint64_t record)
{
	unsigned char bytes[RECORD_MAX];
	size_t size = size_of(record);

	for (size_t i = 0; i < size; i++)
		bytes[i] = byte_of(record, i);
	for (;;) {
		int r = tarn_ring_push_wait(ring, bytes, size, tarn_deadline_after(PATIENCE));

		if (r != -EPIPE)
			return r;
		r = tarn_ring_wait_peer(ring, tarn_deadline_after(PATIENCE));
		if (r < 0)
			return r;
	}
}

static int produce(const char *addr, uint64_t first, uint64_t count, const char *end)
{
	struct tarn_region *region = NULL;
	struct tarn_ring *ring = NULL;
	int r = open_region(addr, 0, &region);

	if (r == 0)
		r = tarn_ring_open(region, "records", TARN_RING_PRODUCER, NULL, &ring);
	for (uint64_t i = first; r == 0 && i < first + count; i++)
		r = push(ring, i);
	if (r == 0 && strcmp(end, "die") == 0)
		raise(SIGKILL);
	if (r == 0 && strcmp(end, "finish") == 0)
		r = tarn_ring_finish(ring);
	tarn_ring_close(ring);
	tarn_region_close(region);
	return r < 0 ? fail("produce", r) : 0;
}

static int check_record(uint64_t record, const unsigned char *bytes, size_t size)
{
	if (size != size_of(record))
		return -EILSEQ;
	for (size_t i = 0; i < size; i++)
		if (bytes[i] != byte_of(record, i))
			return -EILSEQ;
	return 0;
}

/* Pop until the producer has finished; count the producers that died on the way. */
static int pop_all(struct tarn_ring *ring, uint64_t *ret_records, unsigned *ret_deaths)
{
	unsigned char bytes[RECORD_MAX];
	size_t size;

	for (;;) {
		int r = tarn_ring_pop_wait(ring, bytes, sizeof(bytes),
					   tarn_deadline_after(PATIENCE), &size);

		if (r == 0)
			r = check_record((*ret_records)++, bytes, size);
		if (r == -ENODATA)
			return 0;
		if (r == -EPIPE) {
			++*ret_deaths;
			r = tarn_ring_wait_peer(ring, tarn_deadline_after(PATIENCE));
		}
		if (r < 0)
			return r;
	}
}

static int consume(const char *addr, uint64_t count)
{
	struct tarn_region *region = NULL;
	struct tarn_ring *ring = NULL;
	uint64_t records = 0;
	unsigned deaths = 0;
	int r = open_region(addr, 0, &region);

	if (r == 0)
		r = tarn_ring_open(region, "records", TARN_RING_CONSUMER, NULL, &ring);
	if (r == 0)
		r = pop_all(ring, &records, &deaths);
	tarn_ring_close(ring);
	tarn_region_close(region);
	if (r < 0)
		fprintf(stderr, "peer: after %llu records\n", (unsigned long long)records);
	if (r < 0 || records != count)
		return fail("consume", r);
	printf("%llu records, %u deaths\n", (unsigned long long)records, deaths);
	return 0;
}

/* --- write and watch ----------------------------------------------------------------------- */

static int open_newest(const char *addr, struct tarn_region **ret_region,
		       struct tarn_latest **ret_newest)
{
	const struct tarn_latest_opts opts = { .type = typed_type() };
	int r = open_region(addr, 0, ret_region);

	return r == 0 ? tarn_latest_open(*ret_region, "newest", &opts, ret_newest) : r;
}

/* Value n has n in its number, in each large, and in its words. */
static int write_newest(const char *addr, uint64_t first, uint64_t count)
{
	struct tarn_region *region = NULL;
	struct tarn_latest *newest = NULL;
	struct typed value = typed_value;
	int r = open_newest(addr, &region, &newest);

	for (uint64_t n = first; r == 0 && n < first + count; n++) {
		value.number = (uint16_t)n;
		value.to = n;
		for (int i = 0; i < 3; i++)
			value.inners[i] = (struct inner){
				.small = (uint8_t)(typed_value.inners[i].small + BYTE_SEED - 1),
				.large = (int64_t)n,
			};
		r = tarn_latest_write(newest, &value, sizeof(value), tarn_deadline_after(PATIENCE),
				      NULL);
	}
	tarn_latest_close(newest);
	tarn_region_close(region);
	return r < 0 ? fail("write", r) : 0;
}

/* The first value is that of create. */
static bool is_value(const struct typed *value, uint64_t number)
{
	bool same = value->number == (uint16_t)value->to && value->half == typed_value.half;

	for (int i = 0; i < 3; i++)
		same = same && value->inners[i].large == (int64_t)value->to &&
		       value->inners[i].small == typed_value.inners[i].small;
	return number == 1 ? is_typed(value) : same;
}

static int see_newest(struct tarn_latest *newest, uint64_t *last, uint64_t *ret_to)
{
	const void *held = NULL;
	struct typed copy;
	uint64_t number = 0, later = 0;
	size_t size = 0;
	int r = tarn_latest_read(newest, &copy, sizeof(copy), &size, &number);

	if (r < 0)
		return r;
	if (size != sizeof(copy) || number < *last || !is_value(&copy, number))
		return -EILSEQ;
	r = tarn_latest_hold(newest, &held, &size, &later, NULL);
	if (r == 0 && (size != sizeof(copy) || later < number || !is_value(held, later)))
		r = -EILSEQ;
	if (r == 0) { /* of the later one: there may be none after it */
		*last = later;
		*ret_to = ((const struct typed *)held)->to;
	}
	tarn_latest_release(newest);
	return r;
}

static int watch_newest(const char *addr, uint64_t wanted)
{
	struct tarn_region *region = NULL;
	struct tarn_latest *newest = NULL;
	uint64_t last = 0, to = 0;
	int r = open_newest(addr, &region, &newest);

	while (r == 0 && to != wanted) {
		r = see_newest(newest, &last, &to);
		if (r == 0 && to != wanted)
			r = tarn_latest_wait(newest, last, tarn_deadline_after(PATIENCE), &last);
	}
	tarn_latest_close(newest);
	tarn_region_close(region);
	return r < 0 ? fail("watch", r) : 0;
}

int main(int argc, char **argv)
{
	if (argc == 5 && strcmp(argv[1], "write") == 0)
		return write_newest(argv[2], strtoull(argv[3], NULL, 10),
				    strtoull(argv[4], NULL, 10));
	if (argc == 4 && strcmp(argv[1], "watch") == 0)
		return watch_newest(argv[2], strtoull(argv[3], NULL, 10));
	if (argc == 2 && strcmp(argv[1], "layout") == 0)
		return layout();
	if (argc == 3 && strcmp(argv[1], "create") == 0)
		return create(argv[2]);
	if (argc == 3 && strcmp(argv[1], "look") == 0)
		return look(argv[2]);
	if (argc == 6 && strcmp(argv[1], "produce") == 0)
		return produce(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10),
			       argv[5]);
	if (argc == 4 && strcmp(argv[1], "consume") == 0)
		return consume(argv[2], strtoull(argv[3], NULL, 10));
	fprintf(stderr, "usage: peer layout|create|look|produce|consume|write|watch ...\n");
	return 2;
}
