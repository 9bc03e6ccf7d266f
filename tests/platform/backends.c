/* Prints the names of the back-ends that this machine has, one a line. */
#define NN_IMPLEMENTATION
#include "../../nn.h"

int main(void)
{
#ifdef NN__SIMD
    int i;

    for (i = 0; nn__kernels_of(i, nn__level()); i++) puts(nn__kernels_of(i, nn__level())->name);
#else
    puts("scalar");
#endif
    return 0;
}
