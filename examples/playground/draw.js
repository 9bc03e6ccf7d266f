// Everything that the page draws: the plane, the network, the curves, and small pictures of the
// data sets.
'use strict';

// Colours that people with any colour vision can tell apart (after Okabe and Ito 2008): the first
// two are the page's blue and orange. Classes also have shapes of their own.
const CLASS_COLORS = [null, null, [0, 158, 115], [204, 121, 167], [150, 120, 20], [86, 180, 233],
    [213, 94, 0], [120, 128, 138]];
const theme = {};

function parseColor(text) {
    const number = parseInt(text.trim().slice(1), 16);
    return [number >> 16, (number >> 8) & 255, number & 255];
}

function readTheme() {
    const style = getComputedStyle(document.documentElement);
    for (const name of ['paper', 'ink', 'soft', 'faint', 'line', 'training', 'test'])
        theme[name] = style.getPropertyValue('--' + name).trim();
    theme.first = parseColor(style.getPropertyValue('--first'));
    theme.second = parseColor(style.getPropertyValue('--second'));
    theme.back = parseColor(theme.paper);
    CLASS_COLORS[0] = theme.first;
    CLASS_COLORS[1] = theme.second;
    theme.scale = diverging();
}

function css(color, alpha = 1) {
    return `rgb(${color[0]} ${color[1]} ${color[2]} / ${alpha})`;
}

// 511 colours from blue through paper to orange: what values of [-1, 1] look like.
function diverging() {
    const scale = new Uint32Array(511);
    for (let i = 0; i < 511; i++) {
        const value = (i - 255) / 255;
        const share = 0.76 * Math.pow(Math.abs(value), 0.85);
        scale[i] = mixed(value < 0 ? theme.first : theme.second, share);
    }
    return scale;
}

// A pixel as ImageData has it: a share of a colour, the rest paper. Little-endian, as all machines
// with a browser are.
function mixed(color, share) {
    const [r, g, b] = color.map((c, i) => Math.round(c * share + theme.back[i] * (1 - share)));
    return (255 << 24 | b << 16 | g << 8 | r) >>> 0;
}

function shade(value) {
    return theme.scale[Math.max(0, Math.min(510, Math.round(255 + 255 * value)))];
}

// Makes a canvas as sharp as the screen; returns its context, in CSS pixels.
function context(canvas) {
    const ratio = Math.min(window.devicePixelRatio || 1, 2.5);
    const width = canvas.clientWidth, height = canvas.clientHeight;
    const across = Math.round(width * ratio), down = Math.round(height * ratio);
    if (canvas.width !== across || canvas.height !== down) {
        canvas.width = across;
        canvas.height = down;
    }
    const to = canvas.getContext('2d');
    to.setTransform(ratio, 0, 0, ratio, 0, 0);
    return to;
}

const scratches = {};

// A canvas behind the scenes, of pixels that are written one by one.
function scratch(name, width, height) {
    let it = scratches[name];
    if (!it || it.canvas.width !== width || it.canvas.height !== height) {
        const canvas = document.createElement('canvas');
        canvas.width = width;
        canvas.height = height;
        const image = new ImageData(width, height);
        it = {canvas, image, pixels: new Uint32Array(image.data.buffer)};
        scratches[name] = it;
    }
    return it;
}

function show(it) {
    it.canvas.getContext('2d').putImageData(it.image, 0, 0);
    return it.canvas;
}

// ---- Points -------------------------------------------------------------------------------------

function shapePath(to, kind, x, y, r) {
    to.beginPath();
    switch (kind % 4) {
    case 0: to.arc(x, y, r, 0, 2 * Math.PI); break;
    case 1: to.rect(x - 0.88 * r, y - 0.88 * r, 1.76 * r, 1.76 * r); break;
    case 2:
        to.moveTo(x, y - 1.2 * r);
        to.lineTo(x + 1.1 * r, y + 0.8 * r);
        to.lineTo(x - 1.1 * r, y + 0.8 * r);
        to.closePath();
        break;
    default:
        to.moveTo(x, y - 1.3 * r);
        to.lineTo(x + 1.3 * r, y);
        to.lineTo(x, y + 1.3 * r);
        to.lineTo(x - 1.3 * r, y);
        to.closePath();
    }
}

