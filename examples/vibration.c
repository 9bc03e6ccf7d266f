/* Finds faults of a machine in the vibration of its bearing, with a one-dimensional convolution.

       cc -O2 -I. examples/vibration.c -o vibration -lm && ./vibration

   The data is simulated, after the usual model of a rolling bearing (McFadden and Smith 1984): a
   shaft turns 25 to 35 times a second; an unbalanced shaft adds a sine of that frequency; a fault of
   a race adds impulses, each of which makes the housing ring. The balls pass a fault of the outer
   race 3.6 times in each turn. They pass one of the inner race 5.4 times, and it is loud only while
   the fault is in the loaded half of the turn. Every window of 256 samples, at 2,560 a second,
   begins at another moment, has another speed and loudness, and has noise.

   The program prints how well a convolution and a dense net of as many parameters know the four
   conditions, on windows that neither was trained on. The convolution finds an impulse wherever it
   is; the dense net would have to learn it for each place. */

#define NN_IMPLEMENTATION
#include "../nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SAMPLES = 256, CLASSES = 4, TRAINING = 2000, TEST = 2000 };

static const char *const names[CLASSES] = {"healthy", "unbalanced", "outer race", "inner race"};

static void check(nn_status status)
{
    if (status == NN_OK) return;
    fprintf(stderr, "vibration: %s\n", nn_status_text(status));
    exit(1);
}

/* Returns a number in [low, high) (xorshift64*, Vigna 2016). */
static double draw(uint64_t *state, double low, double high)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return low + (high - low) * (double)(*state * UINT64_C(2685821657736338717) >> 11) /
                     9007199254740992.0;
}

/* Fills x[SAMPLES] with a window of a machine in this condition. */
static void simulate(uint64_t *state, int condition, float *x)
{
    const double pi = 3.14159265358979, rate = 2560;
    const double speed = draw(state, 25, 35) / rate; /* turns for each sample */
    const double start = draw(state, 0, 1), loudness = draw(state, 0.5, 2);
    const double passes = condition == 2 ? 3.6 : 5.4, phase = draw(state, 0, 1);
    const double ring = 2 * pi * draw(state, 600, 700) / rate, damping = 0.8;
    double high = 0, low = 0; /* the two states of the ringing housing */
    int i;

    for (i = 0; i < SAMPLES; i++) {
        const double turn = start + speed * i;
        const double before = floor(passes * (turn - speed) + phase);
        const double hit = condition >= 2 && floor(passes * turn + phase) > before ? 1 : 0;
        const double loaded = condition == 3 ? fmax(cos(2 * pi * turn), 0) : 1;
        const double next = damping * (high * cos(ring) - low * sin(ring)) + hit * loaded;

        low = damping * (high * sin(ring) + low * cos(ring));
        high = next;
        x[i] = (float)(loudness * (0.3 * sin(2 * pi * turn) * (condition == 1 ? 3 : 1) + high) +
                       draw(state, -0.5, 0.5) + draw(state, -0.5, 0.5));
    }
}

/* Fills *data with `rows` windows. */
static void make_data(nn_data *data, float *x, int *labels, int rows, uint64_t seed)
{
    uint64_t state = seed * UINT64_C(0x9e3779b97f4a7c15);
    int b;

    for (b = 0; b < rows; b++) {
        labels[b] = b % CLASSES;
        simulate(&state, labels[b], x + (size_t)b * SAMPLES);
    }
    memset(data, 0, sizeof *data);
    data->rows = rows;
    data->inputs = SAMPLES;
    data->outputs = data->classes = CLASSES;
    data->x = x;
    data->labels = labels;
    data->class_names = names;
}

/* Trains a net of these layers and prints what it knows about the test windows. */
static void try_net(const char *name, const nn_layer *layers, int count, const nn_data *train,
                    const nn_data *test)
{
    int matrix[CLASSES * CLASSES], c;
    nn_metrics metrics;
    nn_options how;
    nn_scores scores;
    nn_model *model;

    memset(&how, 0, sizeof how);
    how.loss = NN_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 3e-3f;
    how.epochs = 40;
    how.seed = 1;
    check(nn_model_create(&model, SAMPLES, layers, count, 1));
    check(nn_fit(model, train, &how));
    check(nn_evaluate(model, test, &how, &metrics));
    check(nn_confusion_matrix(model, test, matrix));
    printf("%s, %d parameters: test accuracy %.4f\n", name, (int)nn_parameter_count(model),
           metrics.accuracy);
    for (c = 0; c < CLASSES; c++) {
        check(nn_class_scores(matrix, CLASSES, c, &scores));
        printf("    %-10s  found %5.1f %%\n", names[c], 100 * scores.recall);
    }
    nn_model_free(model);
}

int main(void)
{
    static const nn_layer convolution[] = {
        NN_IMAGE(1, SAMPLES, 1), /* one line of samples, one channel */
        NN_CONV1D(8, 9, 2, NN_PADDING_SAME, NN_RELU),
        NN_MAX_POOL1D(2, 2),
        NN_CONV1D(16, 9, 1, NN_PADDING_SAME, NN_RELU),
        NN_GLOBAL_AVERAGE,
        NN_DENSE(CLASSES, NN_SOFTMAX)};
    static const nn_layer dense[] = {NN_DENSE(5, NN_RELU), NN_DENSE(CLASSES, NN_SOFTMAX)};
    static float x[(TRAINING + TEST) * SAMPLES];
    static int labels[TRAINING + TEST];
    nn_data train, test;

    make_data(&train, x, labels, TRAINING, 1);
    make_data(&test, x + (size_t)TRAINING * SAMPLES, labels + TRAINING, TEST, 2);
    try_net("convolution", convolution, 6, &train, &test);
    try_net("dense", dense, 2, &train, &test);
    return 0;
}
