#define NN_DOUBLE
#include "math.c"
