// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/*
 * Times, counted by size: 64 buckets to each power of two, so a percentile is at most 1/64 too
 * large, whatever it is, and adding one costs a few instructions and no memory.
 */
#include <math.h>
#include <string.h>

#include "tool.h"

#define LINEAR	(1U << HISTOGRAM_BITS)	/* values below it have a bucket each */

static unsigned int bucket_of(uint64_t value)
{
	unsigned int shift;

	if (value < LINEAR)
		return value;
	shift = 63 - __builtin_clzll(value) - HISTOGRAM_BITS;
	return (shift << HISTOGRAM_BITS) + (value >> shift);
}

/* The largest value that is counted there */
static uint64_t bucket_last(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 2 * LINEAR)
		return bucket;
	shift = (bucket >> HISTOGRAM_BITS) - 1;
	return ((uint64_t)(bucket - (shift << HISTOGRAM_BITS) + 1) << shift) - 1;
}

/**
 * histogram_add() - Count a value
 * @histogram: Zeroed before the first one.
 * @value: Any.
 */
void histogram_add(struct histogram *histogram, uint64_t value)
{
	histogram->buckets[bucket_of(value)]++;
	histogram->count++;
	if (value > histogram->max)
		histogram->max = value;
}

/**
 * histogram_merge() - Count what another one counted
 * @histogram: Grows.
 * @other: Stays.
 */
void histogram_merge(struct histogram *histogram, const struct histogram *other)
{
	for (unsigned int i = 0; i < HISTOGRAM_BUCKETS; i++)
		histogram->buckets[i] += other->buckets[i];
	histogram->count += other->count;
	if (other->max > histogram->max)
		histogram->max = other->max;
}

/**
 * histogram_percentile() - The value that so many per cent do not exceed
 * @histogram: Where to look.
 * @percent: 0 to 100.
 *
 * Return: at most 1/64 more than the exact one, and never more than the largest; 0 if nothing
 * was counted.
 */
uint64_t histogram_percentile(const struct histogram *histogram, double percent)
{
	uint64_t rank = ceil(histogram->count * percent / 100), seen = 0;
	unsigned int i = 0;

	if (!histogram->count)
		return 0;
	rank = rank ? rank : 1;
	while ((seen += histogram->buckets[i]) < rank && i + 1 < HISTOGRAM_BUCKETS)
		i++;
	return bucket_last(i) < histogram->max ? bucket_last(i) : histogram->max;
}
