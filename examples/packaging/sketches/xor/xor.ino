/* Trains a neural network on the board: it learns xor in a few seconds, and then answers. Open the
   serial monitor with 115200 baud. The sketch takes 1.4 kB of RAM, so that an Uno has enough.

   Instead of xor, take the rows of your sensors: x has the inputs of each row, y its target. */

#define NN_NO_STDIO
#define NN_NO_MALLOC
#define NN_NO_CONVOLUTION
#define NN_NO_FMA /* the same weights on every board, also without a fused multiply-add */
#define NN_STATIC /* the compiler leaves out functions that are not called */
/* and operations that are not used */
#define NN_ONLY_ACTIVATIONS (1u << NN_TANH | 1u << NN_SIGMOID)
#define NN_ONLY_LOSSES      (1u << NN_BINARY_CROSS_ENTROPY)
#define NN_ONLY_OPTIMIZERS  (1u << NN_ADAM)
#define NN_IMPLEMENTATION
#include <nn.h>

/* The macros take the inputs, then the width of each layer. NN_TRAINER_SIZE takes before them the
   arrays of state for each parameter (Adam has 2) and the rows at a time (micro_batch_size). */
static unsigned char model_memory[NN_MODEL_SIZE(2, 8, 1)];
static unsigned char trainer_memory[NN_TRAINER_SIZE(2, 1, 2, 8, 1)];

static const nn_layer layers[] = {NN_DENSE(8, NN_TANH), NN_DENSE(1, NN_SIGMOID)};
static const nn_shape shape = {2, layers, 2}; /* 2 inputs, 2 layers */
static const nn_real x[] = {0, 0, 0, 1, 1, 0, 1, 1}, y[] = {0, 1, 1, 0};

static nn_options how; /* zero means default; must outlive the trainer */
static nn_model *model;
static nn_trainer *trainer;
static int updates;

/* Stops when a call of the library failed, and prints the number of its nn_status. (The texts of
   nn_status_text would take 3 kB of an AVR's RAM.) */
static void check(nn_status status)
{
    if (status == NN_OK) return;
    Serial.print(F("failed with status "));
    Serial.println((int)status);
    for (;;) delay(1000);
}

/* Prints what the network answers to each row. */
static void print_answers()
{
    nn_real p[4];

    check(nn_predict(model, x, 4, p, NULL));
    for (int row = 0; row < 4; row++) {
        Serial.print((int)x[2 * row]);
        Serial.print(F(" xor "));
        Serial.print((int)x[2 * row + 1]);
        Serial.print(F(" = "));
        Serial.println(p[row], 3);
    }
}

void setup()
{
    Serial.begin(115200);
    how.loss = NN_BINARY_CROSS_ENTROPY;
    how.optimizer = NN_ADAM;
    how.learning_rate = 0.05f;
    how.batch_size = 4;       /* rows for one update */
    how.micro_batch_size = 1; /* rows in memory at a time; it does not change the result */
    check(nn_model_create_in(&model, model_memory, sizeof model_memory, &shape, 1)); /* seed 1 */
    check(nn_trainer_create_in(&trainer, trainer_memory, sizeof trainer_memory, model, &how));
}

/* One update each time, so that a sketch can do other things in between. */
void loop()
{
    nn_real loss;

    if (updates < 0) return; /* it has learned */
    check(nn_train_batch(trainer, x, y, 4, &loss));
    updates++;
    if (updates % 50 == 0) {
        Serial.print(F("update "));
        Serial.print(updates);
        Serial.print(F(", loss "));
        Serial.println(loss, 4);
    }
    if (loss < 0.01f) {
        print_answers();
        Serial.println(F("done"));
        updates = -1;
    }
}
