/* Firmware that trains nets of every kind of layer on images, on the device: embedded.sh builds and
   runs it. It saves each to memory, loads that into a second model, opens it where it lies, and
   predicts with all three. What it prints must be the same text on every machine, and on the PC.
   Where int has 16 bits, shapes that it cannot count must be refused.

   NATIVE and NN_NO_FMA are as in embedded.c. */

#ifndef NATIVE
#define NN_NO_STDIO
#define NN_NO_MALLOC
#define NN_NO_SIMD
#endif
#define NN_ONLY_ACTIVATIONS (1u << NN_LINEAR | 1u << NN_TANH | 1u << NN_SILU | 1u << NN_SOFTMAX)
#define NN_ONLY_LOSSES      (1u << NN_CROSS_ENTROPY)
#define NN_ONLY_OPTIMIZERS  (1u << NN_SGD)
#define NN_STATIC

#include "embedded.h"

static void broken_assertion(void)
{
    put_text("FAILED: an assertion of nn.h\n");
    machine_end();
}

#define NN_ASSERT(condition) ((condition) ? (void)0 : broken_assertion())
#define NN_IMPLEMENTATION
#include "nn.h"

#include <limits.h>

enum { HEIGHT = 5, WIDTH = 4, CHANNELS = 2, INPUTS = HEIGHT * WIDTH * CHANNELS };
enum { OUTPUTS = 3, ROWS = 3, STEPS = 30 };

#if defined(NATIVE)
enum { MICRO_BATCH = ROWS, MODEL_BYTES = 32768, TRAINER_BYTES = 8192 };
#elif defined(__AVR__)
enum { MICRO_BATCH = 1, MODEL_BYTES = 1504, TRAINER_BYTES = 1792 }; /* of 8 kB for all */
#else
enum { MICRO_BATCH = 1, MODEL_BYTES = 1792, TRAINER_BYTES = 1856 };
#endif

/* Padding, strides, windows that overlap, pixels that no window reaches, an activation whose
   derivative needs z; in the second net a dense layer that takes an image. */
static const nn_layer deep[] = {
    NN_IMAGE(HEIGHT, WIDTH, CHANNELS), NN_CONVOLUTION(3, 3, 2, 2, 1, NN_PADDING_SAME, NN_TANH),
    NN_MAX_POOL(2, 2, 1, 2),           NN_CONV2D(3, 2, 1, NN_PADDING_SAME, NN_SILU),
    NN_AVERAGE_POOL(1, 2, 1, 1),       NN_GLOBAL_AVERAGE,
    NN_DENSE(OUTPUTS, NN_SOFTMAX)};
static const nn_layer flat[] = {NN_IMAGE(HEIGHT, WIDTH, CHANNELS),
                                NN_CONV2D(3, 3, 2, NN_PADDING_NONE, NN_TANH),
                                NN_DENSE(OUTPUTS, NN_SOFTMAX)};

static unsigned char model_memory[MODEL_BYTES], other_memory[MODEL_BYTES];
static unsigned char trainer_memory[TRAINER_BYTES];
static nn_real x[ROWS * INPUTS], answers[ROWS * OUTPUTS], other_answers[ROWS * OUTPUTS];

/* Random numbers from -1 to 1 that float and double hold exactly (the generator of Numerical
   Recipes). */
static void draw_images(void)
{
    uint32_t state = 1;
    int i;

    for (i = 0; i < ROWS * INPUTS; i++) {
        state = state * UINT32_C(1664525) + UINT32_C(1013904223);
        x[i] = (nn_real)(int)(state >> 24) / 128 - 1;
    }
}

static void train(nn_model *model, const nn_options *how)
{
    nn_real y[ROWS * OUTPUTS] = {0}, loss = 0, first = 0;
    nn_trainer *trainer;
    nn_status status;
    int step;

    for (step = 0; step < ROWS; step++) y[step * OUTPUTS + step % OUTPUTS] = 1;
    put_note("trainer_bytes", nn_trainer_size(model, how));
    status = nn_trainer_create_in(&trainer, trainer_memory, sizeof trainer_memory, model, how);
    check(status == NN_OK, "nn_trainer_create_in");
    for (step = 0; step < STEPS && status == NN_OK; step++) {
        status = nn_train_batch(trainer, x, y, ROWS, &loss);
        if (step == 0) first = loss;
        if (step % 10 == 0 || step == STEPS - 1) {
            put_text("loss ");
            put_real(loss);
            put_text("\n");
        }
    }
    check(status == NN_OK, "nn_train_batch");
    check(loss < first / 2, "what it has learned");
}

