/* test_file in double precision. */
#define NN_DOUBLE
#include "test_file.c"
