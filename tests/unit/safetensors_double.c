/* test_file in double precision. */
#define NN_DOUBLE
#include "safetensors.c"
