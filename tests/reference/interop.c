/* The C side of `make interop`: tests/reference/interop.py runs it beside PyTorch,
   tests/reference/onnx_files.py beside onnxruntime.

   interop save FOLDER             trains; writes plain.safetensors, scaled.safetensors (the same
                                   parameters with input scaling), targets.safetensors (with target
                                   scaling too) and checkpoint.safetensors; prints the rows as `x`,
                                   the outputs as `plain`, `scaled` and `targets`
   interop create FILE MODEL       saves a new model, for example 3,4:relu,2:linear, or with an image
                                   9x8x1,4k3x3s1x1same:relu,max2x2s2x2,average1x2s1x2,global,2:tanh;
                                   goes on as predict does
   interop predict FILE MODEL      loads FILE's parameters into MODEL; reads rows from the standard
                                   input and prints their outputs as `y`
   interop load FILE               the same with the model that FILE describes
   interop onnx FILE MODEL SCALING SEED
                                   makes a new model with the scaling (none, standard, min-max) of
                                   the rows on the standard input, with standard also a scaling of
                                   targets, and with the metadata "note"; writes it to FILE as ONNX;
                                   prints the outputs of these rows as `y`

   Numbers have 17 digits. Every failure ends with its sentence and status 1. */
#define NN_IMPLEMENTATION
#include "../../nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 3, OUTPUTS = 2, ROWS = 24, MAX_LAYERS = 16, MAX_ROW = 512, MAX_ROWS = 64 };

static int failed(const char *what, nn_status status, const nn_location *place)
{
    printf("error %d %s: %s %s\n", (int)status, what, nn_status_text(status),
           place ? place->name : "");
    return 1;
}

static void print_row(const char *name, const nn_real *values, int count)
{
    int i;
    printf("%s", name);
    for (i = 0; i < count; i++) printf(" %.17g", (double)values[i]);
    printf("\n");
}

static int print_outputs(const char *name, const nn_model *model, const nn_real *x)
{
    nn_real y[ROWS * OUTPUTS];
    nn_status status = nn_predict(model, x, ROWS, y, NULL);
    int row;
    if (status != NN_OK) return failed("nn_predict", status, NULL);
    for (row = 0; row < ROWS; row++) print_row(name, y + row * OUTPUTS, OUTPUTS);
    return 0;
}

/* Rows whose columns differ in place and width, so that scaling matters, and smooth targets. */
static void make_rows(nn_real *x, nn_real *y)
{
    int row;
    for (row = 0; row < ROWS; row++) {
        nn_real a = (nn_real)(row % 6), b = (nn_real)(row / 6), c = (nn_real)((row * 7) % 11);
        x[row * INPUTS] = 100 + 8 * a;
        x[row * INPUTS + 1] = b / 4 - 2;
        x[row * INPUTS + 2] = c * c / 16;
        y[row * OUTPUTS] = (a - b) / 4;
        y[row * OUTPUTS + 1] = (b * c - 8) / 16;
    }
}

static int save(const char *folder, const char *name, const nn_model *model,
                const nn_trainer *trainer)
{
    char path[512];
    nn_status status;
    snprintf(path, sizeof path, "%s/%s.safetensors", folder, name);
    status = trainer ? nn_save_checkpoint(trainer, path) : nn_save(model, path);
    return status == NN_OK ? 0 : failed(path, status, NULL);
}

static int train_and_save(nn_model *model, nn_trainer *trainer, const nn_data *data,
                          const char *folder)
{
    static const nn_real target_mean[] = {250000, (nn_real)-0.1};
    static const nn_real target_deviation[] = {90000, (nn_real)0.003};
    nn_status status = nn_trainer_fit(trainer, data);
    int row;
    if (status != NN_OK) return failed("nn_trainer_fit", status, NULL);
    for (row = 0; row < ROWS; row++) print_row("x", data->x + row * INPUTS, INPUTS);
    if (print_outputs("scaled", model, data->x)) return 1;
    status = nn_set_metadata(model, "note",
                             "\"quoted\", back\\slash, \t tab, \x01 \xc3\xa9 "
                             "\xe4\xb8\xad \xf0\x9f\x98\x80 {}[]:\x7f");
    if (status == NN_OK) status = nn_set_metadata(model, "class_names", "cat,\"dog, big\"");
    if (status != NN_OK) return failed("nn_set_metadata", status, NULL);
    if (save(folder, "scaled", model, NULL)) return 1;
    status = nn_set_target_scaling(model, target_mean, target_deviation);
    if (status != NN_OK) return failed("nn_set_target_scaling", status, NULL);
    if (print_outputs("targets", model, data->x) || save(folder, "targets", model, NULL)) return 1;
    status = nn_fit_target_scaling(model, NULL, NN_SCALE_NONE);
    if (status != NN_OK) return failed("nn_fit_target_scaling", status, NULL);
    if (save(folder, "checkpoint", model, trainer)) return 1;

    status = nn_fit_scaling(model, NULL, NN_SCALE_NONE);
    if (status != NN_OK) return failed("nn_fit_scaling", status, NULL);
    return print_outputs("plain", model, data->x) || save(folder, "plain", model, NULL);
}

