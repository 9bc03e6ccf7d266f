/* The gradients of convolutions and pools against central differences, in double: random images,
   kernels of 1 to 5, rectangles too, strides of 1 to 3, both paddings, 1 to 17 channels, windows
   that overlap, every activation, dropout behind convolutions; parameters and inputs.
   Usage: convolution_gradient [seed [nets]]

   The difference is (8 (f(h) - f(-h)) - (f(2h) - f(-2h))) / 12h with h = 1e-3, as in gradient.c. ReLU
   and the maximum have corners. Where the difference with h / 2 is another one, there is a corner
   between the points, and the value is left out; these are counted and must be few. */
#ifndef NN_DOUBLE
#define NN_DOUBLE
#endif
#include "../fixtures.h"

#define TOLERANCE 1e-7
#define FLOOR     1e-3
#define STEP      1e-3

enum { ROWS = 2, MOST_LAYERS = 6, MOST_INPUTS = 700, MOST_OUTPUTS = 2000, TRIED = 40 };

static uint64_t first_seed = 1;
static int nets = 600;
static long compared, corners;

static nn_layer window_layer(nn_layer_kind kind, nn_activation activation, int channels, int most_h,
                             int most_w)
{
    nn_layer layer;

    memset(&layer, 0, sizeof layer);
    layer.kind = kind;
    layer.activation = activation;
    layer.channels = channels;
    layer.height = 1 + random_below(most_h < 5 ? most_h : 5);
    layer.width = 1 + random_below(most_w < 5 ? most_w : 5);
    layer.stride_height = random_below(4);
    layer.stride_width = random_below(4);
    if (kind == NN_LAYER_CONVOLUTION)
        layer.padding = random_below(2) ? NN_PADDING_SAME : NN_PADDING_NONE;
    return layer;
}

static nn_activation any_activation(void)
{
    for (;;) {
        const int activation = random_below(NN_ACTIVATION_COUNT);
        if (activation != NN_SOFTMAX) return (nn_activation)activation;
    }
}

/* Draws a net; its last layer is of any kind. Returns its layers. */
static int draw_net(nn_layer *layers, nn_real *dropout, int *inputs)
{
    const int height = random_below(3) ? 1 + random_below(9) : 1, width = 1 + random_below(12);
    const int channels = 1 + random_below(random_below(3) ? 3 : 17);
    const nn_layer image = NN_IMAGE(height, width, channels);
    const int wanted = 2 + random_below(MOST_LAYERS - 1);
    nn_shape shape;
    int count = 1, tries = 0;

    *inputs = height * width * channels;
    if (*inputs > MOST_INPUTS) return 0;
    layers[0] = image;
    dropout[0] = 0;
    shape.inputs = *inputs;
    shape.layers = layers;
    while (count < wanted && tries++ < 30) {
        const int kind = random_below(6);
        nn_layer *next = &layers[count];

        if (kind < 3)
            *next = window_layer(NN_LAYER_CONVOLUTION, any_activation(),
                                 1 + random_below(random_below(3) ? 4 : 17), height, width);
        else if (kind < 5)
            *next = window_layer(kind == 3 ? NN_LAYER_MAX_POOL : NN_LAYER_AVERAGE_POOL, NN_LINEAR,
                                 0, height, width);
        else if (random_below(2))
            *next = dense_layer(1 + random_below(6), any_activation());
        else {
            const nn_layer whole = NN_GLOBAL_AVERAGE;
            *next = whole;
        }
        dropout[count] = random_below(4) ? 0 : 0.3;
        shape.count = count + 1;
        if (nn_check_shape(&shape, NULL) == NN_OK) count++;
    }
    dropout[count - 1] = 0;
    return count > 1 ? count : 0;
}

typedef struct problem {
    nn_model *model;
    nn_options how;
    int inputs, outputs;
    double x[ROWS * MOST_INPUTS], dy[ROWS * MOST_OUTPUTS];
} problem;

/* f = the sum of dy * y. A new trainer draws the same dropout each time. */
static double functional(problem *p, nn_trainer **kept)
{
    nn_trainer *trainer = make_trainer(p->model, &p->how);
    const nn_real *y;
    double sum = 0;
    int i;

    if (!CHECK(nn_forward(trainer, p->x, ROWS, &y) == NN_OK)) exit(1);
    for (i = 0; i < ROWS * p->outputs; i++) sum += p->dy[i] * y[i];
    if (kept)
        *kept = trainer;
    else
        nn_trainer_free(trainer);
    return sum;
}