// One point: training points are filled, test points are rings.
function drawPoint(to, x, y, r, look, ring) {
    shapePath(to, look.shape, x, y, r);
    to.fillStyle = ring ? theme.paper : look.color;
    to.strokeStyle = ring ? look.color : theme.paper;
    to.lineWidth = ring ? 1.6 : 1;
    to.fill();
    to.stroke();
}

function pointLook(facts, target) {
    if (facts.classes) return {color: css(CLASS_COLORS[target % 8]), shape: target};
    const value = (target - facts.middle) / (facts.half || 1);
    const color = value < 0 ? theme.first : theme.second;
    return {color: css(color, 0.25 + 0.75 * Math.min(1, Math.abs(value))), shape: 0};
}

// All points, drawn once for all frames, on a canvas of the size of the plane.
function drawPoints(plane, facts, view, points) {
    const ratio = plane.width / plane.clientWidth, size = plane.clientWidth;
    const canvas = document.createElement('canvas');
    canvas.width = plane.width;
    canvas.height = plane.height;
    const to = canvas.getContext('2d');
    to.scale(ratio, ratio);
    const rows = points.length / 3;
    const radius = rows > 1500 ? 1.8 : rows > 700 ? 2.4 : 3.2;
    for (let i = 0; i < rows; i++) {
        const x = size * (points[3 * i] - view.x[0]) / (view.x[1] - view.x[0]);
        const y = size * (view.y[1] - points[3 * i + 1]) / (view.y[1] - view.y[0]);
        drawPoint(to, x, y, radius, pointLook(facts, points[3 * i + 2]), i >= facts.trainRows);
    }
    return canvas;
}

// ---- The plane ----------------------------------------------------------------------------------

// The colour of each cell: the class and how sure the network is, or the number.
function paintOutputs(pixels, outputs, facts) {
    const count = facts.outputs;
    if (count === 1 && facts.classes) {
        for (let i = 0; i < pixels.length; i++) pixels[i] = shade(2 * outputs[i] - 1);
    } else if (count === 1) {
        for (let i = 0; i < pixels.length; i++)
            pixels[i] = shade((outputs[i] - facts.middle) / (facts.half || 1));
    } else {
        const ramps = classRamps(count);
        for (let i = 0, at = 0; i < pixels.length; i++, at += count) {
            let best = 0;
            for (let k = 1; k < count; k++) if (outputs[at + k] > outputs[at + best]) best = k;
            const sure = Math.max(0, (outputs[at + best] * count - 1) / (count - 1));
            pixels[i] = ramps[best][Math.min(63, Math.floor(64 * sure))];
        }
    }
}

function classRamps(count) {
    return Array.from({length: count}, (_, k) =>
        Array.from({length: 64}, (_, i) => mixed(CLASS_COLORS[k % 8], 0.06 + 0.6 * i / 63)));
}

// The values of a unit, which begin at `begin`, at a corner of a scratch canvas. The largest
// magnitude has the full colour.
function paintUnit(it, corner, values, begin, side) {
    const most = largest(values, begin, side * side);
    for (let i = begin, row = 0; row < side; row++) {
        for (let column = 0; column < side; column++, i++)
            it.pixels[corner + row * it.canvas.width + column] = shade(values[i] / most);
    }
}

function drawPlane(canvas, frame, state, unit) {
    const to = context(canvas), size = canvas.clientWidth;
    const side = unit >= 0 ? frame.unitSide : frame.side;
    const it = scratch('plane' + side, side, side);
    if (unit >= 0) paintUnit(it, 0, frame.units, unit * side * side, side);
    else paintOutputs(it.pixels, frame.plane, state.shape);
    to.imageSmoothingEnabled = true;
    to.imageSmoothingQuality = 'high';
    to.drawImage(show(it), 0, 0, size, size);
    if (!state.pointPicture || state.pointPicture.width !== canvas.width)
        state.pointPicture = drawPoints(canvas, state.shape, state.view, state.points);
    to.drawImage(state.pointPicture, 0, 0, size, size);
    if (state.shape.inputs === 1 && !state.shape.classes && unit < 0)
        drawFunction(to, frame, state, size);
}

