/* test_metrics in double precision. */
#define NN_DOUBLE
#include "metrics.c"
