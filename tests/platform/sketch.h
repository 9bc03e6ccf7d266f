/* Stands in for Arduino.h, so that sketches can be compiled for other machines and run there: what
   they print goes to standard output, and the program ends with the line "done". Its macros are
   those that collide with other people's names. */
#ifndef SKETCH_H
#define SKETCH_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define min(a, b) ((a) < (b) ? (a) : (b))
#define max(a, b) ((a) > (b) ? (a) : (b))
#undef abs
#define abs(x)                    ((x) > 0 ? (x) : -(x))
#define round(x)                  ((x) >= 0 ? (long)((x) + 0.5) : (long)((x)-0.5))
#define sq(x)                     ((x) * (x))
#define bit(b)                    (1UL << (b))
#define lowByte(w)                ((uint8_t)((w)&0xff))
#define constrain(x, least, most) ((x) < (least) ? (least) : ((x) > (most) ? (most) : (x)))
#define F(text)                   (text)
#define PI                        3.1415926535897932384626433832795
#define EULER                     2.718281828459045235360287471352
#define B0                        0
#define B1                        1
#define LOW                       0
#define HIGH                      1
#define INPUT                     0
#define OUTPUT                    1
#define CHANGE                    1
#define DEFAULT                   1
#define SERIAL                    0
#define interrupts()              ((void)0)
typedef bool boolean;
typedef uint8_t byte;
typedef unsigned int word;

/* What the sketches use of Serial. A float is printed as Arduino's Print does: rounded by adding
   half of the last digit, then cut. */
struct sketch_serial {
    int done;
    void begin(long)
    {
    }
    void print(const char *text)
    {
        fputs(text, stdout);
    }
    void print(int number)
    {
        printf("%d", number);
    }
    void print(double number, int digits)
    {
        double half = 0.5;
        if (number < 0) fputc('-', stdout);
        number = number < 0 ? -number : number;
        for (int i = 0; i < digits; i++) half /= 10;
        number += half;
        printf("%lu.", (unsigned long)number);
        for (number -= (double)(unsigned long)number; digits > 0; digits--) {
            number *= 10;
            fputc('0' + (int)number, stdout);
            number -= (int)number;
        }
    }
    void println(const char *text)
    {
        puts(text);
        done = strcmp(text, "done") == 0;
    }
    void println(int number)
    {
        print(number);
        fputc('\n', stdout);
    }
    void println(double number, int digits)
    {
        print(number, digits);
        fputc('\n', stdout);
    }
};

static sketch_serial Serial;

static inline void delay(long)
{
    exit(1); /* a sketch that waits has failed */
}

void setup();
void loop();

int main()
{
    long i;

    setup();
    for (i = 0; i < 100000 && !Serial.done; i++) loop();
    return !Serial.done;
}

#endif
