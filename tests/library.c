/* nn.h as fixtures.h sets it up. The Makefile compiles this once for each variant (float, double,
   ...) and links the tests with it; it saves compiling the whole of nn.h for every one of them. */
#define NN_IMPLEMENTATION
#include "fixtures.h"
