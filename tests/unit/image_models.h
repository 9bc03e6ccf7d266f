/* Random nets with convolutions and pools, for the tests of their files. */
#ifndef IMAGE_MODELS_H
#define IMAGE_MODELS_H

#include "../fixtures.h"

enum { NET_LAYERS = 12, NET_INPUTS = 512 };

/* What the layers so far put out is [height x width x channels], or `height` 0 and `outputs`. */
typedef struct image_net {
    nn_layer layers[NET_LAYERS];
    int count, inputs, outputs;
    int height, width, channels;
} image_net;

static nn_layer make_layer(nn_layer_kind kind, int height, int width, int channels)
{
    nn_layer layer;
    memset(&layer, 0, sizeof layer);
    layer.kind = kind;
    layer.height = height;
    layer.width = width;
    layer.channels = channels;
    return layer;
}

/* How many positions a window has along an edge. */
static int positions(int pixels, int window, int stride, int same)
{
    return same ? (pixels + stride - 1) / stride : (pixels - window) / stride + 1;
}

static void add_layer(image_net *net, nn_layer layer)
{
    net->layers[net->count++] = layer;
    net->outputs =
        layer.kind == NN_LAYER_DENSE ? layer.width : net->height * net->width * net->channels;
    if (layer.kind == NN_LAYER_DENSE) net->height = 0;
}

/* Adds a convolution (0), a max pool (1) or an average pool (2). */
static void add_window(image_net *net, int pool)
{
    const int same = !pool && random_below(2);
    nn_layer layer = make_layer(pool == 1   ? NN_LAYER_MAX_POOL
                                : pool == 2 ? NN_LAYER_AVERAGE_POOL
                                            : NN_LAYER_CONVOLUTION,
                                1, 1, 0);
    int stride_height, stride_width;

    if (net->height > 1) layer.height += random_below(same ? 4 : net->height < 4 ? net->height : 4);
    layer.width += random_below(same ? 4 : net->width < 4 ? net->width : 4);
    layer.stride_height = random_below(4);
    layer.stride_width = random_below(4);
    stride_height = layer.stride_height ? layer.stride_height : pool ? layer.height : 1;
    stride_width = layer.stride_width ? layer.stride_width : pool ? layer.width : 1;
    if (same) layer.padding = NN_PADDING_SAME;
    if (!pool) {
        net->channels = layer.channels = 1 + random_below(5);
        layer.activation = (nn_activation)random_below(NN_ACTIVATION_COUNT);
        if (layer.activation == NN_SOFTMAX) layer.activation = NN_LINEAR;
    }
    net->height = positions(net->height, layer.height, stride_height, same);
    net->width = positions(net->width, layer.width, stride_width, same);
    add_layer(net, layer);
}

/* A net with an image; of height 1 when sequence is 1. */
static image_net random_net(int sequence)
{
    image_net net;
    int windows = random_below(5), dense = random_below(3);
    nn_layer layer;

    memset(&net, 0, sizeof net);
    net.height = sequence ? 1 : 1 + random_below(10);
    net.width = 1 + random_below(sequence ? 40 : 10);
    net.channels = 1 + random_below(4);
    net.inputs = net.height * net.width * net.channels;
    add_layer(&net, make_layer(NN_LAYER_IMAGE, net.height, net.width, net.channels));
    while (windows-- > 0) add_window(&net, random_below(4) % 3);
    if (random_below(3) == 0 || (net.count == 1 && !dense)) {
        net.height = net.width = 1;
        add_layer(&net, make_layer(NN_LAYER_GLOBAL_AVERAGE, 0, 0, 0));
    }
    while (dense-- > 0) {
        layer = make_layer(NN_LAYER_DENSE, 0, 1 + random_below(6), 0);
        layer.activation = (nn_activation)random_below(NN_ACTIVATION_COUNT);
        if (layer.activation == NN_SOFTMAX && (dense || layer.width == 1))
            layer.activation = NN_LINEAR;
        add_layer(&net, layer);
    }
    return net;
}

static nn_model *make_net(const image_net *net, uint64_t seed)
{
    return make_model(net->inputs, net->layers, net->count, seed);
}

/* Both predict the same bits for so many random rows. */
static int predict_alike(const image_net *net, const nn_model *a, const nn_model *b, int rows)
{
    const size_t in = (size_t)(rows * net->inputs), out = (size_t)(rows * net->outputs);
    nn_real *x = (nn_real *)malloc(in * sizeof *x), *ya, *yb;
    size_t i;
    int same;

    ya = (nn_real *)malloc(out * sizeof *ya);
    yb = (nn_real *)malloc(out * sizeof *yb);
    if (!x || !ya || !yb) exit(2);
    for (i = 0; i < in; i++) x[i] = (nn_real)uniform(-2, 2);
    memset(ya, 0xff, out * sizeof *ya);
    memset(yb, 0x7f, out * sizeof *yb);
    same = nn_predict(a, x, rows, ya, NULL) == NN_OK && nn_predict(b, x, rows, yb, NULL) == NN_OK &&
           !memcmp(ya, yb, out * sizeof *ya);
    free(x);
    free(ya);
    free(yb);
    return same;
}

/* The kinds, sizes and activations are the same; a stride of 0 is what it means. */
static int same_layers(const nn_model *a, const nn_model *b)
{
    nn_shape sa, sb;
    int i;

    if (nn_get_shape(a, &sa) != NN_OK || nn_get_shape(b, &sb) != NN_OK) return 0;
    if (sa.inputs != sb.inputs || sa.count != sb.count) return 0;
    for (i = 0; i < sa.count; i++) {
        nn_layer la = sa.layers[i], lb = sb.layers[i];
        const int pool = la.kind == NN_LAYER_MAX_POOL || la.kind == NN_LAYER_AVERAGE_POOL;
        if (pool || la.kind == NN_LAYER_CONVOLUTION) {
            if (!la.stride_height) la.stride_height = pool ? la.height : 1;
            if (!la.stride_width) la.stride_width = pool ? la.width : 1;
        }
        if (memcmp(&la, &lb, sizeof la) != 0) return 0;
    }
    return 1;
}

#endif
