/* Learns xor on a microcontroller, without heap, files or double. All memory is static, and its
   size is known at compile time. README.md beside this file says how to compile it. On a PC:

       cc -O2 -I../.. xor.c -o xor -lm && ./xor && echo learned */

#define NN_NO_STDIO
#define NN_NO_MALLOC
#define NN_NO_CONVOLUTION
#define NN_STATIC /* the compiler leaves out functions that are not called */
#define NN_ONLY_ACTIVATIONS (1u << NN_TANH | 1u << NN_SIGMOID) /* and operations that are not used */
#define NN_ONLY_LOSSES      (1u << NN_BINARY_CROSS_ENTROPY)
#define NN_ONLY_OPTIMIZERS  (1u << NN_ADAM)
#define NN_IMPLEMENTATION
#include "nn.h"

/* The macros take the inputs, then the width of each layer. NN_TRAINER_SIZE takes before them the
   arrays of state for each parameter (Adam has 2) and the rows at a time (micro_batch_size). */
static unsigned char model_memory[NN_MODEL_SIZE(2, 8, 1)];
static unsigned char trainer_memory[NN_TRAINER_SIZE(2, 1, 2, 8, 1)];

static const nn_layer layers[] = {NN_DENSE(8, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
static const nn_shape shape = {2, layers, 2}; /* 2 inputs, 2 layers */
static const nn_real x[] = {0, 0, 0, 1, 1, 0, 1, 1}, y[] = {0, 1, 1, 0};

int main(void)
{
    nn_options how = {0}; /* zero means default; must outlive the trainer */
    nn_model *model;
    nn_trainer *trainer;
    nn_real p[4], loss = 1;

    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.05f;
    how.batch_size = 4;       /* rows for one update */
    how.micro_batch_size = 1; /* rows in memory at a time; it does not change the result */
    if (nn_model_create_in(&model, model_memory, sizeof model_memory, &shape, 1) != NN_OK ||
        nn_trainer_create_in(&trainer, trainer_memory, sizeof trainer_memory, model, &how) != NN_OK)
        return 1;
    while (loss > 0.05f)
        if (nn_train_batch(trainer, x, y, 4, &loss) != NN_OK) return 1;
    if (nn_predict(model, x, 4, p, NULL) != NN_OK) return 1;
    return p[0] > 0.5f || p[1] < 0.5f || p[2] < 0.5f || p[3] > 0.5f; /* 0: it has learned xor */
}
