/* A user's program that needs nothing that a switch of nn.h takes away, for header.sh. */
#include "nn.h"

static unsigned char memory[NN_MODEL_SIZE(2, 3, 1)];
static void *none; /* NULL itself is a warning in C++ */

int main(void)
{
    static const nn_layer layers[] = {NN_DENSE(3, NN_TANH), NN_DENSE(1, NN_LINEAR)};
    const nn_real x[2] = {1, 2};
    nn_real y = 100;
    nn_shape shape;
    nn_model *model;

    shape.inputs = 2;
    shape.layers = layers;
    shape.count = 2;
    if (nn_model_create_in(&model, memory, sizeof memory, &shape, 1) != NN_OK) return 1;
    if (nn_predict(model, x, 1, &y, none) != NN_OK || !(y > -4 && y < 4)) return 2;
    nn_model_free(model);
    return 0;
}
