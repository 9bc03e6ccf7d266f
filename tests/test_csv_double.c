/* test_csv in double precision. */
#define NN_DOUBLE
#include "test_csv.c"
