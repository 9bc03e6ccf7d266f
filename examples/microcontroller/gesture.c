/* Learns on a microcontroller to tell three gestures apart by a convolution over the samples of an
   accelerometer, without heap, files or double. The samples are in flash, in gestures.h. They are
   simulated: make_gestures.c says how. A linear model cannot tell the two circles apart, because
   they begin anywhere; the convolution sees the order of three samples, wherever they are.

   README.md beside this file says how to compile it. On a PC, with the same result:

       cc -O2 -DPRINT -I../.. gesture.c -o gesture -lm && ./gesture && echo learned

   A processor without a fused multiply-add needs -DNN_NO_FMA, and then the PC does too. */

#define NN_NO_STDIO
#define NN_NO_MALLOC
#define NN_NO_OPEN
#define NN_STATIC /* the compiler leaves out functions that are not called */
/* and operations that are not used */
#define NN_ONLY_LAYERS                                                                             \
    (1u << NN_LAYER_IMAGE | 1u << NN_LAYER_CONVOLUTION | 1u << NN_LAYER_MAX_POOL |                 \
     1u << NN_LAYER_DENSE)
#define NN_ONLY_PADDINGS    (1u << NN_PADDING_NONE)
#define NN_ONLY_ACTIVATIONS (1u << NN_LINEAR | 1u << NN_RELU | 1u << NN_SOFTMAX)
#define NN_ONLY_LOSSES      (1u << NN_CROSS_ENTROPY)
#define NN_ONLY_OPTIMIZERS  (1u << NN_SGD)
#define NN_IMPLEMENTATION
#include "nn.h"

/* On AVR, constants are in RAM unless they are told to stay in flash. */
#ifdef __AVR__
#include <avr/pgmspace.h>
#define FLASH         PROGMEM
#define FROM_FLASH(p) ((signed char)pgm_read_byte(p))
#else
#define FLASH
#define FROM_FLASH(p) (*(p))
#endif
#include "gestures.h"

/* Where results go: nowhere, unless the program is told. */
#ifdef PRINT
#include <stdio.h>
#define REPORT(what, number) printf("%s %lu\n", what, (unsigned long)(number))
#endif
#ifndef REPORT
#define REPORT(what, number) ((void)(what), (void)(number))
#endif

enum { AXES = 3, INPUTS = SAMPLES * AXES, EPOCHS = 20 };

static const nn_layer layers[] = {
    NN_IMAGE(1, SAMPLES, AXES),                   /* a sequence is an image of height 1 */
    NN_CONV1D(8, 3, 1, NN_PADDING_NONE, NN_RELU), /* 14 positions of 8 channels */
    NN_MAX_POOL1D(4, 4),                          /* 3 positions of 8 channels */
    NN_DENSE(CLASSES, NN_SOFTMAX)};
static const nn_shape shape = {INPUTS, layers, 4};

/* nn_model_size and nn_trainer_size say how much is needed: on a PC more than on a device, because
   its pointers and its vectors are wider. */
static unsigned char model_memory[sizeof(void *) > 4 ? 4096 : 1952];
static unsigned char trainer_memory[sizeof(void *) > 4 ? 4096 : 2032];

/* x[INPUTS] becomes a row in flash, in units of gravity. */
static void read_row(const signed char *row, nn_real *x)
{
    int i;

    for (i = 0; i < INPUTS; i++) x[i] = (nn_real)FROM_FLASH(row + i) / 64;
}

/* Trains with one row at a time, as it would come from the sensor. */
static nn_status train(nn_model *model)
{
    static nn_options how; /* zero means default; must outlive the trainer */
    nn_real x[INPUTS], y[CLASSES] = {0}, loss, sum;
    nn_trainer *trainer;
    nn_status status;
    int epoch, row;

    how.loss = NN_CROSS_ENTROPY;
    how.learning_rate = 0.05f;
    how.batch_size = 1; /* rows for one update; the activations of one row are all that is held */
    REPORT("trainer_bytes", nn_trainer_size(model, &how));
    status = nn_trainer_create_in(&trainer, trainer_memory, sizeof trainer_memory, model, &how);
    for (epoch = 0; status == NN_OK && epoch < EPOCHS; epoch++) {
        for (sum = 0, row = 0; status == NN_OK && row < TRAIN_ROWS; row++, sum += loss) {
            read_row(train_rows + row * INPUTS, x);
            y[row % CLASSES] = 1;
            status = nn_train_batch(trainer, x, y, 1, &loss);
            y[row % CLASSES] = 0;
        }
        REPORT("loss_in_thousandths", sum * 1000 / TRAIN_ROWS);
    }
    return status;
}

/* Returns how many of the test rows the model predicts correctly. */
static int test(const nn_model *model)
{
    nn_real x[INPUTS];
    int row, guess, correct = 0;

    for (row = 0; row < TEST_ROWS; row++) {
        read_row(test_rows + row * INPUTS, x);
        if (nn_predict_classes(model, x, 1, &guess, NULL) == NN_OK)
            correct += guess == row % CLASSES;
    }
    return correct;
}

/* FNV-1a with 32 bits over the bits of the weights, lowest byte first. */
static uint32_t hash_weights(nn_model *model)
{
    const nn_real *weights = nn_parameters(model);
    uint32_t hash = 0x811c9dc5, bits;
    size_t i;
    int shift;

    for (i = 0; i < nn_parameter_count(model); i++) {
        memcpy(&bits, weights + i, sizeof bits);
        for (shift = 0; shift < 32; shift += 8)
            hash = (hash ^ ((bits >> shift) & 255)) * 0x01000193;
    }
    return hash;
}

int main(void)
{
    nn_model *model;
    int correct;

    REPORT("model_bytes", nn_model_size(&shape));
    if (nn_model_create_in(&model, model_memory, sizeof model_memory, &shape, 1) != NN_OK) return 1;
    if (train(model) != NN_OK) return 1;
    correct = test(model);
    REPORT("correct_percent", correct * 100 / TEST_ROWS);
    REPORT("weights", hash_weights(model));
    return correct < TEST_ROWS * 9 / 10; /* 0: it has learned the gestures */
}
