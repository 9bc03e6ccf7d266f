/* test_golden in double precision. */
#define NN_DOUBLE
#include "test_golden.c"
