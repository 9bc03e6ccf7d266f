/* Writes a saved model as a C file with one function. A program or a microcontroller can call that
   function without this library. Or writes it as an ONNX file, for programs with an ONNX runtime.

       cc -O2 -I. examples/export.c -o export -lm
       ./export MODEL.safetensors OUT.c [NAME [float|int8 [DATA.csv]]]
       ./export MODEL.safetensors OUT.onnx

   NAME is the name of the function, by default "predict". With int8, a weight takes one byte. With
   DATA.csv, whose last column or columns are the targets, the program prints loss and accuracy with
   float weights and with int8 weights. After `make run`, for example:

       ./export build/iris2.safetensors iris2.c is_virginica int8 examples/data/iris2.csv */

#define NN_IMPLEMENTATION
#include "../nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Ends the program with a message when a call of the library failed. */
static void check(nn_status status, const char *path, const nn_location *location)
{
    if (status == NN_OK) return;
    fprintf(stderr, "export: %s: %s\n", path, nn_status_text(status));
    if (location && location->line)
        fprintf(stderr, "line %ld, column %ld: '%s'\n", location->line, location->column,
                location->name);
    exit(1);
}

/* Reads the data and returns options with the loss that fits the model's last layer. */
static nn_options read_data(nn_data *data, const char *path, const nn_model *model)
{
    const nn_layer *last;
    nn_shape shape;
    nn_location location;
    nn_csv_options csv;
    nn_options how;

    check(nn_get_shape(model, &shape), path, NULL);
    last = &shape.layers[shape.count - 1];
    memset(&location, 0, sizeof location);
    memset(&csv, 0, sizeof csv); /* zero means default */
    csv.drop_bad_rows = 1;
    csv.location = &location;
    csv.labels = last->activation == NN_SOFTMAX ||
                 (last->activation == NN_SIGMOID && last->width == 1); /* one column of classes */
    csv.targets = csv.labels ? 1 : last->width;
    check(nn_read_csv(data, path, &csv), path, &location);
    memset(&how, 0, sizeof how);
    how.loss = last->activation == NN_SOFTMAX   ? NN_CROSS_ENTROPY
               : last->activation == NN_SIGMOID ? NN_BINARY_CROSS_ENTROPY
                                                : NN_MSE;
    return how;
}

static void report(const char *what, const nn_model *model, const nn_data *data,
                   const nn_options *how)
{
    nn_metrics metrics;

    check(nn_evaluate(model, data, how, &metrics), "measuring", NULL);
    printf("%-6s loss %.6f", what, (double)metrics.loss);
    if (data->classes > 0)
        printf(", accuracy %.4f (%d of %d)", (double)metrics.accuracy, metrics.correct,
               metrics.rows);
    printf("\n");
}

static int is_onnx(const char *path)
{
    const char *ending = strrchr(path, '.');

    return ending && !strcmp(ending, ".onnx");
}

int main(int argc, char **argv)
{
    nn_export_options how = {NULL, 0, 0}; /* the defaults */
    nn_model *model;
    nn_data data;

    if (argc < 3 || argc > 6 || (argc > 3 && is_onnx(argv[2])) ||
        (argc > 4 && strcmp(argv[4], "int8") != 0 && strcmp(argv[4], "float") != 0)) {
        fprintf(stderr,
                "usage: %s MODEL.safetensors OUT.c [NAME [float|int8 [DATA.csv]]]\n"
                "       or OUT.onnx and nothing more\n",
                argc > 0 ? argv[0] : "export");
        return 1;
    }
    if (argc > 3) how.name = argv[3];
    how.int8 = argc > 4 && !strcmp(argv[4], "int8");
    check(nn_load(&model, argv[1], NULL), argv[1], NULL);
    if (is_onnx(argv[2]))
        check(nn_export_onnx(model, argv[2]), argv[2], NULL);
    else
        check(nn_export_c(model, argv[2], &how), argv[2], NULL);

    if (argc > 5) {
        const nn_options measured = read_data(&data, argv[5], model);
        report("float", model, &data, &measured);
        check(nn_quantize(model), "quantizing", NULL); /* the weights are now those of int8 */
        report("int8", model, &data, &measured);
        nn_data_free(&data);
    }
    nn_model_free(model);
    return 0;
}