static void check_other(const nn_model *other, const char *what)
{
    check(nn_predict(other, x, ROWS, other_answers, NULL) == NN_OK &&
              memcmp(answers, other_answers, sizeof answers) == 0,
          what);
}

/* Saves the model to the trainer's memory, loads it into another one, and opens it. */
static void copy(const nn_model *model, const nn_shape *shape)
{
    nn_model *other;
    size_t size;

    check(nn_save_memory(model, trainer_memory, sizeof trainer_memory, &size) == NN_OK,
          "nn_save_memory");
    check(nn_model_create_in(&other, other_memory, sizeof other_memory, shape, 2) == NN_OK,
          "another model");
    if (failed) return;
    check(nn_load_parameters_memory(other, trainer_memory, size, NULL, NULL) == NN_OK,
          "nn_load_parameters_memory");
    check_other(other, "the loaded model's predictions");
    check(nn_model_open_in(&other, other_memory, sizeof other_memory, trainer_memory, size) ==
              NN_OK,
          "nn_model_open_in");
    if (!failed) check_other(other, "the opened file's predictions");
}

static void run(const nn_layer *layers, int count)
{
    nn_options how;
    nn_shape shape;
    nn_model *model;

    memset(&how, 0, sizeof how);
    how.loss = NN_CROSS_ENTROPY;
    how.learning_rate = 0.2f;
    how.momentum = 0.9f;
    how.batch_size = ROWS;
    how.micro_batch_size = MICRO_BATCH;
    shape.inputs = INPUTS;
    shape.layers = layers;
    shape.count = count;
    put_note("model_bytes", nn_model_size(&shape));
    check(nn_model_create_in(&model, model_memory, sizeof model_memory, &shape, 1) == NN_OK,
          "nn_model_create_in");
    if (failed) return;
    train(model, &how);
    check(nn_predict(model, x, ROWS, answers, NULL) == NN_OK, "nn_predict");
    copy(model, &shape);
    put_hash("weights", model->parameters, model->parameter_count);
    put_hash("predictions", answers, ROWS * OUTPUTS);
}

/* Shapes whose numbers have more than 16 bits, and of those the lowest 16 bits fit. */
static void check_shapes(void)
{
    static const nn_layer image[] = {NN_IMAGE(1, 257, 256), NN_DENSE(1, NN_LINEAR)};
    nn_shape shape = {256, image, 2};

    check(nn_check_shape(&shape, NULL) == NN_ERROR_IMAGE, "an image of 2^16 + 256 numbers");
#if INT_MAX == 32767
    {
        static const nn_layer wide[] = {NN_IMAGE(1, 16, 3),
                                        NN_CONV1D(4682, 3, 1, NN_PADDING_NONE, NN_LINEAR)};
        static const nn_layer kernels[] = {NN_IMAGE(1, 16, 3),
                                           NN_CONV1D(2000, 3, 1, NN_PADDING_NONE, NN_LINEAR)};
        static const nn_layer padded[] = {NN_IMAGE(1, 16, 3),
                                          NN_CONV1D(1, 21846, 1, NN_PADDING_SAME, NN_LINEAR)};

        shape.inputs = 48;
        shape.layers = wide;
        check(nn_check_shape(&shape, NULL) == NN_ERROR_OVERFLOW, "14 x 4682 outputs");
        shape.layers = padded;
        check(nn_check_shape(&shape, NULL) == NN_ERROR_OVERFLOW, "21861 x 3 padded inputs");
        shape.layers = kernels;
        check(nn_check_shape(&shape, NULL) == NN_OK && nn_model_size(&shape) == 0, "80000 bytes");
    }
#endif
}

int main(void)
{
    machine_begin();
    put_text("# unit " CLOCK_NAME "\n");
    draw_images();
    check_shapes();
    run(flat, (int)(sizeof flat / sizeof *flat));
    run(deep, (int)(sizeof deep / sizeof *deep));
    put_text(failed ? "FAILED\n" : "done\n");
    machine_end();
    return failed;
}
