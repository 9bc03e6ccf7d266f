/* What the firmware of embedded.sh stands on: a character out, a clock, text without printf,
   checks, hashes. All that it prints is compared with the PC's text, but for the lines that begin
   with '#': sizes and times.

   NATIVE      the PC's build */
#ifndef EMBEDDED_H
#define EMBEDDED_H

#include <stdint.h>
#include <string.h>

/* ---- The machine: a character out, the end, a clock ------------------------------------------ */

/* clock_now counts up, modulo CLOCK_MASK + 1, what is a fixed number of CLOCK_NAME; clock_scale
   says how many. Between two readings, an epoch or all predictions, it must not go round. */
#ifdef __AVR__

#include <avr/interrupt.h>
#include <avr/io.h>
#include <avr/sleep.h>

#define CLOCK_NAME "cycles"
#define CLOCK_MASK UINT32_C(0xffff)

static void put(char c)
{
    while (!(UCSR0A & (1 << UDRE0))) continue;
    UDR0 = (uint8_t)c;
}

static void machine_begin(void)
{
    UCSR0B = 1 << TXEN0;
    TCCR1B = 4; /* timer 1 counts each 256th cycle */
}

/* The simulator ends where the processor sleeps and nothing can wake it. */
static void machine_end(void)
{
    cli();
    sleep_enable();
    for (;;) sleep_cpu();
}

static uint32_t clock_now(void)
{
    return TCNT1;
}

#else

#include <stdio.h> /* where the machine is an emulator's, the C library has the way out of it */

static void put(char c)
{
    putchar(c);
}

static void machine_end(void)
{
}

#if defined(__arm__) && !defined(NATIVE)

#define CLOCK_NAME "instructions"
#define CLOCK_MASK UINT32_C(0xffffff)
#define SYSTICK    ((volatile uint32_t *)0xe000e010) /* control, reload, value, going down */

static void machine_begin(void)
{
    SYSTICK[1] = CLOCK_MASK;
    SYSTICK[2] = 0;
    SYSTICK[0] = 5; /* on, at the processor's clock, without interrupts */
}

static uint32_t clock_now(void)
{
    return CLOCK_MASK - SYSTICK[2];
}

#elif defined(__riscv) && !defined(NATIVE)

#define CLOCK_NAME "instructions"
#define CLOCK_MASK UINT32_MAX

static void machine_begin(void)
{
}

static uint32_t clock_now(void)
{
    uint32_t count;
    __asm__ volatile("rdinstret %0" : "=r"(count));
    return count;
}

#else

#define CLOCK_NAME "nothing"
#define CLOCK_MASK UINT32_MAX

static void machine_begin(void)
{
}

static uint32_t clock_now(void)
{
    return 0;
}

#endif
#endif

/* ---- Text ------------------------------------------------------------------------------------ */

static void put_text(const char *text)
{
    while (*text) put(*text++);
}

static void put_number(uint64_t number)
{
    char text[21];
    int at = 20;

    text[20] = 0;
    do text[--at] = (char)('0' + (int)(number % 10));
    while (number /= 10);
    put_text(text + at);
}

static void put_hexadecimal(uint64_t number, int digits)
{
    while (digits-- > 0) put("0123456789abcdef"[(int)(number >> (4 * digits)) & 15]);
}

/* A line about the machine, which is no part of what is compared. */
static void put_note(const char *name, uint64_t number)
{
    put_text("# ");
    put_text(name);
    put_text(" ");
    put_number(number);
    put_text("\n");
}

static uint32_t bits_of(float x)
{
    uint32_t bits;

    memcpy(&bits, &x, sizeof bits);
    return bits;
}

/* x >= 0 as the bits it is made of and as a decimal number with 4 digits, rounded: both without
   any arithmetic in floating point. */
static void put_real(float x)
{
    const uint32_t bits = bits_of(x), exponent = bits >> 23;
    uint64_t scaled = ((bits & 0x7fffff) | 0x800000) * UINT64_C(10000);
    uint32_t fraction;
    int i;

    put_hexadecimal(bits, 8);
    put_text(" = ");
    if (exponent > 150) { /* 2^24 and above, NaN, the negative: none is expected */
        put_text("?");
        return;
    }
    if (exponent < 150 - 40)
        scaled = 0;
    else if (exponent < 150)
        scaled = ((scaled >> (149 - exponent)) + 1) >> 1;
    put_number(scaled / 10000);
    put_text(".");
    fraction = (uint32_t)(scaled % 10000);
    for (i = 1000; i; i /= 10) put((char)('0' + (int)(fraction / (uint32_t)i % 10)));
}

/* ---- Time ------------------------------------------------------------------------------------ */

static uint32_t clock_started;
static uint64_t clock_sum; /* in the clock's units */

static void clock_start(void)
{
    clock_started = clock_now();
}

static void clock_stop(void)
{
    clock_sum += (clock_now() - clock_started) & CLOCK_MASK;
}

/* How many instructions or cycles are in sum / units of the clock's units. */
static void clock_scale(uint64_t *sum, uint64_t *units)
{
    *sum = 256;
    *units = 1;
#if defined(__riscv)
    *sum = 1;
#elif defined(__arm__) && !defined(NATIVE)
    { /* by a loop of known length: the boards' clocks differ */
        uint32_t turns = 1000000;

        clock_sum = 0;
        clock_start();
        __asm__ volatile(".syntax unified\n1: subs %0, %0, #1\n bne 1b" : "+l"(turns) : : "cc");
        clock_stop();
        *sum = 2000000;
        *units = clock_sum;
    }
#endif
}

static void put_time(const char *name, uint64_t time, uint64_t count)
{
    uint64_t sum, units;

    clock_scale(&sum, &units);
    put_note(name, units ? time * sum / units / count : 0);
}

/* ---- Checks ---------------------------------------------------------------------------------- */

/* Prints where something failed, once; main returns it. */
static int failed;

static void check(int good, const char *what)
{
    if (good) return;
    failed = 1;
    put_text("FAILED: ");
    put_text(what);
    put_text("\n");
}

/* FNV-1a with 64 bits over the bits of numbers, lowest byte first. */
static uint64_t hash_of(const float *x, size_t count)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    size_t i;
    int byte;

    for (i = 0; i < count; i++)
        for (byte = 0; byte < 4; byte++)
            hash = (hash ^ ((bits_of(x[i]) >> (8 * byte)) & 255)) * UINT64_C(0x100000001b3);
    return hash;
}

static void put_hash(const char *name, const float *x, size_t count)
{
    put_text(name);
    put_text(" ");
    put_hexadecimal(hash_of(x, count), 16);
    put_text("\n");
}

#endif
