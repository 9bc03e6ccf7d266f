/* Predicts with a model that a PC has trained and nn_export_c has written as C source: flower.h.
   That takes least flash and RAM, and does not need nn.h. Open the serial monitor with 115200 baud.

   The model tells two species of iris apart by the length and the width of a petal. For a model of
   your own, see examples/export.c of nn.h. */

#define NN_NO_FMA /* the same answers on every board, also without a fused multiply-add */
#include "flower.h"

/* Lengths and widths of three petals, in cm. */
static const float flowers[][2] = {{4.5f, 1.5f}, {4.9f, 2.0f}, {5.1f, 1.6f}};

void setup()
{
    Serial.begin(115200);
}

void loop()
{
    static int next;
    float probability;

    if (next == 3) return;
    flower(flowers[next], &probability);
    Serial.print(F("probability of virginica: "));
    Serial.println(probability, 4);
    if (++next == 3) Serial.println(F("done"));
}
