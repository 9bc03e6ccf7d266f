/* nn_model_open_in on files that are damaged, of another kind, or as large as can be, and on files
   with random damage. Usage: safetensors_open_damage [SEED] */
#include "safetensors_open.h"

/* Cut short anywhere, or longer. */
static void test_truncated(void)
{
    nn_model *model = make_small();
    bytes file = save_model(model), part, longer;
    size_t size;
    int loads, value;

    nn_model_free(model);
    CHECK(is_taken(file));
    for (size = 0; size < file.size; size++) {
        part = file;
        part.size = size;
        CHECK(!obeys(part, &loads) && !loads);
        CHECK(nn_model_open_size(file.at, size) == 0);
    }
    for (size = 1; size <= 16; size++) {
        for (value = 0; value < 256; value += 32) {
            longer = make_bytes(file.size + size);
            memcpy(longer.at, file.at, file.size);
            memset(longer.at + file.size, value, size);
            CHECK(!obeys(longer, &loads) && !loads);
            free(longer.at);
        }
    }
    free(file.at);
}

/* Any other value of any byte: never taken. */
static void test_changed(void)
{
    nn_model *model = make_small(), *made;
    bytes file = save_model(model), stored = copy_bytes(file.at, file.size), memory;
    size_t at;
    int change, taken = 0;

    nn_model_free(model);
    store(stored.at, file);
    memory = make_bytes(nn_model_open_size(stored.at, stored.size));
    for (at = 0; at < file.size; at++) {
        for (change = 0; change < 256; change++) {
            stored.at[at] = (unsigned char)(file.at[at] ^ FLASH ^ change);
            made = model;
            if (nn_model_open_in(&made, memory.at, memory.size, stored.at, stored.size) == NN_OK) {
                if (!CHECK(made && change == 0)) printf("byte %u ^ %#x\n", (unsigned)at, change);
                taken++;
            } else {
                CHECK(!made);
            }
        }
        stored.at[at] = (unsigned char)(file.at[at] ^ FLASH);
    }
    CHECK((size_t)taken == file.size); /* the unchanged ones */
    free(memory.at);
    free(stored.at);
    free(file.at);
}

/* Weights and scaling that are not finite, under a checksum that is right; and one that is not. */
static void test_not_finite(void)
{
    static const uint64_t values[] = {SIZED(0x7f800000, UINT64_C(0x7ff0000000000000)),
                                      SIZED(0xff800000, UINT64_C(0xfff0000000000000)),
                                      SIZED(0x7fc00000, UINT64_C(0x7ff8000000000000)),
                                      SIZED(0x7f800001, UINT64_C(0x7ff0000000000001)),
                                      SIZED(0xffffffff, UINT64_C(0xffffffffffffffff))};
    static const uint64_t largest = SIZED(0x7f7fffff, UINT64_C(0x7fefffffffffffff));
    net n = small_net();
    size_t size, i, k, b;
    text header = make_header(&n, &size);
    bytes data = make_numbers(size, n.real), file = assemble(header, data, 8, 0), kept;
    unsigned char *at = file.at + file.size - size;
    opened o;

    for (i = 0; i < size / n.real; i++) {
        kept = copy_bytes(file.at, file.size);
        for (k = 0; k <= sizeof values / sizeof *values; k++) {
            const uint64_t value = k ? values[k - 1] : largest;
            for (b = 0; b < n.real; b++) at[i * n.real + b] = (unsigned char)(value >> (8 * b));
            o = open_at(file, 0, 0);
            CHECK(o.status == NN_ERROR_CHECKSUM);
            close_opened(&o);
            put_checksum(file);
            o = open_at(file, 0, 0);
            CHECK(o.status == (k ? NN_ERROR_PARAMETER : NN_OK));
            close_opened(&o);
            CHECK(is_taken(file) == !k);
        }
        memcpy(file.at, kept.at, kept.size);
        free(kept.at);
    }
    CHECK(is_taken(file));
    free(file.at);
    free(data.at);
    free(header.at);
}

/* Files of ours, but of other kinds: a checkpoint, and the other precision, which other functions
   take. */
