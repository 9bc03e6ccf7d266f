/* test_export with the arithmetic of machines without fma, in the library and in what it wrote. */
#define NN_NO_FMA
#define PROGRAM "test_export_no_fma"
#include "export.c"
