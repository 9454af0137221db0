/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lab_matrix.c - exercise 3: is there a product of two matrices in shared memory, and is it right?
 *
 * A, B and C are looked for by what they are: three squares of 200 x 200 numbers of one type, row
 * by row, in one segment behind each other (with any head before them, and padding to 64 bytes or
 * to a page between) or each in a segment of its own. Where C = A * B holds in some rows the three
 * are found, and the rows in which it does not are wrong. Rows of zeros prove nothing.
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lab.h"

enum { N = 200, WORKERS = 4, HEAD = 4096 };

enum type { INT32, INT64, FLOAT, DOUBLE, TYPES };

static const struct {
	const char *name;
	size_t size;
} types[TYPES] = { { "int", 4 }, { "long", 8 }, { "float", 4 }, { "double", 8 } };

struct product {
	const unsigned char *m[3]; /* A, B, C */
	enum type type;
	int right; /* rows */
	int wrong; /* the first of them; -1 = none */
	bool found;
};

static double number(const unsigned char *matrix, enum type type, int row, int col)
{
	const unsigned char *at = matrix + ((size_t)row * N + (size_t)col) * types[type].size;
	int32_t i;
	int64_t l;
	float f;
	double d;

	switch (type) {
	case INT32:
		memcpy(&i, at, sizeof(i));
		return i;
	case INT64:
		memcpy(&l, at, sizeof(l));
		return (double)l;
	case FLOAT:
		memcpy(&f, at, sizeof(f));
		return (double)f;
	default:
		memcpy(&d, at, sizeof(d));
		return d;
	}
}

/* Integers may have gone round; sums of floats depend on the order. */
static bool same(enum type type, double sum, double sum_abs, double found)
{
	if (!isfinite(sum) || !isfinite(found))
		return false;
	if (type == INT32)
		return fabs(sum) < 9e15 ? (int32_t)(uint32_t)(int64_t)sum == (int32_t)found : false;
	return fabs(sum - found) <= (type == FLOAT ? 1e-3 : 1e-9) * sum_abs;
}

/* 1 = right, 0 = wrong, -1 = right, and all zeros. */
static int entry(const struct product *p, int row, int col)
{
	double sum = 0, sum_abs = 0, found = number(p->m[2], p->type, row, col);

	for (int k = 0; k < N; k++) {
		double part = number(p->m[0], p->type, row, k) * number(p->m[1], p->type, k, col);

		sum += part;
		sum_abs += fabs(part);
	}
	if (!same(p->type, sum, sum_abs, found))
		return 0;
	return sum_abs > 0 ? 1 : -1;
}

/* Three rows of each quarter, at a few columns: most layouts are none at the first look. */
static bool promising(const struct product *p)
{
	int good = 0;

	for (int row = 7; row < N && good == 0; row += 25)
		good += entry(p, row, (row * 7 + 3) % N) == 1 &&
			entry(p, row, (row * 11 + 60) % N) == 1;
	return good > 0;
}

static void count_rows(struct product *p)
{
	p->right = 0;
	p->wrong = -1;
	for (int row = 0; row < N; row++) {
		bool right = true;

		for (int col = 0; col < N && right; col++)
			right = entry(p, row, col) != 0;
		p->right += right;
		if (!right && p->wrong < 0)
			p->wrong = row;
	}
}

static void offer(struct product *best, const unsigned char *a, const unsigned char *b,
		  const unsigned char *c, enum type type)
{
	const unsigned char *m[3] = { a, b, c };
	static const int orders[6][3] = { { 0, 1, 2 }, { 1, 0, 2 }, { 0, 2, 1 },
					  { 2, 0, 1 }, { 1, 2, 0 }, { 2, 1, 0 } };

	for (int i = 0; i < 6; i++) {
		struct product p = { .m = { m[orders[i][0]], m[orders[i][1]], m[orders[i][2]] },
				     .type = type,
				     .found = true };

		if (!promising(&p))
			continue;
		count_rows(&p);
		if (!best->found || p.right > best->right)
			*best = p;
	}
}

