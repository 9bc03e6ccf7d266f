/* test_sizes as a microcontroller has it: no heap, scalar kernels, nothing but what is needed. */
#define NN_NO_MALLOC
#define NN_NO_STDIO
#define NN_NO_SIMD
#define PROGRAM "test_sizes_static"
#include "sizes.c"
