/* The board's gesture.c as firmware that embedded.sh builds and runs: what it reports must be the
   same text on every machine, and on the PC. The sizes and the time of training are notes.

   NATIVE and NN_NO_FMA are as in embedded.c. */

#ifndef NATIVE
#define NN_NO_SIMD
#endif

#include "embedded.h"

static void report(const char *what, uint32_t number);

#define REPORT(what, number) report(what, (uint32_t)(number))
#define main                 gesture_main
#include "../../examples/microcontroller/gesture.c"
#undef main

/* On AVR an epoch takes longer than a timer of 16 bits can count each 256th cycle. */
#ifdef __AVR__
#define COUNT_SLOWLY TCCR1B = 5 /* each 1024th cycle */
#define TIMES_SLOWER 4
#else
#define COUNT_SLOWLY (void)0
#define TIMES_SLOWER 1
#endif

/* The clock stands while this prints. Training ends with the last loss, predicting with the line
   behind it. */
static void report(const char *what, uint32_t number)
{
    static int trained;

    clock_stop();
    if (strstr(what, "bytes")) {
        put_note(what, number);
        check(number > 0 && number <= (what[0] == 'm' ? sizeof model_memory : sizeof trainer_memory),
              what);
        clock_sum = 0;
    } else {
        put_text(what);
        put_text(" ");
        put_number(number);
        put_text("\n");
        if (what[0] == 'l' && ++trained == EPOCHS) {
            put_time("training", TIMES_SLOWER * clock_sum, 1);
            put_note("rows", (uint64_t)EPOCHS * TRAIN_ROWS);
            clock_sum = 0;
        } else if (what[0] == 'c') {
            put_time("prediction", TIMES_SLOWER * clock_sum, TEST_ROWS);
        }
    }
    clock_start();
}

int main(void)
{
    machine_begin();
    COUNT_SLOWLY;
    put_text("# unit " CLOCK_NAME "\n");
    check(gesture_main() == 0, "what it has learned");
    put_text(failed ? "FAILED\n" : "done\n");
    machine_end();
    return failed;
}
