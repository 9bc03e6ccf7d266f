/* For playground.py: what the library makes of a file that the page saved. MODEL_C is the C source
   that the page exported. `playground MODEL.safetensors <x >y` reads rows of floats, writes the
   outputs of nn_predict, and fails where the exported function has others. */
#define NN_NO_FMA /* the page's arithmetic */
#define NN_IMPLEMENTATION
#include "../../nn.h"
#include MODEL_C

#include <stdio.h>

int main(int argc, char **argv)
{
    static float x[64], y[64], again[64];
    nn_model *model;
    nn_shape shape;
    size_t outputs, rows = 0;

    if (argc != 2 || nn_load(&model, argv[1], NULL) != NN_OK) return 1;
    if (nn_get_shape(model, &shape) != NN_OK || shape.inputs > 64) return 2;
    outputs = (size_t)nn_outputs(model);
    if (outputs > 64) return 2;
    for (; fread(x, sizeof *x, (size_t)shape.inputs, stdin) == (size_t)shape.inputs; rows++) {
        if (nn_predict(model, x, 1, y, NULL) != NN_OK) return 3;
        predict(x, again);
        if (memcmp(y, again, outputs * sizeof *y) != 0) return 4;
        if (fwrite(y, sizeof *y, outputs, stdout) != outputs) return 5;
    }
    nn_model_free(model);
    return !rows;
}
