/* Classifies handwritten digits of 8 x 8 pixels into ten classes, with softmax and cross-entropy.
   Prints the confusion matrix and the accuracy on digits that were not used for training.

       cc -O2 -I. examples/digits.c -o digits -lm && ./digits [data.csv]

   Run it from the top folder of the repository: the default is examples/data/digits.csv. */

#define NN_IMPLEMENTATION
#include "../nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLASSES 10

/* Ends the program with a message when a call of the library failed. */
static void check(nn_status status, const nn_location *location)
{
    if (status == NN_OK) return;
    fprintf(stderr, "digits: %s\n", nn_status_text(status));
    if (location && location->path) fprintf(stderr, "in %s", location->path);
    if (location && location->line)
        fprintf(stderr, ", line %ld, column %ld: '%s'", location->line, location->column,
                location->name);
    fprintf(stderr, "\n");
    exit(1);
}

static void print_confusion(const nn_model *model, const nn_data *test)
{
    int matrix[CLASSES * CLASSES], truth, guess;
    nn_scores scores;

    check(nn_confusion_matrix(model, test, matrix), NULL);
    printf("\nconfusion matrix (rows: true class, columns: predicted class):\n    ");
    for (guess = 0; guess < CLASSES; guess++) printf("%5s", test->class_names[guess]);
    printf("   precision  recall\n");
    for (truth = 0; truth < CLASSES; truth++) {
        printf("%4s", test->class_names[truth]);
        for (guess = 0; guess < CLASSES; guess++) printf("%5d", matrix[truth * CLASSES + guess]);
        check(nn_class_scores(matrix, CLASSES, truth, &scores), NULL);
        printf("%12.4f%8.4f\n", (double)scores.precision, (double)scores.recall);
    }
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "examples/data/digits.csv";
    const nn_layer layers[] = {NN_DENSE(64, NN_RELU), NN_DENSE(CLASSES, NN_SOFTMAX)};
    nn_data data, train, test;
    nn_metrics metrics;
    nn_options how;
    nn_location location;
    nn_model *model;
    nn_csv_options csv;

    memset(&location, 0, sizeof location);
    memset(&csv, 0, sizeof csv); /* zero means default */
    csv.labels = 1;              /* the last column is a class, although it is a number */
    csv.location = &location;
    check(nn_read_csv(&data, path, &csv), &location);
    if (data.classes != CLASSES) {
        fprintf(stderr, "digits: %s has %d classes, not %d\n", path, data.classes, CLASSES);
        exit(1);
    }
    check(nn_split(&data, 0.8f, 1, &train, &test), NULL); /* 80 % for training; seed 1 */
    printf("%d training rows, %d test rows\n", train.rows, test.rows);

    memset(&how, 0, sizeof how);
    how.loss = NN_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.epochs = 30;
    how.scaling = NN_SCALE_MIN_MAX; /* pixels from [0, 16] to [0, 1] */
    how.seed = 1;
    how.callback = nn_print_progress;
    check(nn_model_create(&model, data.inputs, layers, 2, 1), NULL); /* 2 layers, seed 1 */
    check(nn_fit(model, &train, &how), NULL);

    print_confusion(model, &test);
    check(nn_evaluate(model, &test, &how, &metrics), NULL);
    printf("\nmacro F1 %.4f\n", metrics.macro_f1);
    printf("test accuracy %.4f (%d of %d)\n", metrics.accuracy, metrics.correct, metrics.rows);

    nn_model_free(model);
    nn_data_free(&test);
    nn_data_free(&train);
    nn_data_free(&data);
    return 0;
}
