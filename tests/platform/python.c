/* What a C program makes of the data and options of python_wheel.py, which expects the same bytes:

       python CASE FOLDER

   FOLDER has the arrays as raw numbers: train.x, train.y, train.labels, train.weight, and the same
   of the validation rows; those that are not there are NULL. The program writes c.safetensors,
   c.history (nn_epoch), c.outputs (of the training rows), c.metrics (nn_metrics) and c.again: the
   outputs of the model in python.safetensors. */
#include "../../nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void check(nn_status status, const char *doing)
{
    if (status == NN_OK) return;
    fprintf(stderr, "python.c: %s: %s\n", doing, nn_status_text(status));
    exit(1);
}

static FILE *open_in(const char *folder, const char *name, const char *mode)
{
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return fopen(path, mode);
}

/* Returns the bytes of a file; NULL when it is not there. */
static void *read_array(const char *folder, const char *set, const char *name, long *size)
{
    char file[64];
    FILE *stream;
    void *bytes;

    snprintf(file, sizeof file, "%s.%s", set, name);
    *size = 0;
    stream = open_in(folder, file, "rb");
    if (!stream) return NULL;
    fseek(stream, 0, SEEK_END);
    *size = ftell(stream);
    rewind(stream);
    bytes = malloc((size_t)*size);
    if (!bytes || fread(bytes, 1, (size_t)*size, stream) != (size_t)*size) exit(1);
    fclose(stream);
    return bytes;
}

static void write_array(const char *folder, const char *name, const void *bytes, size_t size)
{
    FILE *stream = open_in(folder, name, "wb");
    if (!stream || fwrite(bytes, 1, size, stream) != size || fclose(stream) != 0) exit(1);
}

static void read_data(nn_data *data, const char *folder, const char *set, int inputs, int outputs)
{
    long size, bytes;

    memset(data, 0, sizeof *data);
    data->inputs = inputs;
    data->outputs = outputs;
    data->x = (const nn_real *)read_array(folder, set, "x", &bytes);
    data->y = (const nn_real *)read_array(folder, set, "y", &size);
    data->labels = (const int *)read_array(folder, set, "labels", &size);
    data->weight = (const nn_real *)read_array(folder, set, "weight", &size);
    data->classes = data->labels ? outputs == 1 ? 2 : outputs : 0;
    data->rows = (int)(bytes / (long)sizeof(nn_real) / inputs);
}

/* Two classes: Adam, early stopping, scaling. */
static const nn_layer classes_layers[] = {NN_DENSE(16, NN_GELU), NN_DENSE(1, NN_SIGMOID)};

static void classes_options(nn_options *how)
{
    how->loss = NN_BINARY_CROSS_ENTROPY;
    how->optimizer = NN_ADAM;
    how->learning_rate = 0.01f;
    how->beta1 = NN_ZERO;
    how->weight_decay = 0.001f;
    how->batch_size = 7;
    how->epochs = 30;
    how->scaling = NN_SCALE_STANDARD;
    how->validation_fraction = 0.25f;
    how->patience = 5;
    how->balance_classes = 1;
    how->seed = 18446744073709551615u;
}

/* Two numbers: RMSprop, dropout, a schedule, row weights, validation rows. */
static const nn_layer numbers_layers[] = {NN_DENSE(12, NN_TANH), NN_DENSE(9, NN_RELU),
                                          NN_DENSE(2, NN_LINEAR)};
static const nn_real numbers_dropout[] = {0.25f, 0.5f, 0};

static void numbers_options(nn_options *how)
{
    how->loss = NN_HUBER;
    how->huber_delta = 0.7f;
    how->optimizer = NN_RMSPROP;
    how->momentum = 0.5f;
    how->learning_rate = 0.003f;
    how->schedule = NN_SCHEDULE_COSINE;
    how->minimum_learning_rate = 0.0001f;
    how->warmup_steps = 5;
    how->clip_norm = 1;
    how->batch_size = 10;
    how->micro_batch_size = 4;
    how->epochs = 12;
    how->target_scaling = NN_SCALE_STANDARD;
    how->dropout = numbers_dropout;
}

/* Images in three classes: SGD, class weights. */
static const nn_layer images_layers[] = {
    NN_IMAGE(6, 5, 2),       NN_CONV2D(4, 3, 1, NN_PADDING_SAME, NN_RELU),
    NN_MAX_POOL2D(2, 2),     NN_CONVOLUTION(5, 2, 1, 1, 1, NN_PADDING_NONE, NN_ELU),
    NN_AVERAGE_POOL1D(2, 1), NN_DENSE(3, NN_SOFTMAX)};
static const nn_real images_weights[] = {1, 0.5f, 2};

static void images_options(nn_options *how)
{
    how->loss = NN_CROSS_ENTROPY;
    how->label_smoothing = 0.1f;
    how->momentum = 0.9f;
    how->nesterov = 1;
    how->epochs = 6;
    how->class_weights = images_weights;
    how->seed = 3;
}

static const struct {
    const char *name;
    int inputs, outputs, count;
    const nn_layer *layers;
    void (*options)(nn_options *how);
} cases[] = {{"classes", 3, 1, 2, classes_layers, classes_options},
             {"numbers", 5, 2, 3, numbers_layers, numbers_options},
             {"images", 60, 3, 6, images_layers, images_options}};

static void write_outputs(const nn_model *model, const nn_data *data, const char *folder,
                          const char *name)
{
    const size_t size = (size_t)data->rows * (size_t)data->outputs * sizeof(nn_real);
    nn_real *y = (nn_real *)malloc(size);

    if (!y) exit(1);
    check(nn_predict(model, data->x, data->rows, y, NULL), "predicting");
    write_array(folder, name, y, size);
    free(y);
}

static void run(int i, const char *folder)
{
    static nn_epoch epochs[100];
    nn_history history = {epochs, 100, 0};
    nn_options how;
    nn_data train, validation;
    nn_metrics metrics;
    nn_model *model, *again;
    char path[1024];

    memset(&how, 0, sizeof how);
    cases[i].options(&how);
    how.history = &history;
    read_data(&train, folder, "train", cases[i].inputs, cases[i].outputs);
    read_data(&validation, folder, "validation", cases[i].inputs, cases[i].outputs);
    if (validation.x) how.validation = &validation;
    check(nn_model_create(&model, cases[i].inputs, cases[i].layers, cases[i].count, 11),
          "creating");
    check(nn_fit(model, &train, &how), "training");
    check(nn_evaluate(model, &train, &how, &metrics), "evaluating");
    write_array(folder, "c.history", epochs, (size_t)history.count * sizeof *epochs);
    write_array(folder, "c.metrics", &metrics, sizeof metrics);
    write_outputs(model, &train, folder, "c.outputs");
    snprintf(path, sizeof path, "%s/c.safetensors", folder);
    check(nn_save(model, path), "saving");
    snprintf(path, sizeof path, "%s/python.safetensors", folder);
    check(nn_load(&again, path, NULL), "loading");
    write_outputs(again, &train, folder, "c.again");
    nn_model_free(again);
    nn_model_free(model);
}

int main(int argc, char **argv)
{
    size_t i;

    for (i = 0; argc == 3 && i < sizeof cases / sizeof *cases; i++)
        if (!strcmp(argv[1], cases[i].name)) {
            run((int)i, argv[2]);
            return 0;
        }
    fprintf(stderr, "usage: python CASE FOLDER\n");
    return 2;
}
