/* test_export in double precision. */
#define NN_DOUBLE
#include "test_export.c"