// With one input: the outputs as a line.
function drawFunction(to, frame, state, size) {
    const [bottom, top] = state.view.y;
    to.beginPath();
    for (let i = 0; i < frame.side; i++)
        to.lineTo(size * (i + 0.5) / frame.side, size * (top - frame.plane[i]) / (top - bottom));
    to.strokeStyle = theme.ink;
    to.lineWidth = 2.5;
    to.stroke();
}

// ---- The network --------------------------------------------------------------------------------

// Where the units are: columns of layers; a layer that is too high has several columns of units.
function layOut(width, height, layers) {
    const columns = layers.length, step = width / columns;
    const places = [];
    layers.forEach((layer, k) => {
        const room = step * 0.62;
        let across = 1, size = 0;
        for (let n = 1; n <= 8 && size < 24; n++) { // a second column where squares become small
            const down = Math.ceil(layer.shown / n);
            const fits = Math.min(44, (height - 4) / (down * 1.16), room / (n * 1.16));
            if (fits > size) [across, size] = [n, fits];
        }
        const down = Math.ceil(layer.shown / across), gap = 0.16 * size;
        for (let i = 0; i < layer.shown; i++) {
            const column = i % across, row = Math.floor(i / across);
            places.push({layer: k, unit: i, size, across,
                x: step * (k + 0.5) + (column - (across - 1) / 2) * (size + gap),
                y: height / 2 + (row - (down - 1) / 2) * (size + gap)});
        }
    });
    return places;
}

const MOST_LINES = 360; // between two layers: the strongest weights

// The share of the largest weight from which on weights have lines.
function weakest(weights, begin, count, strong) {
    const BINS = 200, bins = new Uint32Array(BINS + 1);
    if (count <= MOST_LINES) return 0;
    for (let i = begin; i < begin + count; i++)
        bins[Math.floor(BINS * Math.abs(weights[i]) / strong)]++;
    let bin = BINS, sum = bins[BINS];
    while (bin > 0 && sum + bins[bin - 1] <= MOST_LINES) sum += bins[--bin];
    return bin / BINS;
}

// Lines of one sign and strength are one path.
function drawWeights(to, places, state, weights) {
    const LEVELS = 7;
    const widths = [state.shape.inputs, ...state.shape.hidden, state.shape.outputs];
    const start = [];
    places.forEach((place, i) => {
        if (place.unit === 0) start[place.layer] = i;
    });
    let offset = 0;
    for (let k = 0; k + 1 < widths.length; k++) {
        const before = state.layers[k].shown, after = state.layers[k + 1].shown;
        const strong = largest(weights, offset, widths[k] * widths[k + 1]);
        const paths = Array.from({length: 2 * LEVELS}, () => null);
        const weak = weakest(weights, offset, widths[k] * widths[k + 1], strong);
        for (let i = 0; i < before; i++) {
            for (let j = 0; j < after; j++) {
                const weight = weights[offset + i * widths[k + 1] + j] / strong;
                if (Math.abs(weight) < weak) continue;
                const level = Math.min(LEVELS - 1, Math.floor(LEVELS * Math.abs(weight)));
                const n = 2 * level + (weight > 0 ? 1 : 0);
                paths[n] = paths[n] || new Path2D();
                const a = places[start[k] + i], b = places[start[k + 1] + j];
                const x = a.x + a.size / 2, end = b.x - b.size / 2, middle = (x + end) / 2;
                paths[n].moveTo(x, a.y);
                paths[n].bezierCurveTo(middle, a.y, middle, b.y, end, b.y);
            }
        }
        paths.forEach((path, n) => {
            if (!path) return;
            const level = Math.floor(n / 2) / (LEVELS - 1);
            to.strokeStyle = css(n % 2 ? theme.second : theme.first, 0.14 + 0.66 * level);
            to.lineWidth = 0.5 + 2.5 * level;
            to.stroke(path);
        });
        offset += (widths[k] + 1) * widths[k + 1];
    }
}

function largest(numbers, begin, count) {
    let most = 1e-6;
    for (let i = begin; i < begin + count; i++) most = Math.max(most, Math.abs(numbers[i]));
    return most;
}

