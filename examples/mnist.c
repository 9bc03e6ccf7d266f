/* Classifies MNIST's handwritten digits of 28 x 28 pixels.

       cc -O2 -I. examples/mnist.c -o mnist -lm && ./mnist [--conv] FOLDER [epochs]

   FOLDER holds the four files of MNIST, unpacked (examples/data/README.md says more). The network
   has the widths 784-128-10. It is trained with Adam and batches of 128, by default for 10 epochs.
   Its accuracy on the test set is about 97.8 %.

   With --conv it has two convolutions with pools instead, after LeNet (LeCun et al. 1998). It is
   trained with batches of 64, by default for 5 epochs. Its accuracy is about 98.7 %. */

#define NN_IMPLEMENTATION
#include "../nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined(__unix__) || defined(__APPLE__)
#include <unistd.h>
#define IS_TERMINAL isatty(1)
#else
#define IS_TERMINAL 0
#endif

/* Ends the program with a message when a call of the library failed. */
static void check(nn_status status, const nn_location *location)
{
    if (status == NN_OK) return;
    fprintf(stderr, "mnist: %s\n", nn_status_text(status));
    if (location && location->path) fprintf(stderr, "in %s\n", location->path);
    exit(1);
}

/* Reads FOLDER/NAME-images-idx3-ubyte and FOLDER/NAME-labels-idx1-ubyte. */
static void read_set(nn_data *data, const char *folder, const char *name)
{
    char images[1024], labels[1024];
    nn_location location;
    int length;

    length = snprintf(images, sizeof images, "%s/%s-images-idx3-ubyte", folder, name);
    if (length < 0 || length >= (int)sizeof images) {
        fprintf(stderr, "mnist: the folder's name is too long\n");
        exit(1);
    }
    snprintf(labels, sizeof labels, "%s/%s-labels-idx1-ubyte", folder,
             name); /* of the same length */
    memset(&location, 0, sizeof location);
    check(nn_read_idx(data, images, labels, 10, &location), &location);
}

int main(int argc, char **argv)
{
    static const nn_layer dense[] = {NN_DENSE(128, NN_RELU), NN_DENSE(10, NN_SOFTMAX)};
    static const nn_layer convolution[] = {
        NN_IMAGE(28, 28, 1),     NN_CONV2D(8, 5, 1, NN_PADDING_NONE, NN_RELU),
        NN_MAX_POOL2D(2, 2),     NN_CONV2D(16, 5, 1, NN_PADDING_NONE, NN_RELU),
        NN_MAX_POOL2D(2, 2),     NN_DENSE(64, NN_RELU),
        NN_DENSE(10, NN_SOFTMAX)};
    const int conv = argc > 1 && strcmp(argv[1], "--conv") == 0;
    char **const words = argv + conv; /* words[1] is the folder */
    const int count = argc - conv;
    const int epochs = count > 2 ? (int)strtol(words[2], NULL, 10) : conv ? 5 : 10;
    nn_data train, test;
    nn_metrics metrics;
    nn_options how;
    nn_model *model;

    if (count < 2 || count > 3 || epochs < 1) {
        fprintf(stderr,
                "usage: %s [--conv] FOLDER [epochs]\n"
                "FOLDER holds the four files of MNIST, unpacked with gunzip:\n"
                "    train-images-idx3-ubyte  train-labels-idx1-ubyte\n"
                "    t10k-images-idx3-ubyte   t10k-labels-idx1-ubyte\n",
                argc > 0 ? argv[0] : "mnist");
        return 1;
    }
    read_set(&train, words[1], "train");
    read_set(&test, words[1], "t10k");
    printf("%d training images, %d test images\n", train.rows, test.rows);

    memset(&how, 0, sizeof how); /* zero means default */
    how.loss = NN_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 1e-3f;
    how.batch_size = conv ? 64 : 128;
    how.epochs = epochs;
    how.seed = 1;
    how.callback = nn_print_progress;
    how.callback_batches = IS_TERMINAL; /* a progress bar */

    check(nn_model_create(&model, train.inputs, conv ? convolution : dense, conv ? 7 : 2, 1), NULL);
    check(nn_fit(model, &train, &how), NULL);

    check(nn_evaluate(model, &test, &how, &metrics), NULL);
    printf("test loss %.4f\n", metrics.loss);
    printf("test accuracy %.4f (%d of %d)\n", metrics.accuracy, metrics.correct, metrics.rows);

    nn_model_free(model);
    nn_data_free(&test);
    nn_data_free(&train);
    return 0;
}
