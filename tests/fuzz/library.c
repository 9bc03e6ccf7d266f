/* nn.h as fuzz.h sets it up: compiled once, and linked with every target. */
#define NN_IMPLEMENTATION
#define FUZZ_LIBRARY
#include "fuzz.h"
