/* test_open with files that only NN_READ_BYTE can read, as in a microcontroller's flash. */
#define FLASH 0x5a
#include "safetensors_open.c"
