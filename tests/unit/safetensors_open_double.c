/* test_open in double precision. */
#define NN_DOUBLE
#include "safetensors_open.c"
