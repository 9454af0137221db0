/* SPDX-License-Identifier: BSD-2-Clause */
/* Write the image of a valid region to standard output: what the fuzzer begins with. */
#include <unistd.h>

#include "image.h"

int main(void)
{
	static struct image image;

	image_make(&image);
	for (size_t done = 0; done < IMAGE_SIZE;) {
		ssize_t n = write(1, image.bytes + done, IMAGE_SIZE - done);

		if (n < 0)
			return 1;
		done += (size_t)n;
	}
	return 0;
}