static double difference(problem *p, double *at, double step)
{
    const double old = *at;
    double f[4];
    int i;

    for (i = 0; i < 4; i++) {
        *at = old + step * (i < 2 ? i - 2 : i - 1);
        f[i] = functional(p, NULL);
    }
    *at = old;
    return (8 * (f[2] - f[1]) - (f[3] - f[0])) / (12 * step);
}

static void compare(problem *p, double *at, double gradient)
{
    const double whole = difference(p, at, STEP), half = difference(p, at, STEP / 2);

    if (fabs(whole - half) > 1e-8 * (1 + fabs(half))) {
        corners++;
        return;
    }
    compared++;
    CHECK_NEAR(gradient, half, TOLERANCE, FLOOR);
}

static void check_net(void)
{
    static problem p;
    static nn_real dx[ROWS * MOST_INPUTS];
    nn_layer layers[MOST_LAYERS + 1];
    nn_real dropout[MOST_LAYERS + 1];
    int count, i;
    nn_trainer *trainer;
    size_t k, step, n;

    do count = draw_net(layers, dropout, &p.inputs);
    while (!count);
    p.model = make_model(p.inputs, layers, count, random_bits());
    p.outputs = nn_outputs(p.model);
    if (!CHECK(p.outputs <= MOST_OUTPUTS)) exit(1);
    memset(&p.how, 0, sizeof p.how);
    p.how.batch_size = ROWS;
    p.how.dropout = dropout;
    p.how.seed = random_bits();
    n = nn_parameter_count(p.model);
    for (k = 0; k < n; k++) nn_parameters(p.model)[k] = uniform(-0.9, 0.9);
    for (i = 0; i < ROWS * p.inputs; i++) p.x[i] = uniform(-2, 2);
    for (i = 0; i < ROWS * p.outputs; i++) p.dy[i] = uniform(-1, 1);
    (void)functional(&p, &trainer);
    for (i = 0; i < ROWS * p.inputs; i++) dx[i] = NAN;
    CHECK(nn_backward(trainer, p.dy, dx) == NN_OK);
    step = n / TRIED + 1; /* some of many */
    for (k = (size_t)random_below((int)step); k < n; k += step)
        compare(&p, nn_parameters(p.model) + k, nn_gradients(trainer)[k]);
    step = (size_t)(ROWS * p.inputs) / TRIED + 1;
    for (k = (size_t)random_below((int)step); k < (size_t)(ROWS * p.inputs); k += step)
        compare(&p, p.x + k, dx[k]);
    nn_trainer_free(trainer);
    nn_model_free(p.model);
}

static void test_random_nets(void)
{
    int i;

    for (i = 0; i < nets && !test_bad; i++) {
        random_state = first_seed + (uint64_t)i;
        check_net();
        if (test_bad) printf("seed %lu\n", (unsigned long)(first_seed + (uint64_t)i));
    }
    printf("%ld values compared, %ld at corners\n", compared, corners);
    CHECK(compared > 20L * nets && corners < compared / 50);
}

/* Where several numbers of a window are the largest, the first one gets the gradient, also in
   windows that overlap. */
static void test_ties(void)
{
    static const nn_layer layers[] = {NN_IMAGE(2, 4, 1), NN_MAX_POOL(2, 2, 1, 1)};
    static const nn_real x[8] = {1, 3, 3, 3, 3, 3, 0, 3}, dy[3] = {10, 100, 1000};
    static const nn_real expected[8] = {0, 110, 1000, 0, 0, 0, 0, 0};
    nn_model *model = make_model(8, layers, 2, 1);
    nn_options how = make_options(NN_MSE, NN_SGD, 0);
    nn_trainer *trainer = make_trainer(model, &how);
    const nn_real *y;
    nn_real dx[8];

    CHECK(nn_forward(trainer, x, 1, &y) == NN_OK && y[0] == 3 && y[1] == 3 && y[2] == 3);
    CHECK(nn_backward(trainer, dy, dx) == NN_OK && !memcmp(dx, expected, sizeof dx));
    nn_trainer_free(trainer);
    nn_model_free(model);
}

int main(int argc, char **argv)
{
    if (argc > 1) first_seed = (uint64_t)strtoul(argv[1], NULL, 10);
    if (argc > 2) nets = (int)strtol(argv[2], NULL, 10);
    RUN(test_random_nets);
    RUN(test_ties);
    return test_done();
}
