/* Interrupts a training run and resumes it. The run saves a checkpoint after each epoch and stops
   after epoch 4. A new model and a new trainer load the checkpoint and train up to epoch 10. The
   final weights equal those of an uninterrupted run, bit for bit.

       cc -O2 -I. examples/checkpoint.c -o checkpoint -lm && ./checkpoint [file]

   The file is checkpoint.safetensors in the current folder by default. The program removes it. */

#define NN_IMPLEMENTATION
#include "../nn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROWS       400
#define STOP_AFTER 4
#define EPOCHS     10

/* Ends the program with a message when a call of the library failed. */
static void check(nn_status status, const char *path)
{
    if (status == NN_OK) return;
    fprintf(stderr, "checkpoint: %s%s%s\n", path ? path : "", path ? ": " : "",
            nn_status_text(status));
    exit(1);
}

/* The next number in [0, 1) of a linear congruential generator (Knuth's MMIX). */
static double random_unit(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (double)(*state >> 11) / 9007199254740992.0; /* 2^53 */
}

/* Points of the square [-1, 1) x [-1, 1). Class 1 is a circle with half of the square's area. */
static void make_points(nn_data *data, nn_real *x, nn_real *y)
{
    uint64_t seed = 1;
    int row;

    for (row = 0; row < ROWS; row++) {
        double a = 2 * random_unit(&seed) - 1;
        double b = 2 * random_unit(&seed) - 1;
        x[2 * row] = (nn_real)a;
        x[2 * row + 1] = (nn_real)b;
        y[row] = a * a + b * b < 0.6366 ? 1 : 0;
    }
    memset(data, 0, sizeof *data); /* zero means default */
    data->rows = ROWS;
    data->inputs = 2;
    data->outputs = 1;
    data->classes = 2;
    data->x = x;
    data->y = y;
}

/* Called after each epoch; saves a checkpoint to the path that user points to. */
static int save_and_stop(const nn_progress *progress, void *user)
{
    const char *path = (const char *)user;
    nn_print_progress(progress, NULL);
    check(nn_save_checkpoint(progress->trainer, path), path);
    return progress->epoch == STOP_AFTER; /* a value other than 0 stops the training */
}

int main(int argc, char **argv)
{
    char default_path[] = "checkpoint.safetensors";
    char *path = argc > 1 ? argv[1] : default_path;
    const nn_layer layers[] = {NN_DENSE(16, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
    static nn_real x[2 * ROWS], y[ROWS];
    nn_model *whole, *stopped, *resumed;
    nn_trainer *trainer;
    nn_options how;
    nn_data data;
    nn_location location;
    size_t bytes;
    int same;

    make_points(&data, x, y);
    memset(&how, 0, sizeof how);
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.05f;
    how.batch_size = 10;
    how.schedule = NN_SCHEDULE_COSINE; /* the checkpoint knows how far it has come */
    how.epochs = EPOCHS;
    how.seed = 1;

    check(nn_model_create(&whole, 2, layers, 2, 1), NULL);
    check(nn_fit(whole, &data, &how), NULL);

    how.callback = save_and_stop;
    how.user = path;
    check(nn_model_create(&stopped, 2, layers, 2, 1), NULL);
    check(nn_fit(stopped, &data, &how), NULL);
    nn_model_free(stopped);

    printf("loading %s\n", path);
    how.callback = nn_print_progress;
    how.user = NULL;
    memset(&location, 0, sizeof location);
    check(nn_model_create(&resumed, 2, layers, 2, 2), NULL); /* the file replaces its weights */
    check(nn_trainer_create(&trainer, resumed, &how), NULL);
    check(nn_load_checkpoint(trainer, path, &location), path);
    check(nn_trainer_fit(trainer, &data), NULL); /* NN_ERROR_STATE if the run had already ended */

    bytes = nn_parameter_count(whole) * sizeof(nn_real);
    same = memcmp(nn_parameters(whole), nn_parameters(resumed), bytes) == 0;
    printf("The weights of the resumed run and of an uninterrupted run are %s.\n",
           same ? "equal" : "DIFFERENT");
    nn_trainer_free(trainer);
    nn_model_free(resumed);
    nn_model_free(whole);
    (void)remove(path);
    return same ? 0 : 1;
}
