/* Writes the rows that every side of `make bench` trains with:

       build/bench_data mnist|digits|iris2|images784|images1024 FILE

   FILE receives the floats x[rows x inputs] and then class[rows], one float for each row. The
   environment variable MNIST names the folder of `mnist`. `images` are generated, for machines
   without MNIST and for wider nets: like MNIST they are strokes on a background of zeros, and they
   are larger than the caches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NN_STATIC
#define NN_IMPLEMENTATION
#include "nn.h"

enum {
    IMAGES = 58 * 1024, /* every batch size of the benchmark divides it, and MNIST has more */
    CLASSES = 10,
    PATTERNS = 12, /* for each class */
    STEPS = 60     /* of a pen that draws a stroke */
};

static void fail(const char *why)
{
    fprintf(stderr, "bench_data: %s\n", why);
    exit(1);
}

static void check(nn_status status)
{
    if (status != NN_OK) fail(nn_status_text(status));
}

/* A number in [0, below). */
static int random_below(uint32_t *state, int below)
{
    *state = *state * 1664525u + 1013904223u;
    return (int)((*state >> 16) * (uint32_t)below >> 16);
}

/* Draws image[side x side], which must be zeros. The pen's path is that of the pattern, but each
   row begins elsewhere, leaves the path now and then, and has its own brightness. */
static void draw(float *image, int side, uint32_t pattern, uint32_t *row)
{
    static const int brush[3][3] = {{90, 200, 90}, {200, 255, 200}, {90, 200, 90}};
    const int brightness = 60 + random_below(row, 41); /* per cent */
    int x = side / 2 + random_below(&pattern, 9) - 4 + random_below(row, 3) - 1;
    int y = side / 2 + random_below(&pattern, 9) - 4 + random_below(row, 3) - 1;
    int step, i, j, dx = 0, dy = 0;

    for (step = 0; step < STEPS; step++) {
        if (step % 5 == 0) {
            dx = random_below(&pattern, 3) - 1;
            dy = random_below(&pattern, 3) - 1;
            if (random_below(row, 6) == 0) dx = random_below(row, 3) - 1;
        }
        if (x + dx > 3 && x + dx < side - 4) x += dx;
        if (y + dy > 3 && y + dy < side - 4) y += dy;
        for (i = 0; i < 3; i++) {
            for (j = 0; j < 3; j++) {
                float *pixel = image + (y + i - 1) * side + x + j - 1;
                const float ink = (float)(brush[i][j] * brightness / 100) / 255;

                if (*pixel < ink) *pixel = ink;
            }
        }
    }
}

/* Rows of images with labels, the same ones every time. */
static void make_images(nn_data *data, int side)
{
    const int inputs = side * side;
    uint32_t state = 1;
    float *x = (float *)calloc((size_t)IMAGES * (size_t)(inputs + 1), 4);
    int *labels = (int *)(void *)(x + (size_t)IMAGES * (size_t)inputs);
    int i, pattern;

    if (!x) fail("out of memory");
    memset(data, 0, sizeof *data);
    data->rows = IMAGES;
    data->inputs = inputs;
    data->outputs = CLASSES;
    data->x = x;
    data->labels = labels;
    data->classes = CLASSES;
    data->memory = x;
    for (i = 0; i < IMAGES; i++) {
        pattern = random_below(&state, CLASSES * PATTERNS);
        draw(x + (size_t)i * (size_t)inputs, side, (uint32_t)(pattern + 1) * 2654435761u, &state);
        labels[i] = pattern % CLASSES;
    }
}

static void read_mnist(nn_data *data)
{
    const char *folder = getenv("MNIST");
    char images[4096], labels[4096];

    if (!folder) fail("the environment variable MNIST names no folder");
    sprintf(images, "%.4000s/train-images-idx3-ubyte", folder);
    sprintf(labels, "%.4000s/train-labels-idx1-ubyte", folder);
    check(nn_read_idx(data, images, labels, CLASSES, NULL));
}

/* Writes the first rows of the data, their inputs divided by divisor. */
static void write_rows(const nn_data *data, int rows, float divisor, const char *path)
{
    const size_t inputs = (size_t)data->inputs, outputs = (size_t)data->outputs;
    FILE *file = fopen(path, "wb");
    size_t i, j;
    float value;

    if (!file || data->rows < rows) fail("the file cannot be written, or has too few rows");
    for (i = 0; i < (size_t)rows * inputs; i++) {
        value = data->x[i] / divisor;
        fwrite(&value, sizeof value, 1, file);
    }
    for (i = 0; i < (size_t)rows; i++) {
        value = data->labels ? (float)data->labels[i] : outputs == 1 ? data->y[i] : 0;
        for (j = 1; j < outputs && !data->labels; j++)
            if (data->y[i * outputs + j] > 0) value = (float)j;
        fwrite(&value, sizeof value, 1, file);
    }
    if (ferror(file) | fclose(file)) fail("the file cannot be written");
}

int main(int argc, char **argv)
{
    const char *name = argc == 3 ? argv[1] : "";
    nn_csv_options csv = {0};
    nn_data data;

    csv.labels = 1;
    if (!strcmp(name, "mnist")) {
        read_mnist(&data);
        write_rows(&data, IMAGES, 1, argv[2]);
    } else if (!strcmp(name, "digits")) {
        check(nn_read_csv(&data, "examples/data/digits.csv", &csv));
        write_rows(&data, data.rows / 32 * 32, 16, argv[2]);
    } else if (!strcmp(name, "iris2")) {
        check(nn_read_csv(&data, "examples/data/iris2.csv", NULL));
        write_rows(&data, data.rows, 1, argv[2]);
    } else if (!strcmp(name, "images784") || !strcmp(name, "images1024")) {
        make_images(&data, !strcmp(name, "images784") ? 28 : 32);
        write_rows(&data, IMAGES, 1, argv[2]);
    } else {
        fail("usage: bench_data mnist|digits|iris2|images784|images1024 FILE");
    }
    nn_data_free(&data);
    return 0;
}
