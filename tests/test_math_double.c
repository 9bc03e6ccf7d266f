#define NN_DOUBLE
#include "test_math.c"
