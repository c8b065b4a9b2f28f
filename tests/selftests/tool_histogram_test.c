// SPDX-License-Identifier: LGPL-2.1-or-later OR MIT
/* The percentiles of "upcall call -n" are those of the values that were counted. */
#include <string.h>
#include "kselftest_harness.h"
#include "tool.h"

FIXTURE(histogram)
{
	struct histogram h;
};

FIXTURE_SETUP(histogram)
{
	memset(&self->h, 0, sizeof(self->h));
}

FIXTURE_TEARDOWN(histogram)
{
}

TEST_F(histogram, empty_one_has_percentiles_of_zero)
{
	EXPECT_EQ(0, histogram_percentile(&self->h, 0));
	EXPECT_EQ(0, histogram_percentile(&self->h, 50));
	EXPECT_EQ(0, histogram_percentile(&self->h, 100));
}

TEST_F(histogram, small_values_are_exact)
{
	for (uint64_t i = 1; i <= 100; i++)
		histogram_add(&self->h, i);
	EXPECT_EQ(100, self->h.count);
	EXPECT_EQ(1, histogram_percentile(&self->h, 0));
	EXPECT_EQ(1, histogram_percentile(&self->h, 1));
	EXPECT_EQ(50, histogram_percentile(&self->h, 50));
	EXPECT_EQ(90, histogram_percentile(&self->h, 90));
	EXPECT_EQ(99, histogram_percentile(&self->h, 99));
	EXPECT_EQ(100, histogram_percentile(&self->h, 100));
}

TEST_F(histogram, no_value_comes_out_smaller_or_more_than_one_in_64_larger)
{
	uint64_t value, shown;

	for (int bit = 0; bit < 64; bit++) {
		for (int off = -1; off <= 1; off++) {
			value = (1ULL << bit) + off;
			memset(&self->h, 0, sizeof(self->h));
			histogram_add(&self->h, value);
			histogram_add(&self->h, UINT64_MAX);
			shown = histogram_percentile(&self->h, 50);
			EXPECT_LE(value, shown);
			EXPECT_LE(shown - value, value / 64);
		}
	}
}

TEST_F(histogram, largest_is_never_exceeded)
{
	histogram_add(&self->h, 1000001);
	EXPECT_EQ(1000001, self->h.max);
	EXPECT_EQ(1000001, histogram_percentile(&self->h, 50));
	EXPECT_EQ(1000001, histogram_percentile(&self->h, 100));
}

TEST_F(histogram, one_in_a_hundred_is_beyond_p99_only)
{
	for (int i = 0; i < 990; i++)
		histogram_add(&self->h, 10);
	for (int i = 0; i < 10; i++)
		histogram_add(&self->h, 1000000);
	EXPECT_EQ(10, histogram_percentile(&self->h, 50));
	EXPECT_EQ(10, histogram_percentile(&self->h, 99));
	EXPECT_EQ(1000000, histogram_percentile(&self->h, 99.9));
}

TEST_F(histogram, merged_ones_count_as_one)
{
	struct histogram other = { 0 };

	histogram_add(&self->h, 1);
	histogram_add(&other, 40);
	histogram_add(&other, 1 << 20);
	histogram_merge(&self->h, &other);
	EXPECT_EQ(3, self->h.count);
	EXPECT_EQ(1 << 20, self->h.max);
	EXPECT_EQ(40, histogram_percentile(&self->h, 50));
}

TEST_HARNESS_MAIN
