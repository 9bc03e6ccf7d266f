/* test_open in double precision. */
#define NN_DOUBLE
#include "test_open.c"
