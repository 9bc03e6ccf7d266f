/* Works without a heap and without files, as on a microcontroller: all memory is static and belongs
   to the program. The program trains a small network batch by batch, saves it to an array, opens
   the array as a model without copying the weights, and predicts.

       cc -O2 -I. examples/static_memory.c -o static_memory -lm && ./static_memory */

#define NN_NO_MALLOC
#define NN_NO_STDIO
#define NN_IMPLEMENTATION
#include "../nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The network has 2 inputs, 8 hidden units and 1 output. NN_TRAINER_SIZE begins with the arrays of
   state for each parameter (Adam has 2) and the rows at a time (micro_batch_size). */
static unsigned char model_memory[NN_MODEL_SIZE(2, 8, 1)];
static unsigned char trainer_memory[NN_TRAINER_SIZE(2, 1, 2, 8, 1)];
static unsigned char opened_memory[NN_MODEL_OPEN_SIZE(2, 8, 1)];
static unsigned char file[1024];

/* Ends the program with a message when a call of the library failed. */
static void check(nn_status status)
{
    if (status == NN_OK) return;
    printf("static_memory: %s\n", nn_status_text(status));
    exit(1);
}

int main(void)
{
    const nn_real x[] = {0, 0, 0, 1, 1, 0, 1, 1}; /* 4 rows of 2 inputs */
    const nn_real y[] = {0, 1, 1, 0};             /* 4 rows of 1 output */
    const nn_layer layers[] = {NN_DENSE(8, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
    const nn_shape shape = {2, layers, 2}; /* 2 inputs, 2 layers */
    nn_real answers[4], loss = 0;
    nn_options how; /* must outlive the trainer */
    nn_model *model, *opened;
    nn_trainer *trainer;
    size_t size;
    int step, row;

    memset(&how, 0, sizeof how); /* zero means default */
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.05f;
    how.batch_size = 4;
    how.micro_batch_size = 1;
    how.seed = 1;

    check(nn_model_create_in(&model, model_memory, sizeof model_memory, &shape, 1)); /* seed 1 */
    check(nn_trainer_create_in(&trainer, trainer_memory, sizeof trainer_memory, model, &how));
    printf("model   %5lu bytes\n", (unsigned long)sizeof model_memory);
    printf("trainer %5lu bytes\n", (unsigned long)sizeof trainer_memory);

    for (step = 1; step <= 300; step++) {
        check(nn_train_batch(trainer, x, y, 4, &loss));
        if (step % 100 == 0) printf("step %d: loss %.4f\n", step, (double)loss);
    }

    check(nn_save_memory(model, file, sizeof file, &size));
    printf("saved   %5lu bytes\n", (unsigned long)size);
    check(nn_model_open_in(&opened, opened_memory, sizeof opened_memory, file, size));
    printf("opened  %5lu bytes\n", (unsigned long)sizeof opened_memory);
    check(nn_predict(opened, x, 4, answers, NULL));
    for (row = 0; row < 4; row++)
        printf("%g xor %g = %.3f\n", (double)x[2 * row], (double)x[2 * row + 1],
               (double)answers[row]);
    return 0; /* nothing to free */
}
