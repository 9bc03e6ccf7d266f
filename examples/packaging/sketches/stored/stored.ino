/* Predicts with a model that a PC has trained and saved. flower_model.h holds the bytes of the file
   that nn_save wrote. They stay in flash, where the weights are read one by one; RAM holds only
   what NN_MODEL_OPEN_SIZE says. Open the serial monitor with 115200 baud.

   The model tells two species of iris apart by the length and the width of a petal. For a model of
   your own, on the PC: xxd -i my_model.safetensors >flower_model.h, and rename its array. */

#define NN_NO_STDIO
#define NN_NO_MALLOC
#define NN_NO_TRAIN /* predicts only */
#define NN_NO_CONVOLUTION
#define NN_NO_FMA /* the same answers on every board, also without a fused multiply-add */
#define NN_STATIC
#define NN_ONLY_ACTIVATIONS (1u << NN_RELU | 1u << NN_SIGMOID) /* those that the model uses */
#ifdef __AVR__ /* there, constants are in RAM unless they are told to stay in flash */
#include <avr/pgmspace.h>
#define NN_READ_BYTE(p) pgm_read_byte(p)
#endif
#define NN_IMPLEMENTATION
#include <nn.h>

#include "flower_model.h"

static unsigned char memory[NN_MODEL_OPEN_SIZE(2, 16, 1)]; /* 2 inputs, layers of 16 and 1 */
static nn_model *model;

/* Lengths and widths of three petals, in cm. */
static const nn_real flowers[][2] = {{4.5f, 1.5f}, {4.9f, 2.0f}, {5.1f, 1.6f}};

void setup()
{
    Serial.begin(115200);
    nn_status status =
        nn_model_open_in(&model, memory, sizeof memory, flower_model, sizeof flower_model);
    if (status != NN_OK) {
        Serial.print(F("failed with status "));
        Serial.println((int)status);
    }
}

void loop()
{
    static int next;
    nn_real probability;

    if (model == NULL || next == 3) return;
    if (nn_predict(model, flowers[next], 1, &probability, NULL) != NN_OK) return;
    Serial.print(F("probability of virginica: "));
    Serial.println(probability, 4);
    if (++next == 3) Serial.println(F("done"));
}
