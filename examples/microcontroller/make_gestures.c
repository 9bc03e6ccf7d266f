/* Writes gestures.h, the data of gesture.c, to standard output:

       cc -O2 make_gestures.c -o make_gestures && ./make_gestures >gestures.h

   No person moved a board for these data: they are simulated. A row is what an accelerometer of
   8 bits would give in 0.8 seconds: 16 samples, 20 of them in a second, of x, y and z in 1/64 of the
   acceleration of gravity. It is the sum of

       gravity  64 along z, and between -6 and 6 along x and y, because the board is held at a tilt
       noise    uniform between -9 and 9 in each number
       gesture  0, shake: a sine along a line near the x axis, 2 to 3 periods in a row
                1 and 2, circles to the left and to the right: a sine along x, and along y the same a
                quarter of a period before or after it, 0.85 to 1.15 periods in a row

   with an amplitude between 24 and 56 and a start anywhere in the period. All random numbers are
   uniform. The two circles differ in nothing but the order of their samples. */

#include <stdint.h>
#include <stdio.h>

enum { SAMPLES = 16, CLASSES = 3, TRAIN_ROWS = 60, TEST_ROWS = 60 };

static uint32_t state = 1;

/* Returns a random number from low to high (Marsaglia 2003, "Xorshift RNGs"). */
static int between(int low, int high)
{
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    return low + (int)((state >> 8) % (uint32_t)(high - low + 1));
}

/* Returns 256 times the sine of angle / 256 of a turn, with integers alone, so that each machine
   writes the same file: the approximation of Bhaskara (about 629), whose error is below 0.002. */
static int sine(int angle)
{
    const int at = angle & 127, product = at * (128 - at), sign = angle & 128 ? -1 : 1;

    return sign * (4096 * product) / (81920 - 4 * product);
}

/* Returns value / divisor, rounded to the nearest integer. */
static int divide(int value, int divisor)
{
    return (value < 0 ? value - divisor / 2 : value + divisor / 2) / divisor;
}

static void write_row(int gesture)
{
    const int amplitude = between(24, 56), start = between(0, 255);
    const int turn = gesture ? between(218, 294) : between(512, 768); /* in a row, of 256 */
    const int slope = between(-64, 64);                               /* of the line, of 256 */
    const int tilt_x = between(-6, 6), tilt_y = between(-6, 6);
    int i;

    for (i = 0; i < SAMPLES; i++) {
        const int angle = start + i * turn / SAMPLES;
        const int along_x = amplitude * sine(angle);
        const int along_y = gesture == 0   ? divide(along_x * slope, 256)
                            : gesture == 1 ? amplitude * sine(angle + 64)
                                           : amplitude * sine(angle - 64);

        const int x = tilt_x + divide(along_x, 256) + between(-9, 9);
        const int y = tilt_y + divide(along_y, 256) + between(-9, 9);

        printf("%s%d,%d,%d,", i % 8 ? " " : "\n    ", x, y, 64 + between(-9, 9));
    }
}

static void write_rows(const char *name, int rows)
{
    int row;

    printf("\nstatic const signed char %s_rows[] FLASH = {", name);
    for (row = 0; row < rows; row++) write_row(row % CLASSES);
    printf("\n};\n");
}

int main(void)
{
    printf(
        "/* Simulated gestures, made by make_gestures.c, which says how. A row has %d samples of\n"
        "   x, y and z, in 1/64 of gravity. The class of row i is i %% %d: shake, circle to the\n"
        "   left, circle to the right. */\n"
        "enum { SAMPLES = %d, CLASSES = %d, TRAIN_ROWS = %d, TEST_ROWS = %d };\n",
        SAMPLES, CLASSES, SAMPLES, CLASSES, TRAIN_ROWS, TEST_ROWS);
    write_rows("train", TRAIN_ROWS);
    write_rows("test", TEST_ROWS);
    return 0;
}