static int run_save(const char *folder)
{
    const nn_layer layers[] = {NN_DENSE(8, NN_RELU), NN_DENSE(5, NN_TANH),
                               NN_DENSE(OUTPUTS, NN_LINEAR)};
    nn_real x[ROWS * INPUTS], y[ROWS * OUTPUTS];
    nn_options how;
    nn_data data;
    nn_model *model;
    nn_trainer *trainer = NULL;
    nn_status status;
    int bad;

    make_rows(x, y);
    memset(&data, 0, sizeof data);
    data.rows = ROWS;
    data.inputs = INPUTS;
    data.outputs = OUTPUTS;
    data.x = x;
    data.y = y;
    memset(&how, 0, sizeof how);
    how.optimizer = NN_ADAM;
    how.learning_rate = (nn_real)0.01;
    how.epochs = 40;
    how.batch_size = 8;
    how.scaling = NN_SCALE_STANDARD;
    if ((status = nn_model_create(&model, INPUTS, layers, 3, 1)) != NN_OK)
        return failed("nn_model_create", status, NULL);
    status = nn_trainer_create(&trainer, model, &how);
    bad = status == NN_OK ? train_and_save(model, trainer, &data, folder)
                          : failed("nn_trainer_create", status, NULL);
    nn_trainer_free(trainer);
    nn_model_free(model);
    return bad;
}

/* Reads rows from the standard input until its end and prints the model's outputs. */
static int predict_rows(const nn_model *model)
{
    nn_real x[MAX_ROW], y[MAX_ROW];
    nn_shape shape;
    double value;
    int count = 0;

    nn_get_shape(model, &shape);
    if (shape.inputs > MAX_ROW || nn_outputs(model) > MAX_ROW) return 1;
    while (scanf("%lf", &value) == 1) {
        x[count++] = (nn_real)value;
        if (count == shape.inputs) {
            nn_status status = nn_predict(model, x, 1, y, NULL);
            if (status != NN_OK) return failed("nn_predict", status, NULL);
            print_row("y", y, nn_outputs(model));
            count = 0;
        }
    }
    return count != 0;
}

/* Reads a layer with a window, or none: what is behind it, or NULL. */
static const char *parse_window(nn_layer *layer, const char *text)
{
    static const struct {
        const char *format;
        nn_layer_kind kind;
    } pools[] = {{"max%dx%ds%dx%d%n", NN_LAYER_MAX_POOL},
                 {"average%dx%ds%dx%d%n", NN_LAYER_AVERAGE_POOL},
                 {"global%n", NN_LAYER_GLOBAL_AVERAGE}};
    char padding[5] = "";
    int i, n = 0;

    for (i = 0; i < 3; i++) {
        memset(layer, 0, sizeof *layer);
        layer->kind = pools[i].kind;
        if (i == 2)
            sscanf(text, pools[i].format, &n);
        else
            sscanf(text, pools[i].format, &layer->height, &layer->width, &layer->stride_height,
                   &layer->stride_width, &n);
        if (n) return text + n;
    }
    memset(layer, 0, sizeof *layer);
    layer->kind = NN_LAYER_CONVOLUTION;
    sscanf(text, "%dk%dx%ds%dx%d%4[a-z]%n", &layer->channels, &layer->height, &layer->width,
           &layer->stride_height, &layer->stride_width, padding, &n);
    layer->padding = strcmp(padding, "same") ? NN_PADDING_NONE : NN_PADDING_SAME;
    return n ? text + n : NULL;
}

/* Makes a model from text such as 3,4:relu,2:linear. */
static nn_status parse_model(nn_model **model, const char *text, uint64_t seed)
{
    static const char *const names[] = {"linear",  "relu", "leaky_relu", "sigmoid", "tanh",
                                        "softmax", "elu",  "silu",       "gelu",    "softplus"};
    nn_layer layers[MAX_LAYERS];
    int inputs = atoi(text), count = 0, height, width, channels;

    memset(layers, 0, sizeof layers);
    if (sscanf(text, "%dx%dx%d", &height, &width, &channels) == 3) {
        const nn_layer image = NN_IMAGE(height, width, channels);
        layers[count++] = image;
        inputs = height * width * channels;
    }
    while ((text = strchr(text, ',')) != NULL && count < MAX_LAYERS) {
        char name[16] = "linear";
        const char *behind = parse_window(&layers[count], ++text);
        int i;
        if (behind) text = behind;
        if (!behind) memset(&layers[count], 0, sizeof *layers);
        if (behind ? *text == ':' && sscanf(text, ":%15[a-z_]", name) != 1
                   : sscanf(text, "%d:%15[a-z_]", &layers[count].width, name) != 2)
            return NN_ERROR_SIZE;
        for (i = 0; i < NN_ACTIVATION_COUNT && strcmp(names[i], name) != 0; i++) continue;
        layers[count++].activation = (nn_activation)i;
    }
    return nn_model_create(model, inputs, layers, count, seed);
}

