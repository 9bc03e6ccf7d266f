/* The library that the wheel holds: all of nn.h, with its public functions visible. */
#ifdef _WIN32
#define NN_DEF extern __declspec(dllexport)
#else
#define NN_DEF extern __attribute__((visibility("default")))
#endif

#define NN_IMPLEMENTATION
#include "nn.h"
