/* test_kernels in double precision. */
#define NN_DOUBLE
#include "kernels.c"
