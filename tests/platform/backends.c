/* Prints the names of the back-ends that this machine has, one a line, the best first. */
#include "../fixtures.h"

int main(void)
{
    static const char *const names[] = {"avx512", "avx2", "neon", "wasm", "scalar"};
    int i;

    for (i = 0; i < COUNT_OF(names); i++) {
        nn_model *model;
        test_backend_name = names[i];
        model = make_line(1);
        if (!strcmp(nn_backend(model), names[i])) puts(names[i]);
        nn_model_free(model);
    }
    return 0;
}