static void test_other_kinds(void)
{
    nn_model *model = make_small();
    nn_trainer *trainer = NULL;
    net n = small_net();
    size_t size = 0;
    text header, other;
    bytes file, data;
    int loads;

    CHECK(nn_trainer_create(&trainer, model, NULL) == NN_OK);
    CHECK(nn_save_checkpoint_memory(trainer, NULL, 0, &size) == NN_OK && size > 8);
    file = make_bytes(size);
    CHECK(nn_save_checkpoint_memory(trainer, file.at, size, &size) == NN_OK);
    nn_trainer_free(trainer);
    nn_model_free(model);
    CHECK(!obeys(file, &loads) && loads);
    free(file.at);

    n.real = 12 - sizeof(nn_real);
    n.scaling = "none";
    n.values = "";
    header = make_header(&n, &size);
    data = make_numbers(size, n.real);
    CHECK(!header_taken(header, data, &loads) && loads);
    free(data.at);
    free(header.at);

    n.real = sizeof(nn_real); /* what follows 9 in ASCII is no digit for 10 */
    n.widths[0] = 10;
    n.widths[1] = 1;
    n.widths[2] = 0;
    n.activations = "relu";
    header = make_header(&n, &size);
    other = edited(header, "\"10,1\"", "\":,1\"");
    data = make_numbers(size, n.real);
    CHECK(header_taken(header, data, &loads) && loads);
    CHECK(!header_taken(other, data, &loads));
    free(data.at);
    free(header.at);
    free(other.at);
}

/* Makes the data of linear layers of width 1, w, b, w, b, ...; what comes out of them for the first
   input, exactly: the weights are 1 and -1. */
static nn_real make_chain(bytes data, int layers)
{
    nn_real x = inputs[0];
    int i;
    for (i = 0; i < layers; i++) {
        const int sign = i % 3 ? 1 : -1;
        put_number(data.at + 2 * (size_t)i * sizeof(nn_real), sizeof(nn_real), sign);
        x = (sign < 0 ? -x : x) + (nn_real)number_at(2 * (size_t)i + 1);
    }
    return x;
}

/* Many layers, and a header of some MB. */
static void test_limits(void)
{
    enum { SCALED_INPUTS = 140000 };
    static const int counts[] = {1022, 1023, 3000};
    net n = small_net();
    text header, names;
    bytes data, file;
    nn_shape shape;
    nn_real y = 0, wanted;
    opened o;
    size_t size, i, k;
    int loads;

    for (k = 0; k < 3; k++) {
        const int layers = counts[k];
        header = no_text();
        names = no_text();
        for (i = 0; i < (size_t)layers; i++) add(&names, i ? ",linear" : "linear");
        add(&header, "{\"__metadata__\":{\"format\":\"pt\",\"nn.version\":\"1\",\"nn.widths\":\"1");
        for (i = 0; i < (size_t)layers; i++) add(&header, ",1");
        add(&header, "\",\"nn.activations\":\"");
        add_bytes(&header, names.at, names.size);
        add(&header, "\",\"nn.scaling\":\"none\",\"nn.scaling_values\":\"\",\"nn.crc32\":");
        add(&header, "\"00000000\"}");
        for (i = 0; i < (size_t)layers; i++) {
            const size_t at = 2 * i * n.real;
            add(&header, ",\"%u.weight\":{\"dtype\":\"" OWN_TYPE "\",\"shape\":[1,1],",
                (unsigned)i);
            add(&header, "\"data_offsets\":[%u,%u]}", (unsigned)at, (unsigned)(at + n.real));
            add(&header, ",\"%u.bias\":{\"dtype\":\"" OWN_TYPE "\",\"shape\":[1],", (unsigned)i);
            add(&header, "\"data_offsets\":[%u,%u]}", (unsigned)(at + n.real),
                (unsigned)(at + 2 * n.real));
        }
        add(&header, "}");
        data = make_numbers(2 * (size_t)layers * n.real, n.real);
        wanted = make_chain(data, layers);
        file = assemble(header, data, 8, 0);
        CHECK(obeys(file, &loads) && loads);
        o = open_at(file, 0, 0);
        if (CHECK(o.status == NN_OK)) {
            CHECK(nn_get_shape(o.model, &shape) == NN_OK && shape.count == layers);
            CHECK(nn_predict(o.model, inputs, 1, &y, NULL) == NN_OK);
            CHECK(y == wanted);
        }
        close_opened(&o);
        free(file.at);
        free(data.at);
        free(header.at);
        free(names.at);
    }
    n = small_net();
    n.scaling = "standard";
    n.widths[0] = SCALED_INPUTS;
    n.widths[1] = 1;
    n.widths[2] = 0;
    n.activations = "linear";
    names = no_text();
    for (size = 0; size < 2 * (size_t)n.widths[0]; size++) add_bytes(&names, ONE, 2 * n.real);
    n.values = names.at;
    header = make_header(&n, &size);
    data = make_numbers(size, n.real);
    CHECK(header_taken(header, data, &loads) && loads);
    CHECK(header.size > (size_t)2 << 20);
    free(data.at);
    free(header.at);
    free(names.at);
}

