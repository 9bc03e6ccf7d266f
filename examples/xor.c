/* Learns xor, the smallest problem that needs a hidden layer: creates a network, trains it, and
   prints its answers. The program reads no files.

       cc -O2 -I. examples/xor.c -o xor -lm && ./xor */

#define NN_IMPLEMENTATION
#include "../nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with a message when a call of the library failed. */
static void check(nn_status status)
{
    if (status == NN_OK) return;
    fprintf(stderr, "xor: %s\n", nn_status_text(status));
    exit(1);
}

int main(void)
{
    const nn_real x[] = {0, 0, 0, 1, 1, 0, 1, 1}; /* 4 rows of 2 inputs */
    const nn_real y[] = {0, 1, 1, 0};             /* 4 rows of 1 output */
    const nn_layer layers[] = {NN_DENSE(8, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
    nn_real answers[4];
    nn_metrics metrics;
    nn_options how;
    nn_data data;
    nn_model *model;
    int row;

    memset(&data, 0, sizeof data); /* zero means default */
    data.rows = 4;
    data.inputs = 2;
    data.outputs = 1;
    data.classes = 2;
    data.x = x;
    data.y = y;
    memset(&how, 0, sizeof how);
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.05f;
    how.epochs = 300;
    how.seed = 1;

    check(nn_model_create(&model, 2, layers, 2, 1)); /* 2 inputs, 2 layers, seed 1 */
    check(nn_fit(model, &data, &how));
    check(nn_evaluate(model, &data, &how, &metrics));
    check(nn_predict(model, x, 4, answers, NULL));
    for (row = 0; row < 4; row++)
        printf("%g xor %g = %.3f\n", x[2 * row], x[2 * row + 1], answers[row]);
    printf("loss %.4f, accuracy %.4f\n", metrics.loss, metrics.accuracy);
    nn_model_free(model);
    return 0;
}
