/* No heap and no files inside the library: all memory is static and belongs to the program, as on
   a microcontroller. Trains a small network batch by batch, saves it to memory, loads it into a
   second model, and predicts with that one.

       cc -O2 -I. examples/static_memory.c -o static_memory -lm && ./static_memory */

#define NN_NO_MALLOC
#define NN_NO_STDIO
#define NN_IMPLEMENTATION
#include "../nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A block aligned as malloc aligns. Its size is a guess that nn_create_in checks; the program
   prints what was needed. */
typedef union block {
    long double alignment;
    unsigned char bytes[4096];
} block;

static block model_memory, trainer_memory, copy_memory, scratch;
static unsigned char file[4096];

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
    const nn_layer layers[] = {{8, NN_TANH}, {1, NN_SIGMOID}};
    const nn_shape shape = {2, layers, 2}; /* 2 inputs, 2 layers */
    nn_real answers[4];
    nn_options how;
    nn_model *model, *copy;
    nn_trainer *trainer;
    nn_real loss = 0;
    size_t size;
    int step, row;

    memset(&how, 0, sizeof how); /* what is zero has its default */
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.05f;
    how.batch_size = 4; /* the trainer's memory holds one batch */
    how.seed = 1;

    check(nn_create_in(&model, &model_memory, sizeof model_memory, &shape, 1)); /* seed 1 */
    check(nn_trainer_create_in(&trainer, &trainer_memory, sizeof trainer_memory, model, &how));
    printf("model   %5lu bytes\n", (unsigned long)nn_model_size(&shape));
    printf("trainer %5lu bytes\n", (unsigned long)nn_trainer_size(model, &how));

    for (step = 1; step <= 300; step++) {
        check(nn_train_batch(trainer, x, y, 4, &loss));
        if (step % 100 == 0) printf("step %d: loss %.4f\n", step, loss);
    }

    check(nn_save_memory(model, file, sizeof file, &size));
    printf("saved   %5lu bytes\n", (unsigned long)size);
    check(nn_create_in(&copy, &copy_memory, sizeof copy_memory, &shape, 2));
    check(nn_load_parameters_memory(copy, file, size, NULL));

    if (nn_scratch_size(copy, 4) > sizeof scratch) check(NN_ERROR_BLOCK);
    printf("scratch %5lu bytes\n", (unsigned long)nn_scratch_size(copy, 4));
    check(nn_predict(copy, x, 4, answers, &scratch));
    for (row = 0; row < 4; row++)
        printf("%g xor %g = %.3f\n", (double)x[2 * row], (double)x[2 * row + 1],
               (double)answers[row]);
    return 0; /* nothing to free */
}
