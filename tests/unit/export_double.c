/* test_export in double precision. */
#define NN_DOUBLE
#define PROGRAM "test_export_double"
#include "export.c"
