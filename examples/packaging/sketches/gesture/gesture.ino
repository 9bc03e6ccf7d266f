/* Trains a convolution on the board: it learns to tell three gestures apart by 16 samples of an
   accelerometer, shaking and circles to the left and to the right. The net needs 4 kB of RAM: a
   Mega, or a board of 32 bits. Open the serial monitor with 115200 baud.

   The samples are simulated, and in flash: gestures.h. For gestures of your own, fill x in read_row
   with the samples of your sensor, in units of gravity, and tell the class of each. */

#define NN_NO_STDIO
#define NN_NO_MALLOC
#define NN_NO_OPEN
#define NN_NO_FMA /* the same weights on every board, also without a fused multiply-add */
#define NN_STATIC /* the compiler leaves out functions that are not called */
/* and operations that are not used */
#define NN_ONLY_LAYERS                                                                             \
    (1u << NN_LAYER_IMAGE | 1u << NN_LAYER_CONVOLUTION | 1u << NN_LAYER_MAX_POOL |                 \
     1u << NN_LAYER_DENSE)
#define NN_ONLY_PADDINGS    (1u << NN_PADDING_NONE)
#define NN_ONLY_ACTIVATIONS (1u << NN_LINEAR | 1u << NN_RELU | 1u << NN_SOFTMAX)
#define NN_ONLY_LOSSES      (1u << NN_CROSS_ENTROPY)
#define NN_ONLY_OPTIMIZERS  (1u << NN_SGD)
#define NN_IMPLEMENTATION
#include <nn.h>

#ifdef __AVR__ /* there, constants are in RAM unless they are told to stay in flash */
#include <avr/pgmspace.h>
#define FLASH         PROGMEM
#define FROM_FLASH(p) ((signed char)pgm_read_byte(p))
#else
#define FLASH
#define FROM_FLASH(p) (*(p))
#endif
#include "gestures.h"

enum { AXES = 3, INPUTS = SAMPLES * AXES, EPOCHS = 20 };

static const nn_layer layers[] = {
    NN_IMAGE(1, SAMPLES, AXES),                   /* a sequence is an image of height 1 */
    NN_CONV1D(8, 3, 1, NN_PADDING_NONE, NN_RELU), /* 14 positions of 8 channels */
    NN_MAX_POOL1D(4, 4),                          /* 3 positions of 8 channels */
    NN_DENSE(CLASSES, NN_SOFTMAX)};
static const nn_shape shape = {INPUTS, layers, 4};

/* nn_model_size and nn_trainer_size say how much is needed. */
static unsigned char model_memory[sizeof(void *) > 4 ? 4096 : 1952];
static unsigned char trainer_memory[sizeof(void *) > 4 ? 4096 : 2032];

static nn_options how; /* zero means default; must outlive the trainer */
static nn_model *model;
static nn_trainer *trainer;
static int epoch;

/* Stops when a call of the library failed, and prints the number of its nn_status. */
static void check(nn_status status)
{
    if (status == NN_OK) return;
    Serial.print(F("failed with status "));
    Serial.println((int)status);
    for (;;) delay(1000);
}

/* x[INPUTS] becomes a row in flash. */
static void read_row(const signed char *row, nn_real *x)
{
    for (int i = 0; i < INPUTS; i++) x[i] = (nn_real)FROM_FLASH(row + i) / 64;
}

/* Returns how many of the test rows the model predicts correctly. */
static int count_correct()
{
    nn_real x[INPUTS];
    int guess, correct = 0;

    for (int row = 0; row < TEST_ROWS; row++) {
        read_row(test_rows + row * INPUTS, x);
        check(nn_predict_classes(model, x, 1, &guess, NULL));
        correct += guess == row % CLASSES;
    }
    return correct;
}

void setup()
{
    Serial.begin(115200);
    how.loss = NN_CROSS_ENTROPY;
    how.learning_rate = 0.05f;
    how.batch_size = 1; /* rows for one update; the activations of one row are all that is held */
    check(nn_model_create_in(&model, model_memory, sizeof model_memory, &shape, 1)); /* seed 1 */
    check(nn_trainer_create_in(&trainer, trainer_memory, sizeof trainer_memory, model, &how));
}

/* Trains with each row once, one after the other, as they would come from the sensor. */
void loop()
{
    nn_real x[INPUTS], y[CLASSES] = {0}, loss, sum = 0;

    if (epoch == EPOCHS) return; /* it has learned */
    for (int row = 0; row < TRAIN_ROWS; row++, sum += loss) {
        read_row(train_rows + row * INPUTS, x);
        y[row % CLASSES] = 1;
        check(nn_train_batch(trainer, x, y, 1, &loss));
        y[row % CLASSES] = 0;
    }
    epoch++;
    Serial.print(F("epoch "));
    Serial.print(epoch);
    Serial.print(F(", loss "));
    Serial.println(sum / TRAIN_ROWS, 4);
    if (epoch < EPOCHS) return;
    Serial.print(F("correct test rows: "));
    Serial.println(count_correct());
    Serial.println(F("done"));
}
