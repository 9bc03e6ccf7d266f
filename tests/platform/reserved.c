/* Prints those of the names on standard input, one a line, under which nn_export_c would export. */
#include "../fixtures.h"

int main(void)
{
    nn_model *model = make_line(1);
    nn_export_options how;
    char name[256];
    size_t size;

    memset(&how, 0, sizeof how);
    how.name = name;
    while (fgets(name, sizeof name, stdin)) {
        name[strcspn(name, "\n")] = 0;
        if (nn_export_c_memory(model, &how, NULL, 0, &size) == NN_OK) puts(name);
    }
    nn_model_free(model);
    return 0;
}
