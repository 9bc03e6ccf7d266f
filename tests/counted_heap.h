/* A heap that counts: live_blocks is how many of the library's blocks have not been freed, so that
   a test can see a leak without a sanitizer; and that overwrites what is freed, so that a pointer
   kept into it is found. To be included before nn.h. */
#ifndef COUNTED_HEAP_H
#define COUNTED_HEAP_H

#include <stdlib.h>
#include <string.h>

#ifndef MOST_BYTES
#define MOST_BYTES ((size_t)-1 - 64) /* a block larger than this is refused */
#endif

static long live_blocks;
static size_t largest_block; /* that was asked for */

static void *counted_malloc(size_t size)
{
    size_t *block = size <= MOST_BYTES ? (size_t *)malloc(size + 64) : NULL;
    if (size > largest_block) largest_block = size;
    if (!block) return NULL;
    live_blocks++;
    block[0] = size;
    return (char *)block + 64;
}

static void counted_free(void *pointer)
{
    char *block = (char *)pointer - 64;
    if (!pointer) return;
    live_blocks--;
    memset(pointer, 0xdd, *(size_t *)(void *)block);
    free(block);
}

#define NN_MALLOC(size)  counted_malloc(size)
#define NN_FREE(pointer) counted_free(pointer)

#endif
