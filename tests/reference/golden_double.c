/* test_golden in double precision. */
#define NN_DOUBLE
#include "golden.c"
