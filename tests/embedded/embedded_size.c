/* Programs whose code is weighed: embedded.sh links each with nn.h compiled on its own, for a
   microcontroller, and counts what nn.h and the libraries behind it take. PROGRAM is which. Each
   compiles in the operations that it uses, or under ALL_OPERATIONS all of them. */

#ifndef ALL_OPERATIONS
#define NN_ONLY_ACTIVATIONS (1u << NN_RELU | 1u << NN_SIGMOID)
#define NN_ONLY_LOSSES      (1u << NN_BINARY_CROSS_ENTROPY)
#define NN_ONLY_OPTIMIZERS  (1u << NN_ADAM)
#define NN_ONLY_LAYERS                                                                             \
    (1u << NN_LAYER_IMAGE | 1u << NN_LAYER_CONVOLUTION | 1u << NN_LAYER_MAX_POOL |                 \
     1u << NN_LAYER_DENSE)
#define NN_ONLY_PADDINGS (1u << NN_PADDING_NONE)
#endif

#define TRAIN_BATCH 1 /* create, train by batches, predict */
#define FIT         2 /* the same with nn_trainer_fit and nn_evaluate */
#define PREDICT     3 /* create, load parameters from an array, predict; under NN_NO_TRAIN */
#define OPEN        4 /* open a saved file in flash, predict; under NN_NO_TRAIN */
#define OPEN_IMAGE  5 /* the same where the file may have convolutions and pools */

#if PROGRAM != OPEN_IMAGE
#define NN_NO_CONVOLUTION
#endif
#define NN_NO_STDIO
#define NN_NO_MALLOC
#define NN_NO_SIMD
#include "nn.h"

#include <string.h>

static unsigned char model_memory[NN_MODEL_SIZE(2, 8, 1)];
static nn_real answers[4];

#if PROGRAM == PREDICT

static const nn_real weights[33] = {1, 2, 3};

/* Where a network's parameters come from, whatever stored them. */
static void load(nn_model *model)
{
    memcpy(nn_parameters(model), weights, sizeof weights);
}

#elif PROGRAM == OPEN || PROGRAM == OPEN_IMAGE

static const unsigned char *volatile file; /* where it is in flash */

#else

static unsigned char trainer_memory[NN_TRAINER_SIZE(2, 1, 2, 8, 1)];
static const nn_real targets[4] = {0, 1, 1, 0};
/* Volatile, so that the compiler leaves out no other loss or optimizer that is compiled in. */
static volatile nn_loss loss = NN_BINARY_CROSS_ENTROPY;
static volatile nn_optimizer optimizer = NN_ADAM;

#endif

static const nn_real inputs[8] = {0, 0, 0, 1, 1, 0, 1, 1};

#if PROGRAM == FIT
static int go_on(const nn_progress *progress, void *user)
{
    (void)progress;
    (void)user;
    return 0;
}
#endif

#if PROGRAM == TRAIN_BATCH || PROGRAM == FIT
static nn_status train(nn_model *model)
{
    nn_options how;
    nn_trainer *trainer;
    nn_status status;

    memset(&how, 0, sizeof how);
    how.loss = loss;
    how.optimizer = optimizer;
    how.batch_size = 4;
    how.micro_batch_size = 1;
#if PROGRAM == FIT
    how.scaling = NN_SCALE_STANDARD;
    how.callback = go_on;
#endif
    status = nn_trainer_create_in(&trainer, trainer_memory, sizeof trainer_memory, model, &how);
    if (status != NN_OK) return status;
#if PROGRAM == FIT
    {
        nn_data data;
        nn_metrics metrics;

        memset(&data, 0, sizeof data);
        data.rows = 4;
        data.inputs = 2;
        data.outputs = 1;
        data.classes = 2;
        data.x = inputs;
        data.y = targets;
        status = nn_trainer_fit(trainer, &data);
        if (status == NN_OK) status = nn_evaluate(model, &data, &how, &metrics);
    }
#else
    status = nn_train_batch(trainer, inputs, targets, 4, NULL);
#endif
    return status;
}
#endif

#if PROGRAM == OPEN || PROGRAM == OPEN_IMAGE

int main(void)
{
    nn_model *model;

    if (nn_model_open_in(&model, model_memory, sizeof model_memory, file, 900) != NN_OK) return 1;
    return nn_predict(model, inputs, 4, answers, NULL) != NN_OK;
}

#else

int main(void)
{
    const nn_layer layers[] = {NN_DENSE(8, NN_RELU), NN_DENSE(1, NN_SIGMOID)};
    nn_shape shape;
    nn_model *model;

    shape.inputs = 2;
    shape.layers = layers;
    shape.count = 2;
    if (nn_model_create_in(&model, model_memory, sizeof model_memory, &shape, 1) != NN_OK) return 1;
#if PROGRAM == PREDICT
    load(model);
#else
    if (train(model) != NN_OK) return 1;
#endif
    return nn_predict(model, inputs, 4, answers, NULL) != NN_OK;
}

#endif
