// The worker of the page: it holds the engine, trains, and sends pictures when it is asked for one.
'use strict';

const SLICE = 6; // milliseconds of training between two looks at the messages
let engine = null; // what playground.c exports
let until = 0; // the epoch at which training pauses; 0: never
let playing = false;
let speed = 0; // epochs in a second; 0: as many as possible
let due = 0; // when the next epoch may begin
let batches = 1; // that are trained at a time, so that a slice stays short
let epoch = 0; // complete ones
let within = false; // whether the next epoch has begun
let hash = ''; // of the weights at the end of the last complete epoch
let shape = null; // inputs, outputs, hidden widths
let measured = null; // the last losses
let measureAgain = 0; // when they are measured again
let run = 0; // the page's number of this start
let wanted = null; // the picture that the page waits for
let changed = false; // whether there is something new to show
const turn = new MessageChannel(); // continues training behind the messages that have come

turn.port1.onmessage = work;

// ---- The engine's memory ------------------------------------------------------------------------

function textAt(address) {
    if (!address) return null;
    const bytes = new Uint8Array(engine.memory.buffer, address);
    return new TextDecoder().decode(bytes.slice(0, bytes.indexOf(0)));
}

function doublesAt(address, count) {
    return Array.from(new Float64Array(engine.memory.buffer, address, count));
}

// A copy of floats in a buffer that the page has given back, where it fits.
function floatsAt(address, count, spare) {
    const copy = spare && spare.length === count ? spare : new Float32Array(count);
    if (address) copy.set(new Float32Array(engine.memory.buffer, address, count));
    return copy;
}

function fail(text) {
    playing = false;
    postMessage({type: 'failed', run, message: text || textAt(engine.message())});
}

// ---- Training -----------------------------------------------------------------------------------

// One slice: until an epoch ends or some milliseconds have passed. Returns whether all went well.
function trainSlice() {
    const begin = performance.now();
    if (!engine.train(batches)) {
        changed = true;
        fail();
        return false;
    }
    const took = performance.now() - begin;
    if (took < SLICE / 4 && batches < 1e6) batches *= 2;
    if (took > SLICE && batches > 1) batches = Math.ceil(batches / 2);
    changed = true;
    within = engine.epoch() === epoch;
    if (within) return true;
    epoch = engine.epoch();
    hash = textAt(engine.hash());
    due = Math.max(due + (speed ? 1000 / speed : 0), begin - 100);
    if (until && epoch >= until) pause();
    return true;
}

function work() {
    const end = performance.now() + SLICE;
    while (playing && performance.now() < end) {
        if (speed && performance.now() < due) break;
        if (!trainSlice()) break;
    }
    answer();
    if (!playing) return;
    if (speed && performance.now() < due) setTimeout(work, due - performance.now());
    else turn.port2.postMessage(0);
}

// Training pauses where an epoch ends, so that the weights are those of whole epochs.
function finishEpoch() {
    const before = epoch;
    while (epoch === before && trainSlice()) {}
}

function pause() {
    playing = false;
    postMessage({type: 'paused', run, epoch, hash});
}

// ---- Pictures -----------------------------------------------------------------------------------

// Of each hidden layer the pictures of its first units: engine.units has them cell by cell.
function unitPictures(side, limit, spare) {
    const cells = side * side;
    const shown = shape.hidden.map((width) => Math.min(width, limit));
    const total = shown.reduce((sum, width) => sum + width, 0);
    const fits = spare && spare.length === total * cells;
    const pictures = fits ? spare : new Float32Array(total * cells);
    if (!total) return pictures;
    let address = engine.units(side);
    if (!address) return pictures;
    let at = 0;
    shape.hidden.forEach((width, layer) => {
        const outputs = new Float32Array(engine.memory.buffer, address, cells * width);
        for (let unit = 0; unit < shown[layer]; unit++) {
            for (let cell = 0; cell < cells; cell++) pictures[at++] = outputs[cell * width + unit];
        }
        address += 4 * cells * width;
    });
    return pictures;
}

// The losses: where measuring takes long, not for every picture of a training.
function measure() {
    const begin = performance.now();
    if (playing && begin < measureAgain) return measured;
    measured = doublesAt(engine.measure(), 5);
    const took = performance.now() - begin;
    measureAgain = begin + (took > 3 ? 8 * took : 0);
    return measured;
}

