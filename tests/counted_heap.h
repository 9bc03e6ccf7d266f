/* A heap that counts: live_blocks is how many of the library's blocks have not been freed, so that
   a test can see a leak without a sanitizer; and that overwrites what is freed, so that a pointer
   kept into it is found. To be included before nn.h. */
#ifndef COUNTED_HEAP_H
#define COUNTED_HEAP_H

#include "test.h"

TEST_SHARED(long live_blocks, 0);
TEST_SHARED(long allocations, 0);                /* so far, those refused among them */
TEST_SHARED(size_t largest_block, 0);            /* that was asked for */
TEST_SHARED(size_t heap_bytes, 0);               /* in the live blocks */
TEST_SHARED(size_t heap_most, 0);                /* the most of them at a time */
TEST_SHARED(size_t heap_limit, (size_t)-1 - 64); /* a block larger than this is refused */

TEST_FUNCTION void *counted_malloc(size_t size)
{
    size_t *block = size <= heap_limit ? (size_t *)malloc(size + 64) : NULL;
    allocations++;
    if (size > largest_block) largest_block = size;
    if (!block) return NULL;
    live_blocks++;
    heap_bytes += size;
    if (heap_bytes > heap_most) heap_most = heap_bytes;
    block[0] = size;
    return (char *)block + 64;
}

TEST_FUNCTION void counted_free(void *pointer)
{
    char *block = (char *)pointer - 64;
    if (!pointer) return;
    live_blocks--;
    heap_bytes -= *(size_t *)(void *)block;
    memset(pointer, 0xdd, *(size_t *)(void *)block);
    free(block);
}

#define NN_MALLOC(size)  counted_malloc(size)
#define NN_FREE(pointer) counted_free(pointer)

#endif