/* Removes, repeats, moves or overwrites a few bytes. */
static void damage(text *t)
{
    static const char likely[] = "0123456789[]{},\":.abcdefluxw \\-";
    size_t at, size;
    text result = no_text();

    if (t->size < 40) return;
    at = random_below((unsigned)t->size - 20);
    size = 1 + random_below(random_below(4) ? 3 : 16);
    switch (random_below(4)) {
    case 0: /* remove */
        add_bytes(&result, t->at, at);
        add_bytes(&result, t->at + at + size, t->size - at - size);
        break;
    case 1: /* repeat */
        add_bytes(&result, t->at, at + size);
        add_bytes(&result, t->at + at, t->size - at);
        break;
    case 2: /* copy another part */
        add_bytes(&result, t->at, t->size);
        memmove(result.at + random_below((unsigned)t->size - 20), t->at + at, size);
        break;
    default: /* overwrite */
        add_bytes(&result, t->at, t->size);
        result.at[at] = random_below(8) ? likely[random_below(sizeof likely - 1)]
                                        : (char)(1 + random_below(255));
    }
    free(t->at);
    *t = result;
}

/* Headers with random damage and the right checksum, and data with: all obey the rule. */
static void test_random(void)
{
    static const char *const lists[] = {"relu,linear,softmax", "linear,tanh,sigmoid",
                                        "leaky_relu,linear,linear"};
    int round, changes, loads, taken = 0, loaded = 0;

    for (round = 0; round < 30000; round++) {
        net n = small_net();
        text header;
        bytes data, file;
        size_t size;
        int bad = test_bad;
        n.widths[0] = 1 + random_below(3);
        n.widths[1] = 1 + random_below(3);
        n.widths[2] = 1 + random_below(3);
        n.widths[3] = random_below(2) ? 0 : 1 + random_below(12);
        n.activations = n.widths[3] ? lists[random_below(3)] : "tanh,relu";
        if (n.widths[0] != 3) {
            n.scaling = "none";
            n.values = "";
        }
        header = make_header(&n, &size);
        data = make_numbers(size, n.real);
        for (changes = (int)random_below(4); changes > 0; changes--) damage(&header);
        for (changes = (int)random_below(3); changes > 0; changes--)
            data.at[random_below((unsigned)data.size)] = (unsigned char)random_below(256);
        file = assemble(header, data, random_below(16) ? 8 : 1, 0);
        taken += obeys(file, &loads);
        loaded += loads;
        if (test_bad > bad && bad < 5)
            printf("seed %lu, round %d: %s\n", (unsigned long)seed, round, header.at);
        free(file.at);
        free(data.at);
        free(header.at);
    }
    CHECK(taken > 3000 && taken < 27000 && loaded > 3000 && loaded < 27000);
}

int main(int argc, char **argv)
{
    test_any_backend(); /* files are told apart, not computed with */
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    random_state = seed;
    make_inputs();
    RUN(test_truncated);
    RUN(test_changed);
    RUN(test_not_finite);
    RUN(test_other_kinds);
    RUN(test_limits);
    RUN(test_random);
    return test_done();
}