// Sends the picture that the page waits for, once there is something new.
function answer() {
    if (!wanted || !changed || !shape) return;
    const {side, unitSide, limit, spare} = wanted;
    wanted = null;
    changed = false;
    const plane = floatsAt(engine.plane(side), side * side * shape.outputs, spare.plane);
    const units = unitPictures(unitSide, limit, spare.units);
    const weights = floatsAt(engine.parameters(), shape.parameters, spare.weights);
    const [, loss, score, testLoss, testScore] = measure();
    const frame = {type: 'frame', run, epoch, hash, playing, side, unitSide, limit,
        loss, score, testLoss, testScore, plane, units, weights};
    postMessage(frame, [plane.buffer, units.buffer, weights.buffer]);
}

// ---- Messages of the page -----------------------------------------------------------------------

function writeText(settings, table) {
    const bytes = new TextEncoder().encode(settings);
    const size = bytes.length + 1 + (table ? table.byteLength : 0);
    const address = engine.text(size);
    const memory = new Uint8Array(engine.memory.buffer, address, size);
    memory.set(bytes);
    if (table) memory.set(new Uint8Array(table), bytes.length + 1);
    return bytes.length;
}

function names(name, count) {
    return Array.from({length: count}, (_, i) => textAt(name(i)));
}

// What was started, for the page.
function describe(hidden) {
    const [inputs, outputs, classes, trainRows, testRows, dropped, imputed, batchesInEpoch,
        parameters, loss] = doublesAt(engine.facts(), 10);
    return {inputs, outputs, classes, trainRows, testRows, dropped, imputed, batchesInEpoch,
        parameters, loss, hidden,
        inputNames: names(engine.input_name, inputs),
        classNames: names(engine.class_name, classes),
        ranges: Array.from({length: inputs}, (_, i) => doublesAt(engine.range(i), 3))};
}

function points(across, up) {
    return floatsAt(engine.points(across, up), 3 * (shape.trainRows + shape.testRows));
}

// The window around the points of two inputs.
function look(across, up) {
    const edges = (input) => {
        const [low, high] = shape.ranges[input];
        const margin = high > low ? 0.06 * (high - low) : 1;
        return [low - margin, high + margin];
    };
    const window = {across, up, x: edges(across), y: edges(up)};
    engine.look_at(across, up, ...window.x, ...window.y);
    changed = true;
    return window;
}

const handlers = {
    async load({bytes}) {
        try {
            engine = (await WebAssembly.instantiate(bytes, {})).instance.exports;
        } catch (error) {
            fail(`this browser cannot run the engine, WebAssembly with SIMD: ${error.message}`);
            return;
        }
        engine._initialize();
        postMessage({type: 'loaded'});
    },

    // A few points of each data set, for the buttons.
    thumbnails({sets}) {
        const pictures = sets.map((settings) => {
            if (!engine.start(writeText(settings, null))) return null;
            const [inputs, , classes, trainRows, testRows] = doublesAt(engine.facts(), 5);
            const numbers = 3 * (trainRows + testRows);
            return {inputs, classes, points: floatsAt(engine.points(0, 1), numbers)};
        });
        postMessage({type: 'thumbnails', pictures});
    },

    start(message) {
        playing = false;
        shape = null;
        run = message.run;
        until = message.until;
        if (!engine.start(writeText(message.settings, message.table))) {
            fail();
            return;
        }
        epoch = 0;
        within = false;
        measureAgain = 0;
        batches = 1;
        hash = textAt(engine.hash());
        shape = describe(message.hidden);
        const axis = (wish, n) => wish < 0 || wish >= shape.inputs ? engine.axis(n) : wish;
        const window = look(axis(message.across, 0), axis(message.up, 1));
        postMessage({type: 'started', run, hash, shape, window,
            points: points(window.across, window.up)});
        answer();
    },

    look({across, up}) {
        const window = look(across, up);
        postMessage({type: 'looked', run, window, points: points(across, up)});
        answer();
    },

    play(message) {
        if (!shape || playing) return;
        speed = message.speed;
        if (until && epoch >= until) until = 0;
        due = performance.now();
        playing = true;
        work();
    },

    speed(message) {
        speed = message.speed;
        due = performance.now();
    },

    pause() {
        if (!playing) return;
        if (within) finishEpoch();
        if (playing) pause();
        answer();
    },

    step() {
        if (!shape) return;
        playing = false;
        finishEpoch();
        pause();
        answer();
    },

    draw(message) {
        wanted = message;
        if (message.again) changed = true;
        answer();
    },

    save({kind}) {
        const size = shape ? engine.save(kind) : 0;
        const bytes = new Uint8Array(engine.memory.buffer, engine.saved(), size).slice();
        postMessage({type: 'saved', kind, bytes: size ? bytes : null});
    },
};

onmessage = (event) => handlers[event.data.type](event.data);