// An input's own picture: what it is over the plane, if the plane shows it.
function inputValues(view, input, side) {
    const values = new Float32Array(side * side);
    for (let i = 0; i < values.length; i++) {
        const column = (i % side + 0.5) / side, row = (Math.floor(i / side) + 0.5) / side;
        if (input === view.across) values[i] = 2 * column - 1;
        else if (input === view.up) values[i] = 1 - 2 * row;
    }
    return values;
}

function drawNetwork(canvas, frame, state, chosen) {
    const to = context(canvas), width = canvas.clientWidth, height = canvas.clientHeight;
    const key = [width, height, ...state.layers.map((layer) => layer.shown)].join();
    if (state.placesKey !== key) {
        state.places = layOut(width, height, state.layers);
        state.placesKey = key;
    }
    const {places} = state, side = frame.unitSide;
    to.clearRect(0, 0, width, height);
    drawWeights(to, places, state, frame.weights);

    // All pictures are painted on one scratch canvas, which goes to the screen piece by piece.
    const across = 16, rows = Math.ceil(places.length / across), last = state.layers.length - 1;
    const atlas = scratch('units', across * side, rows * side);
    let unit = 0;
    places.forEach((place, n) => {
        const corner = (Math.floor(n / across) * across * side + n % across) * side;
        if (place.layer === 0)
            paintUnit(atlas, corner, inputValues(state.view, place.unit, side), 0, side);
        else if (place.layer < last)
            paintUnit(atlas, corner, frame.units, side * side * unit++, side);
        else
            paintOutputUnit(atlas, corner, frame, state, place.unit);
    });
    const pictures = show(atlas);
    to.imageSmoothingEnabled = true;
    drawNames(to, places, state, width);
    places.forEach((place, n) => {
        const {x, y, size} = place, half = size / 2;
        const sx = n % across * side, sy = Math.floor(n / across) * side;
        to.save();
        to.beginPath();
        to.roundRect(x - half, y - half, size, size, size / 7);
        to.clip();
        to.drawImage(pictures, sx + 0.5, sy + 0.5, side - 1, side - 1,
            x - half, y - half, size, size);
        to.restore();
        to.lineWidth = n === chosen ? 3 : 1;
        to.strokeStyle = n === chosen ? theme.ink : theme.faint;
        to.beginPath();
        to.roundRect(x - half, y - half, size, size, size / 7);
        to.stroke();
    });
}

// The names of inputs and classes, beside their squares where these are in one column.
function drawNames(to, places, state, width) {
    const last = state.layers.length - 1, room = width / state.layers.length / 2;
    to.font = `12px ${getComputedStyle(document.body).fontFamily}`;
    to.fillStyle = theme.soft;
    to.textBaseline = 'middle';
    for (const {x, y, size, layer, unit, across} of places) {
        if (across > 1 || size < 13 || (layer !== 0 && layer !== last)) continue;
        const name = layer === 0 ? inputName(unit) : state.shape.classes > 2 ? className(unit) : '';
        const side = layer === 0 ? -1 : 1;
        to.textAlign = layer === 0 ? 'right' : 'left';
        to.fillText(cut(to, name, room - size / 2 - 8), x + side * (size / 2 + 7), y);
    }
}

// A text that is not wider than this.
function cut(to, text, width) {
    if (to.measureText(text).width <= width) return text;
    while (text && to.measureText(text + '…').width > width) text = text.slice(0, -1);
    return text ? text + '…' : '';
}

// An output's picture is taken from the plane.
function paintOutputUnit(it, corner, frame, state, output) {
    const {outputs, classes, middle, half} = state.shape, side = frame.unitSide;
    for (let row = 0; row < side; row++) {
        const from = Math.floor((row + 0.5) * frame.side / side) * frame.side;
        for (let column = 0; column < side; column++) {
            const cell = from + Math.floor((column + 0.5) * frame.side / side);
            const value = frame.plane[cell * outputs + output];
            it.pixels[corner + row * it.canvas.width + column] =
                shade(classes ? 2 * value - 1 : (value - middle) / (half || 1));
        }
    }
}

// ---- The curves ---------------------------------------------------------------------------------

function niceTop(value) {
    if (!(value > 0) || !isFinite(value)) return 1;
    const power = Math.pow(10, Math.floor(Math.log10(value)));
    return [1, 1.5, 2, 3, 4, 5, 7, 10].map((n) => n * power).find((top) => top >= value);
}

