/* nn_print_progress: the exact text of its lines and of its bar. */
#include "../fixtures.h"

/* What is printed for this progress; the text is valid until the next call. */
static const char *printed(const nn_progress *progress)
{
    static char text[400];
    FILE *file = fopen(temporary("progress"), "w+b");
    size_t size;
    if (!CHECK(file != NULL)) return "";
    CHECK(nn_print_progress(progress, file) == 0);
    rewind(file);
    size = fread(text, 1, sizeof text - 1, file);
    text[size] = 0;
    fclose(file);
    return text;
}

static void check_text(const nn_progress *progress, const char *wanted)
{
    const char *text = printed(progress);
    if (!CHECK(!strcmp(text, wanted))) printf("\"%s\", not \"%s\"\n", text, wanted);
}

/* A regression without validation, at the end of epoch 7 of 20. */
static nn_progress end_of_epoch(void)
{
    nn_progress progress;
    memset(&progress, 0, sizeof progress);
    progress.epoch = 7;
    progress.epochs = 20;
    progress.batches = 4;
    progress.loss = (nn_real)0.123456;
    progress.accuracy = progress.validation_loss = progress.validation_accuracy = (nn_real)NAN;
    progress.gradient_norm = (nn_real)NAN;
    progress.learning_rate = (nn_real)0.001;
    return progress;
}

static void test_lines(void)
{
    nn_progress progress = end_of_epoch();
    check_text(&progress, "Epoch 7/20: loss 0.1235\n");
    progress.accuracy = (nn_real)0.875;
    check_text(&progress, "Epoch 7/20: loss 0.1235, accuracy 0.8750\n");
    progress.validation_loss = (nn_real)12.5;
    check_text(&progress, "Epoch 7/20: loss 0.1235, accuracy 0.8750, validation loss 12.5000\n");
    progress.validation_accuracy = 1;
    check_text(&progress, "Epoch 7/20: loss 0.1235, accuracy 0.8750, validation loss 12.5000, "
                          "validation accuracy 1.0000\n");
    progress.accuracy = progress.validation_accuracy = (nn_real)NAN;
    check_text(&progress, "Epoch 7/20: loss 0.1235, validation loss 12.5000\n");
    progress = end_of_epoch();
    progress.accuracy = 0; /* none was right: that is not the same as no accuracy */
    check_text(&progress, "Epoch 7/20: loss 0.1235, accuracy 0.0000\n");
}

/* Why training ended, and whose weights the model has. */
static void test_endings(void)
{
    nn_progress progress = end_of_epoch();
    progress.epoch = 20;
    progress.ended = NN_ENDED_EPOCHS;
    check_text(&progress, "Epoch 20/20: loss 0.1235\n"
                          "Trained for 20 epochs; the weights are those of epoch 20\n");
    progress.best_epoch = 18;
    check_text(&progress, "Epoch 20/20: loss 0.1235\n"
                          "Trained for 20 epochs; the weights are those of epoch 18\n");
    progress.epoch = 13;
    progress.best_epoch = 8;
    progress.ended = NN_ENDED_PATIENCE;
    check_text(&progress, "Epoch 13/20: loss 0.1235\n"
                          "Stopped after 5 epochs without a lower loss; "
                          "the weights are those of epoch 8\n");
    progress.ended = NN_ENDED_NOT;
    check_text(&progress, "Epoch 13/20: loss 0.1235\n");
}

/* With callback_batches: a bar of 30 that grows in place. After the last batch it is erased, for
   the epoch's line follows. */
static void test_bar(void)
{
    nn_progress progress = end_of_epoch();
    progress.remaining = 41.7;
    progress.batch = 1;
    check_text(&progress, "\rEpoch 7/20: [=======                       ] loss 0.1235, 42 s left ");
    progress.batch = 2;
    check_text(&progress, "\rEpoch 7/20: [===============               ] loss 0.1235, 42 s left ");
    progress.batch = 4;
    check_text(&progress, "\rEpoch 7/20: [==============================] loss 0.1235, 42 s left "
                          "\r\033[K");
    progress.batches = 1000;
    progress.batch = 1;
    progress.accuracy = (nn_real)0.5; /* the bar has no room for it */
    check_text(&progress, "\rEpoch 7/20: [                              ] loss 0.1235, 42 s left ");
}

static void test_null(void)
{
    check_text(NULL, "");
    CHECK(nn_print_progress(NULL, NULL) == 0);
}

/* As the callback of nn_fit: a line for each epoch, and it never stops the training. The error of
   the model is 2 for both rows, and a rate of 1e-30 leaves it so. */
static void test_as_callback(void)
{
    static const nn_real x[2] = {1, 3}, y[2] = {2, -2};
    nn_options how = make_options(NN_MSE, NN_SGD, 1e-30);
    nn_data data = make_data(x, y, 2, 1, 1);
    nn_model *model = make_line(1);
    FILE *file = fopen(temporary("progress"), "w+b");
    char text[300];
    size_t size;
    if (!CHECK(file != NULL)) return;
    how.epochs = 3;
    how.callback = nn_print_progress;
    how.user = file;
    how.validation = &data;
    CHECK(nn_fit(model, &data, &how) == NN_OK);
    rewind(file);
    size = fread(text, 1, sizeof text - 1, file);
    text[size] = 0;
    fclose(file);
    CHECK(!strcmp(text, "Epoch 1/3: loss 4.0000, validation loss 4.0000\n"
                        "Epoch 2/3: loss 4.0000, validation loss 4.0000\n"
                        "Epoch 3/3: loss 4.0000, validation loss 4.0000\n"
                        "Trained for 3 epochs; the weights are those of epoch 3\n"));
    nn_model_free(model);
}

int main(void)
{
    RUN(test_lines);
    RUN(test_endings);
    RUN(test_bar);
    RUN(test_null);
    RUN(test_as_callback);
    remove(temporary("progress"));
    return test_done();
}
