/* test_csv in double precision. */
#define NN_DOUBLE
#include "csv.c"