const compact = new Intl.NumberFormat('en', {notation: 'compact', maximumSignificantDigits: 3});

function axisNumber(value) {
    const size = Math.abs(value);
    if (size && (size >= 10000 || size < 0.001)) return value.toExponential(0).replace('e+', 'e');
    return String(Number(value.toPrecision(2)));
}

function shortNumber(value) {
    if (!isFinite(value)) return '–';
    const size = Math.abs(value);
    if (size >= 10000) return compact.format(value);
    if (size && size < 1e-4) return value.toExponential(2);
    return size >= 1000 ? String(Math.round(value)) : size >= 100 ? value.toFixed(1)
        : size >= 1 ? value.toFixed(3) : value.toFixed(4);
}

// Where a loss is drawn: 0 at the bottom, 1 at the top; and the values that have a line.
function lossScale(losses, logarithmic) {
    const values = losses.flatMap((point) => [point.loss, point.testLoss]).filter(isFinite);
    const highest = Math.max(0, ...values);
    if (!logarithmic) {
        const top = niceTop(highest);
        return {place: (value) => Math.min(1, value / top), lines: [0, top / 2, top]};
    }
    const top = Math.ceil(Math.log10(highest || 1) - 0.3) + 0.3; // 2 times a power of ten
    const low = Math.max(Math.min(...values.filter((value) => value > 0), highest || 1), 1e-12);
    const bottom = Math.min(Math.floor(Math.log10(low)), Math.floor(top) - 1);
    const step = Math.ceil((top - bottom) / 4);
    const lines = [];
    for (let power = bottom; power <= top; power += step) lines.push(Number(`1e${power}`));
    return {place: (value) => Math.max(0, (Math.log10(value) - bottom) / (top - bottom)), lines};
}

function drawCurves(canvas, losses, logarithmic) {
    const to = context(canvas), width = canvas.clientWidth, height = canvas.clientHeight;
    const left = 38, right = width - 6, top = 8, bottom = height - 20;
    const last = Math.max(1, losses.length ? losses.at(-1).epoch : 1);
    const {place, lines} = lossScale(losses, logarithmic);
    to.clearRect(0, 0, width, height);
    to.font = `11px ${getComputedStyle(document.body).fontFamily}`;
    to.fillStyle = theme.soft;
    to.strokeStyle = theme.line;
    to.lineWidth = 1;
    to.textBaseline = 'middle';
    to.textAlign = 'right';
    for (const value of lines) {
        const y = Math.round(bottom - place(value) * (bottom - top)) + 0.5;
        to.beginPath();
        to.moveTo(left, y);
        to.lineTo(right, y);
        to.stroke();
        to.fillText(axisNumber(value), left - 6, y);
    }
    to.textBaseline = 'alphabetic';
    to.textAlign = 'left';
    to.fillText('0', left, height - 4);
    to.textAlign = 'right';
    to.fillText(`epoch ${last.toLocaleString('en')}`, right, height - 4);
    const curve = (name, color, dash) => {
        to.beginPath();
        losses.forEach((point) => {
            if (!isFinite(point[name])) return;
            to.lineTo(left + (right - left) * point.epoch / last,
                bottom - (bottom - top) * place(point[name]));
        });
        to.setLineDash(dash);
        to.strokeStyle = color;
        to.lineWidth = 1.8;
        to.lineJoin = 'round';
        to.stroke();
        to.setLineDash([]);
    };
    curve('testLoss', theme.test, [5, 3]);
    curve('loss', theme.training, []);
}

// ---- Small pictures -----------------------------------------------------------------------------

function drawThumbnail(canvas, picture) {
    const to = context(canvas), size = canvas.clientWidth;
    to.fillStyle = theme.paper;
    to.fillRect(0, 0, size, size);
    const facts = {classes: picture.classes, middle: 0, half: 0.45};
    for (let i = 0; i < picture.points.length; i += 3) {
        const [x, y, target] = picture.points.subarray(i, i + 3);
        to.fillStyle = pointLook(facts, target).color;
        to.beginPath();
        to.arc(size / 2 * (1 + 0.86 * x), size / 2 * (1 - 0.86 * y), 1.3, 0, 7);
        to.fill();
    }
}
