/* Regression: learns a sine from noisy points. One point in twenty is far off; the Huber loss
   limits the influence of such points. A fifth of the points is used for validation: early stopping
   ends the training when their loss has stopped falling. The program reads no files.

       cc -O2 -I. examples/regression.c -o regression -lm && ./regression */

#define NN_IMPLEMENTATION
#include "../nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 500

/* Ends the program with a message when a call of the library failed. */
static void check(nn_status status)
{
    if (status == NN_OK) return;
    fprintf(stderr, "regression: %s\n", nn_status_text(status));
    exit(1);
}

/* The next number in [0, 1) of a linear congruential generator (Knuth's MMIX). */
static double random_unit(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0; /* 2^53 */
}

/* Points of sin(x), x in [0, 10), with noise of up to 0.2; every twentieth point is 3 too high. */
static void make_points(nn_real *x, nn_real *y, uint64_t seed)
{
    int row;
    for (row = 0; row < ROWS; row++) {
        double at = 10 * random_unit(&seed);
        double noise = 0.4 * random_unit(&seed) - 0.2;
        x[row] = (nn_real)at;
        y[row] = (nn_real)(sin(at) + noise + (row % 20 == 0 ? 3 : 0));
    }
}

/* Called after each epoch: copies the progress to *user, and prints every 50th epoch. */
static int report(const nn_progress *progress, void *user)
{
    *(nn_progress *)user = *progress;
    if (progress->epoch % 50 == 0) return nn_print_progress(progress, NULL);
    return 0;
}

int main(void)
{
    const nn_layer layers[] = {NN_DENSE(32, NN_TANH), NN_DENSE(32, NN_TANH),
                               NN_DENSE(1, NN_LINEAR)};
    static nn_real x[ROWS], y[ROWS], truth[ROWS];
    nn_progress last;
    nn_metrics metrics;
    nn_options how;
    nn_data data;
    nn_model *model;
    int row;

    make_points(x, y, 1);
    memset(&data, 0, sizeof data); /* zero means default */
    data.rows = ROWS;
    data.inputs = 1;
    data.outputs = 1;
    data.x = x;
    data.y = y;

    memset(&last, 0, sizeof last);
    memset(&how, 0, sizeof how);
    how.loss = NN_HUBER;
    how.huber_delta = 0.5f;
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.005f;
    how.epochs = 1000;
    how.scaling = NN_SCALE_STANDARD;
    how.validation_fraction = 0.2f;
    how.patience = 100; /* stops after so many epochs without progress, with the best weights */
    how.seed = 1;
    how.callback = report;
    how.user = &last;
    check(nn_model_create(&model, 1, layers, 3, 1)); /* 1 input, 3 layers, seed 1 */
    check(nn_fit(model, &data, &how));
    printf("stopped after epoch %d; epoch %d was the best\n\n", last.epoch, last.best_epoch);

    /* Compare with the sine itself, at points that were not used for training. */
    for (row = 0; row < ROWS; row++) {
        x[row] = (nn_real)(10.0 * (row + 0.5) / ROWS);
        truth[row] = (nn_real)sin((double)x[row]);
    }
    data.y = truth;
    check(nn_evaluate(model, &data, &how, &metrics));
    check(nn_predict(model, x, ROWS, y, NULL));
    printf("    x   sin(x)   network\n");
    for (row = 25; row < ROWS; row += 50)
        printf("%5.2f  %7.3f   %7.3f\n", (double)x[row], (double)truth[row], (double)y[row]);
    printf("\nmean absolute error %.4f, root mean squared error %.4f, R2 %.4f\n", metrics.mae,
           sqrt(metrics.mse), metrics.r2);
    nn_model_free(model);
    return 0;
}
