/* export_models in double precision. */
#define NN_DOUBLE
#include "export_models.c"