static void look_in_one(struct product *best, const struct lab_segment *segment, enum type type)
{
	size_t size = (size_t)N * N * types[type].size;
	size_t strides[] = { size, (size + 63) / 64 * 64, (size + 4095) / 4096 * 4096 };

	for (size_t i = 0; i < 3; i++) {
		for (size_t head = 0; head <= HEAD; head += types[type].size) {
			const unsigned char *at = segment->bytes + head;

			if (head + 2 * strides[i] + size > segment->byte_count ||
			    (i > 0 && strides[i] == strides[i - 1]))
				break;
			offer(best, at, at + strides[i], at + 2 * strides[i], type);
			if (best->found && best->right == N)
				return;
		}
	}
}

static void look_in_three(struct product *best, const struct lab_run *run, enum type type)
{
	size_t size = (size_t)N * N * types[type].size;
	const unsigned char *at[LAB_SEGMENTS];
	int count = 0;

	for (int i = 0; i < run->segment_count; i++) {
		if (run->segments[i].byte_count >= size)
			at[count++] = run->segments[i].bytes;
	}
	for (int a = 0; a < count && a < 8; a++) {
		for (int b = a + 1; b < count && b < 8; b++) {
			for (int c = b + 1; c < count && c < 8; c++)
				offer(best, at[a], at[b], at[c], type);
		}
	}
}

static struct product find_product(const struct lab_run *run)
{
	struct product best = { 0 };

	for (int type = 0; type < TYPES; type++) {
		for (int i = 0; i < run->segment_count && best.right < N; i++)
			look_in_one(&best, &run->segments[i], (enum type)type);
		if (best.right < N)
			look_in_three(&best, run, (enum type)type);
	}
	return best;
}

static void judge_product(struct lab_report *report, const struct lab_run *run)
{
	struct product p = find_product(run);
	struct lab_check *check;

	if (p.found && p.right == N) {
		lab_say(report, "product", LAB_RIGHT,
			"all %d rows of C are A times B (%s, found in the shared memory)", N,
			types[p.type].name);
	} else if (p.found) {
		check = lab_say(report, "product", LAB_WRONG,
				"%d of %d rows of C are not A times B; the first is row %d, where "
				"C[%d][0] is "
				"%g",
				N - p.right, N, p.wrong, p.wrong,
				number(p.m[2], p.type, p.wrong, 0));
		lab_why(check, "these rows were not computed, computed by no one or by two, or "
			       "read before "
			       "they were done: look at where each process begins and ends");
	} else {
		check = lab_say(report, "product", LAB_WRONG,
				"no product of two %d x %d matrices was found in the shared memory",
				N, N);
		lab_why(check, "looked for A, B and C, row by row, as int, long, float or double, "
			       "behind each "
			       "other in one segment or each in a segment of its own; with A and B "
			       "not zero");
		lab_fix(check,
			"put all three into the shared memory, and fill A and B before the workers "
			"start");
	}
}

static void judge_output(struct lab_report *report, const struct lab_run *run)
{
	char line[200];
	int seen[WORKERS] = { 0 }, missing = -1, from, to;
	bool timed = false;
	struct lab_check *check;

	for (int i = 0; lab_line(run, i, line) != NULL; i++) {
		const char *rows = strcasestr(line, "rows");

		timed |= strcasestr(line, "second") != NULL || strcasestr(line, " ms") != NULL;
		if (rows == NULL || sscanf(rows + 4, "%*[^0-9]%d%*[^0-9]%d", &from, &to) != 2)
			continue;
		if (from % (N / WORKERS) == 0 && to == from + N / WORKERS - 1 && from < N)
			seen[from / (N / WORKERS)]++;
	}
	for (int i = WORKERS; i-- > 0;)
		missing = seen[i] == 1 ? missing : i;
	if (missing >= 0) {
		check = lab_say(report, "output", LAB_WRONG,
				"%s line \"Process %d: rows %d-%d done\"",
				seen[missing] == 0 ? "no" : "more than one", missing,
				missing * N / WORKERS, (missing + 1) * N / WORKERS - 1);
		lab_why(check, "each of the %d processes says once which of the rows it did",
			WORKERS);
	} else if (!timed) {
		lab_say(report, "output", LAB_WRONG, "no line that says how many seconds it took");
	} else {
		lab_say(report, "output", LAB_RIGHT,
			"%d processes, 50 rows each, and the time that it took", WORKERS);
	}
}

void lab_judge_matrix(struct lab_report *report, const struct lab_run *run)
{
	judge_output(report, run);
	judge_product(report, run);
}