/* Stores a recipe in the model by which input i, from 1 on, is i / 2 where it is missing. */
static nn_status set_recipe(nn_model *model, int inputs)
{
    char recipe[32 * (MAX_ROW + 2)];
    int length = sprintf(recipe, "table,%d,numbers,\",\",.\n", inputs + 1), i;

    for (i = 1; i <= inputs; i++) length += sprintf(recipe + length, "number,%d,%g\n", i, i / 2.0);
    sprintf(recipe + length, "target,%d\n", inputs + 1);
    return nn_set_metadata(model, "recipe", recipe);
}

/* Reads rows from the standard input until its end, scales the model's inputs by them, writes the
   model, and prints the outputs of the rows. */
static int export_rows(nn_model *model, const char *path, const char *scaling)
{
    static const char *const names[] = {"none", "standard", "min-max"};
    static nn_real x[MAX_ROWS * MAX_ROW], y[MAX_ROWS * MAX_ROW];
    nn_real mean[MAX_ROW], deviation[MAX_ROW];
    nn_shape shape;
    nn_data data;
    nn_status status;
    double value;
    int count = 0, outputs, row, kind;

    nn_get_shape(model, &shape);
    outputs = nn_outputs(model);
    if (shape.inputs > MAX_ROW || outputs > MAX_ROW) return 1;
    while (scanf("%lf", &value) == 1 && count < MAX_ROWS * shape.inputs)
        x[count++] = (nn_real)value;
    for (kind = 0; kind < 2 && strcmp(names[kind], scaling) != 0; kind++) continue;
    memset(&data, 0, sizeof data);
    data.rows = count / shape.inputs;
    data.inputs = shape.inputs;
    data.outputs = outputs;
    data.x = x;
    data.y = y;
    if ((status = nn_fit_scaling(model, &data, (nn_scaling)kind)) != NN_OK)
        return failed("nn_fit_scaling", status, NULL);
    for (row = 0; row < outputs; row++) {
        mean[row] = (nn_real)(100 * row - 50);
        deviation[row] = (nn_real)(row + 1) / 3;
    }
    if (kind == NN_SCALE_STANDARD && shape.layers[shape.count - 1].activation != NN_SOFTMAX &&
        (status = nn_set_target_scaling(model, mean, deviation)) != NN_OK)
        return failed("nn_set_target_scaling", status, NULL);
    if ((status = nn_set_metadata(model, "note", "caf\xc3\xa9,\n\"quoted\"")) != NN_OK)
        return failed("nn_set_metadata", status, NULL);
    if (kind == NN_SCALE_MIN_MAX && (status = set_recipe(model, shape.inputs)) != NN_OK)
        return failed("nn_set_metadata", status, NULL);
    if ((status = nn_export_onnx(model, path)) != NN_OK) return failed(path, status, NULL);
    if ((status = nn_predict(model, x, data.rows, y, NULL)) != NN_OK)
        return failed("nn_predict", status, NULL);
    for (row = 0; row < data.rows; row++) print_row("y", y + row * outputs, outputs);
    return 0;
}

int main(int argc, char **argv)
{
    nn_model *model = NULL;
    nn_location place = {0};
    nn_status status;
    int bad;

    if (argc == 3 && !strcmp(argv[1], "save")) return run_save(argv[2]);
    if (argc == 4 && !strcmp(argv[1], "create")) {
        status = parse_model(&model, argv[3], 1);
        if (status == NN_OK) status = nn_save(model, argv[2]);
    } else if (argc >= 4 && !strcmp(argv[1], "predict")) {
        const char *const *names = argc > 4 ? (const char *const *)(argv + 4) : NULL;
        status = parse_model(&model, argv[3], 1);
        if (status == NN_OK) status = nn_load_parameters(model, argv[2], names, &place);
    } else if (argc == 3 && !strcmp(argv[1], "load")) {
        status = nn_load(&model, argv[2], &place);
    } else if (argc == 6 && !strcmp(argv[1], "onnx")) {
        status = parse_model(&model, argv[3], strtoull(argv[5], NULL, 10));
    } else {
        fprintf(stderr, "usage: interop save FOLDER | create FILE MODEL | load FILE |\n"
                        "               predict FILE MODEL [NAME OF EACH LAYER...] |\n"
                        "               onnx FILE MODEL SCALING SEED\n");
        return 2;
    }
    bad = status != NN_OK   ? failed(argv[2], status, &place)
          : *argv[1] == 'o' ? export_rows(model, argv[2], argv[4])
                            : predict_rows(model);
    nn_model_free(model);
    return bad;
}
