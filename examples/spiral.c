/* Learns to tell two spirals apart that wind around each other. A callback draws what the network
   has learned after 20, 70, 100 and 200 epochs: four panels of one SVG file, which README.md shows.
   The program reads no files.

       cc -O2 -I. examples/spiral.c -o spiral -lm && ./spiral [picture.svg]

   `make pictures` writes examples/boundary.svg. */

#define NN_IMPLEMENTATION
#include "../nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS   200 /* points, half of them on each spiral */
#define PANELS 4
#define SIDE   200.0 /* of a panel, in pixels */
#define GAP    16.0  /* between panels, in pixels */
#define CELLS  100   /* the network is asked at CELLS x CELLS places of a panel */

static const int panel_epochs[PANELS] = {20, 70, 100, 200};

/* Ends the program with a message when a call of the library failed. */
static void check(nn_status status)
{
    if (status == NN_OK) return;
    fprintf(stderr, "spiral: %s\n", nn_status_text(status));
    exit(1);
}

static void fail(const char *path)
{
    fprintf(stderr, "spiral: cannot write %s\n", path);
    exit(1);
}

/* The next number in [0, 1) of a linear congruential generator (Knuth's MMIX). */
static double random_unit(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0; /* 2^53 */
}

/* Points in [-1, 1] x [-1, 1], on two spirals of one and a half turns, with a little noise. */
static void make_points(nn_real *x, nn_real *y)
{
    uint64_t seed = 1;
    int row;

    for (row = 0; row < ROWS; row++) {
        double along = 0.05 + 0.95 * (row / 2) / (ROWS / 2 - 1);
        double angle = 9.4248 * along + 3.1416 * (row % 2);
        double radius = 0.9 * along + 0.06 * (random_unit(&seed) - 0.5);
        x[2 * row] = (nn_real)(radius * cos(angle));
        x[2 * row + 1] = (nn_real)(radius * sin(angle));
        y[row] = (nn_real)(row % 2);
    }
}

/* What the callback needs. */
typedef struct picture {
    FILE *file;
    int panels; /* drawn so far */
} picture;

/* Writes the start of the file. It defines the points once; each panel then refers to them. */
static void begin_picture(FILE *file, const nn_real *x)
{
    static const char *const colors[2] = {"#1a5fa8", "#c8500c"}; /* blue, orange */
    int of_class, row;

    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %g %g\" width=\"%g\" "
            "font-family=\"system-ui, sans-serif\" font-size=\"13\" text-anchor=\"middle\">\n"
            "<clipPath id=\"round\"><rect width=\"%g\" height=\"%g\" rx=\"8\"/></clipPath>\n"
            "<defs><g id=\"points\" stroke-width=\"5\" stroke-linecap=\"round\">\n",
            PANELS * (SIDE + GAP) - GAP, SIDE + 26, PANELS * (SIDE + GAP) - GAP, SIDE, SIDE);
    for (of_class = 0; of_class < 2; of_class++) {
        fprintf(file, "<path stroke=\"%s\" d=\"", colors[of_class]);
        for (row = of_class; row < ROWS; row += 2)
            fprintf(file, "M%.4g %.4gh0", SIDE / 2 * (1 + (double)x[2 * row]),
                    SIDE / 2 * (1 - (double)x[2 * row + 1]));
        fprintf(file, "\"/>\n");
    }
    fprintf(file, "</g></defs>\n");
}

/* Fills the places where p[CELLS x CELLS] is above the level. Each row of p is a horizontal strip.
   A strip is filled between the points where p crosses the level, by linear interpolation. */
static void draw_above(FILE *file, const nn_real *p, double level, const char *color)
{
    const double cell = SIDE / CELLS;
    int row, column;

    fprintf(file, "<path stroke=\"%s\" stroke-width=\"%g\" d=\"", color, cell + 0.1);
    for (row = 0; row < CELLS; row++) {
        for (column = 0; column < CELLS; column++) {
            double here = (double)p[row * CELLS + column], before, at = 0;
            if (column > 0) {
                before = (double)p[row * CELLS + column - 1];
                if ((before > level) == (here > level)) continue;
                at = cell * (column - 0.5 + (level - before) / (here - before));
            }
            if (here > level)
                fprintf(file, "M%.4g %.4gH", at, cell * (row + 0.5));
            else if (column > 0)
                fprintf(file, "%.4g", at);
        }
        if ((double)p[row * CELLS + CELLS - 1] > level) fprintf(file, "%.4g", SIDE);
    }
    fprintf(file, "\"/>\n");
}

/* Called after each epoch; draws a panel after the epochs of panel_epochs. */
static int draw(const nn_progress *progress, void *user)
{
    static const char *const colors[] = {"#c9dff2", "#e4edf5", "#fbf3ea", "#fbdfc6", "#f8c9a0"};
    static const double levels[] = {-1, 0.2, 0.5, 0.8, 0.95};
    static nn_real x[2 * CELLS * CELLS], p[CELLS * CELLS];
    picture *to = (picture *)user;
    int i;

    if (to->panels == PANELS || progress->epoch != panel_epochs[to->panels]) return 0;
    for (i = 0; i < CELLS * CELLS; i++) {
        x[2 * i] = (nn_real)(2 * (i % CELLS + 0.5) / CELLS - 1);
        x[2 * i + 1] = (nn_real)(1 - 2 * (i / CELLS + 0.5) / CELLS);
    }
    check(nn_predict(progress->model, x, CELLS * CELLS, p, NULL));
    fprintf(to->file, "<g transform=\"translate(%g 0)\"><g clip-path=\"url(#round)\">\n",
            to->panels * (SIDE + GAP));
    for (i = 0; i < 5; i++) draw_above(to->file, p, levels[i], colors[i]);
    fprintf(to->file,
            "</g><use href=\"#points\"/>\n"
            "<text x=\"%g\" y=\"%g\" fill=\"#7d8590\">epoch %d, accuracy %.2f</text></g>\n",
            SIDE / 2, SIDE + 19, progress->epoch, (double)progress->accuracy);
    to->panels++;
    return nn_print_progress(progress, NULL);
}

int main(int argc, char **argv)
{
    const nn_layer layers[] = {NN_DENSE(32, NN_RELU), NN_DENSE(32, NN_RELU),
                               NN_DENSE(1, NN_SIGMOID)};
    const char *path = argc > 1 ? argv[1] : "spiral.svg";
    static nn_real x[2 * ROWS], y[ROWS];
    picture to = {NULL, 0};
    nn_options how;
    nn_data data;
    nn_model *model;

    make_points(x, y);
    memset(&data, 0, sizeof data); /* zero means default */
    data.rows = ROWS;
    data.inputs = 2;
    data.outputs = 1;
    data.classes = 2;
    data.x = x;
    data.y = y;
    to.file = fopen(path, "w");
    if (!to.file) fail(path);
    begin_picture(to.file, x);

    memset(&how, 0, sizeof how);
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.003f;
    how.batch_size = 20;
    how.epochs = panel_epochs[PANELS - 1];
    how.scaling = NN_SCALE_STANDARD;
    how.seed = 1;
    how.callback = draw;
    how.user = &to;
    check(nn_model_create(&model, 2, layers, 3, 1)); /* 2 inputs, 3 layers, seed 1 */
    check(nn_fit(model, &data, &how));
    nn_model_free(model);

    fprintf(to.file, "</svg>\n");
    if (ferror(to.file) || fclose(to.file) != 0) fail(path);
    printf("drawn in %s\n", path);
    return 0;
}
