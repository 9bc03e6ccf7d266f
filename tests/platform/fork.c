/* A process that has trained with OpenMP's threads forks, and its child trains too, as THREADS in
   the header's >>doc says: the child gets the parent's bits, and does not wait for threads that it
   has not. Prints what each child did; returns 1 when one failed. Needs POSIX and OpenMP 5.0. */
#define _DEFAULT_SOURCE
#define NN_IMPLEMENTATION
#include "nn.h"

#include <sys/wait.h>
#include <unistd.h>

enum { ROWS = 256, INPUTS = 512, OUTPUTS = 10, SECONDS = 20 };

/* A net whose products are large enough for threads. Returns the sum of its bits. */
static unsigned train(void)
{
    static const nn_layer layers[] = {NN_DENSE(512, NN_RELU), NN_DENSE(OUTPUTS, NN_LINEAR)};
    static nn_real x[ROWS * INPUTS], y[ROWS * OUTPUTS];
    const unsigned char *bytes;
    nn_options how;
    nn_data data;
    nn_model *model;
    unsigned sum = 0;
    size_t i;

    memset(&how, 0, sizeof how);
    memset(&data, 0, sizeof data);
    for (i = 0; i < ROWS * INPUTS; i++) x[i] = (nn_real)(i % 7) / 7;
    for (i = 0; i < ROWS * OUTPUTS; i++) y[i] = (nn_real)(i % 3);
    how.epochs = 1;
    how.batch_size = ROWS;
    data.rows = ROWS;
    data.inputs = INPUTS;
    data.outputs = OUTPUTS;
    data.x = x;
    data.y = y;
    if (nn_model_create(&model, INPUTS, layers, 2, 1) != NN_OK) return 0;
    if (nn_fit(model, &data, &how) != NN_OK) return 0;
    bytes = (const unsigned char *)nn_parameters(model);
    for (i = 0; i < nn_parameter_count(model) * sizeof(nn_real); i++) sum = sum * 31 + bytes[i];
    nn_model_free(model);
    return sum;
}

/* Returns whether a child that trains gets `expected`; 0 means that the parent trains after it. */
static int child_trains(const char *name, unsigned expected, int one_thread)
{
    int status = 0;
    const pid_t child = fork();

    if (child == 0) {
        alarm(SECONDS);
        if (one_thread) omp_set_num_threads(1);
        _exit(!expected ? !train() : train() != expected);
    }
    if (child < 0 || waitpid(child, &status, 0) != child) return 0;
    printf("%s: %s\n", name, status ? "FAILED" : "ok");
    return status == 0;
}

int main(void)
{
    int good = child_trains("fork before training", 0, 0);
    const unsigned expected = train();

    good &= expected != 0 && omp_get_max_threads() > 1;
    good &= child_trains("one thread in the child", expected, 1);
    good &= train() == expected;
    good &= omp_pause_resource_all(omp_pause_soft) == 0;
    good &= child_trains("pause before the fork", expected, 0);
    good &= train() == expected;
    return !good;
}
