// The page: its settings, its buttons, and what it asks of the worker.

const DEFAULTS = { // playground.c has the same
    data: 'spirals', points: '400', classes: '2', noise: '0.02', sample: '1', task: 'auto',
    target: '0', ignore: '', test: '0.3', layers: '8-8', activation: 'gelu', loss: 'auto',
    optimizer: 'adam', rate: '0.01', decay: '0', dropout: '0', batch: '16', seed: '1',
    epochs: '0', x: '0', y: '0',
};
const OF_TABLES = ['task', 'target', 'ignore', 'x', 'y'];
const OF_MADE_DATA = ['points', 'classes', 'noise', 'sample'];
const SETS = {
    circles: 'Circles', xor: 'Exclusive or', spirals: 'Spirals', blobs: 'Blobs', moons: 'Moons',
    checkers: 'Chequerboard', plane: 'A plane, to fit', saddle: 'A saddle, to fit',
    hills: 'Hills, to fit', ripple: 'A ripple, to fit',
};
const WITH_CLASSES = ['circles', 'spirals', 'blobs'];
const MAX_LAYERS = 12, MAX_WIDTH = 512;
const SHOWN_UNITS = 64; // of a layer; all are trained
const FILES = [['model.safetensors', 'application/octet-stream'], ['model.c', 'text/x-c'],
    ['model.onnx', 'application/octet-stream']];

let settings = {...DEFAULTS};
let unknown = ''; // what the address says beside settings
let table = null; // {name, bytes, columns}: the visitor's own
let worker = null;
let run = 0; // starts so far: what belongs to an earlier one is dropped
let state = null; // what was started: shape, points, view, layers
let frame = null; // the newest picture
let spare = {}; // its buffers, for the worker to fill again
let asked = false; // whether the worker owes a picture
let playing = false;
let done = {epoch: 0, hash: ''}; // the last complete epoch
let losses = []; // of the frames so far, for the curves
let every = 1; // every how many frames one point is kept
let shownFrames = 0;
let chosen = -1; // the unit that the plane shows, counted from the first hidden one
let said = 0; // when the live region spoke last
let lastDrawn = 0;
const calm = matchMedia('(prefers-reduced-motion: reduce)');

const at = (id) => document.getElementById(id);
const all = (selector) => Array.from(document.querySelectorAll(selector));
const hiddenWidths = () => settings.layers === 'none' ? [] : settings.layers.split('-').map(Number);

// ---- Settings and the address -------------------------------------------------------------------

// The settings as text: what stands behind # in the address, and what playground_native takes. In
// a short text those that have their defaults are left out.
function settingsText(changes = {}, short = false) {
    const shown = {...settings, ...changes};
    const without = shown.data === 'csv' ? OF_MADE_DATA : OF_TABLES;
    return Object.keys(DEFAULTS).filter((key) => !without.includes(key) && shown[key] !== '' &&
        !(short && key !== 'data' && shown[key] === DEFAULTS[key]))
        .map((key) => `${key}=${shown[key]}`).join(',');
}

function readAddress() {
    settings = {...DEFAULTS};
    unknown = '';
    for (const part of addressText().split(',')) {
        const [key, value] = part.split('=');
        if (key in DEFAULTS && value !== undefined) settings[key] = value;
        else if (part) unknown = part;
    }
}

function addressText() {
    try {
        return decodeURIComponent(location.hash.slice(1));
    } catch (error) { // a % without its digits
        return location.hash.slice(1);
    }
}

function writeAddress() {
    replaceAddress('#' + settingsText());
}

function replaceAddress(address) {
    try {
        window.history.replaceState(null, '', address);
    } catch (error) { // some browsers forbid it for files
        location.replace(address);
    }
}

function change(key, value) {
    settings[key] = String(value);
    if (key === 'classes' || key === 'data' || key === 'task' || key === 'target') fixLoss();
    restart();
}

// Cross-entropy is no loss for numbers.
function fixLoss() {
    const numbers = ['plane', 'saddle', 'hills', 'ripple', 'csv'].includes(settings.data);
    if (numbers && settings.loss === 'cross_entropy') settings.loss = 'auto';
}

// ---- Starting and playing -----------------------------------------------------------------------

function restart() {
    if (unknown) {
        complain(`There is no setting ${unknown}`);
        unknown = '';
        return;
    }
    writeAddress();
    showSettings();
    if (settings.data === 'csv' && !table) {
        complain('This link is for a table: choose or drop its CSV file.');
        return;
    }
    run++;
    setPlaying(false);
    at('alert').hidden = true;
    worker.postMessage({type: 'start', run, settings: settingsText(), hidden: hiddenWidths(),
        until: Number(settings.epochs), table: settings.data === 'csv' ? table.bytes : null,
        across: settings.x - 1, up: settings.y - 1});
}

function setPlaying(on) {
    playing = on;
    at('play').setAttribute('aria-label', on ? 'Pause' : 'Train');
    at('play-icon').setAttribute('d', on ? 'M7 5h3.6v14H7zM13.4 5H17v14h-3.6z' : 'M8 5v14l11-7z');
}

function togglePlay() {
    if (!state) return;
    if (playing) {
        worker.postMessage({type: 'pause'});
        return;
    }
    setPlaying(true);
    worker.postMessage({type: 'play', speed: Number(at('speed').value)});
}

function complain(text) {
    at('alert').textContent = text;
    at('alert').hidden = false;
    setPlaying(false);
}

const handlers = {
    loaded() {
        worker.postMessage({type: 'thumbnails',
            sets: Object.keys(SETS).map((set) => `data=${set},points=150,test=0`)});
        restart();
    },
    thumbnails({pictures}) {
        Object.keys(SETS).forEach((set, i) => {
            thumbnails[set] = pictures[i];
        });
        drawThumbnails();
    },
    failed({message}) {
        complain(`${message[0].toUpperCase()}${message.slice(1)}.`);
    },
    started(message) {
        const {shape, points, hash} = message;
        chosen = -1;
        losses = [];
        every = 1;
        shownFrames = 0;
        frame = null;
        lastDrawn = 0;
        done = {epoch: 0, hash};
        state = {shape, layers: layersOf(shape)};
        setView(message.window, points);
        showStarted();
    },
    looked({window, points}) {
        setView(window, points);
        ask(true);
    },
    frame(message) {
        frame = message;
        asked = false;
    },
    paused({epoch, hash}) {
        done = {epoch, hash};
        setPlaying(false);
        said = 0;
        ask(true); // a finer picture
    },
    saved({kind, bytes}) {
        if (bytes) download(FILES[kind][0], FILES[kind][1], bytes);
    },
};

function receive({data}) {
    if (data.run !== undefined && data.run !== run) {
        if (data.type === 'frame') asked = false;
        return;
    }
    handlers[data.type](data);
}

function layersOf(shape) {
    return [shape.inputs, ...shape.hidden, shape.outputs].map((width) =>
        ({width, shown: Math.min(width, SHOWN_UNITS)}));
}

function setView(view, points) {
    state.view = view;
    state.points = points;
    state.pointPicture = null;
    const targets = points.filter((_, i) => i % 3 === 2).sort();
    const share = (part) => targets[Math.round(part * (targets.length - 1))];
    const low = share(0.02), high = share(0.98); // a few far ones must not take all the colours
    Object.assign(state.shape, {low, high, middle: (low + high) / 2, half: (high - low) / 2});
    if (state.shape.inputs === 1) showTargetsUp(share(0), share(1));
}

// With one input, the plane shows the target as its height.
function showTargetsUp(low, high) {
    const margin = 0.06 * (high - low) || 1;
    state.view = {...state.view, y: [low - margin, high + margin]};
    for (let i = 0; i < state.points.length; i += 3) state.points[i + 1] = state.points[i + 2];
}

// ---- Frames -------------------------------------------------------------------------------------

// Fewer cells for large networks in training, so that a picture takes milliseconds.
function sides() {
    const units = state.layers.reduce((sum, layer) => sum + layer.width, 0);
    const work = state.shape.parameters + 20 * units;
    const side = Math.floor(Math.sqrt((playing ? 6e6 : 4e7) / work));
    const unitSide = units > 200 ? 12 : units > 60 ? 16 : 24;
    return {side: Math.max(24, Math.min(96, side)), unitSide};
}

// Asks the worker for the next picture. It answers when there is something new to show.
function ask(again = false) {
    if (!state || (asked && !again)) return;
    asked = true;
    const buffers = Object.values(spare).map((array) => array.buffer);
    worker.postMessage({type: 'draw', again, limit: SHOWN_UNITS, spare, ...sides()}, buffers);
    spare = {};
}

function tick(now) {
    requestAnimationFrame(tick);
    if (!state) return;
    if (calm.matches && playing && now - lastDrawn < 500) return;
    if (frame && frame.shown !== true) {
        lastDrawn = now;
        showFrame();
        frame.shown = true;
    }
    ask();
}

function showFrame() {
    if (frame.hash) done = {epoch: frame.epoch, hash: frame.hash};
    remember();
    draw();
    showFigures();
    shownFrames++;
}

// The losses for the curves: when it is long, every other point is left out.
function remember() {
    const point = {epoch: frame.epoch, loss: frame.loss, testLoss: frame.testLoss};
    const last = losses.at(-1);
    if (last && last.epoch === point.epoch) {
        losses[losses.length - 1] = point;
        return;
    }
    if (losses.length > 1 && shownFrames % every) losses[losses.length - 1] = point;
    else losses.push(point);
    if (losses.length > 600) {
        losses = losses.filter((_, i) => i % 2 === 0 || i === losses.length - 1);
        every *= 2;
    }
}

function draw() {
    if (!state || !frame || !frame.plane.length) return;
    drawPlane(at('plane'), frame, state, chosen);
    drawNetwork(at('net'), frame, state, chosen < 0 ? -1 : chosen + state.layers[0].shown);
    drawCurves(at('curves'), losses, at('logarithmic').checked);
}

function percent(share) {
    return isFinite(share) ? `${(100 * share).toFixed(1)} %` : '–';
}

function setText(id, text) {
    const element = at(id);
    if (element.textContent !== text) element.textContent = text;
}

function showFigures() {
    const {shape} = state, tested = shape.testRows > 0;
    const score = tested ? frame.testScore : frame.score;
    setText('epoch', frame.epoch.toLocaleString('en'));
    setText('loss', shortNumber(frame.loss));
    setText('test-loss', tested ? shortNumber(frame.testLoss) : '–');
    setText('score-name', `${tested ? 'Test' : 'Training'} ${shape.classes ? 'accuracy' : 'R²'}`);
    setText('score', shape.classes ? percent(score) : shortNumber(score));
    setText('hash', done.hash);
    setText('hash-epoch', `${done.epoch.toLocaleString('en')} epoch${done.epoch === 1 ? '' : 's'}`);
    setText('command', command());
    const now = performance.now();
    if (now - said < (playing ? 5000 : 1000)) return;
    said = now;
    setText('live', `Epoch ${frame.epoch}, training loss ${shortNumber(frame.loss)}` +
        (tested ? `, test loss ${shortNumber(frame.testLoss)}` : '') +
        (playing ? '' : `. Paused. Hash of the weights ${done.hash}`));
}

// The command line that gives the weights of the last complete epoch.
function command() {
    const text = `build/playground_native ${settingsText({epochs: done.epoch}, true)}`;
    if (settings.data !== 'csv' || !table) return text;
    const plain = /^[\w.\/+@-]+$/.test(table.name);
    return `${text} ${plain ? table.name : `'${table.name.replace(/'/g, `'\\''`)}'`}`;
}

// ---- What the page shows of the settings --------------------------------------------------------

function showSettings() {
    const isTable = settings.data === 'csv';
    all('[data-setting]').forEach(showField);
    all('#sets input').forEach((input) => {
        input.checked = input.value === settings.data;
    });
    setText('set-name', isTable ? 'Your own table' : SETS[settings.data] || '');
    at('made').hidden = isTable;
    at('table').hidden = !isTable || !table;
    at('resample').hidden = isTable;
    at('classes-field').hidden = !WITH_CLASSES.includes(settings.data);
    all('[data-setting="loss"] [value="cross_entropy"]').forEach((option) => {
        option.disabled = ['plane', 'saddle', 'hills', 'ripple'].includes(settings.data);
    });
    if (isTable && table) showColumns();
    showLayers();
}

// A field may hold a value that it does not offer, from the address: then it is added.
function showField(field) {
    const value = settings[field.dataset.setting];
    if (field.tagName === 'SELECT' && !Array.from(field.options).some((o) => o.value === value))
        field.add(new Option(value, value));
    field.value = field.dataset.power ? Math.log2(Number(value)) : value;
    const output = field.parentElement.querySelector('.value');
    if (!output) return;
    output.textContent = field.dataset.setting === 'test' ? `${Math.round(100 * value)} %` : value;
}

function fieldChanged(field) {
    const key = field.dataset.setting;
    let value = field.dataset.power ? String(2 ** Number(field.value)) : field.value;
    if (field.type === 'number')
        value = String(Math.min(999999999, Math.max(0, Math.floor(Number(value) || 0))));
    if (value !== settings[key]) change(key, value);
}

function showLayers() {
    const widths = hiddenWidths(), count = widths.length;
    setText('layer-count', `${count} hidden layer${count === 1 ? '' : 's'}`);
    at('fewer').disabled = count === 0;
    at('more').disabled = count >= MAX_LAYERS;
    const old = all('#layers input');
    if (old.length === count && at('layers').children.length === count + 2) {
        old.forEach((input, i) => {
            input.value = widths[i];
        });
        return;
    }
    at('layers').replaceChildren(label('Inputs'), ...widths.map(layerControl), label('Outputs'));
}

function label(text) {
    const div = document.createElement('div');
    div.textContent = text;
    return div;
}

// Fewer, the number, more.
function layerControl(width, i) {
    const div = document.createElement('div');
    const input = document.createElement('input');
    div.className = 'stepper';
    div.setAttribute('role', 'group');
    div.setAttribute('aria-label', `Hidden layer ${i + 1}`);
    Object.assign(input, {type: 'number', min: 1, max: MAX_WIDTH, value: width});
    input.setAttribute('aria-label', `Units in hidden layer ${i + 1}`);
    input.addEventListener('change', () => setWidth(i, Number(input.value)));
    div.append(stepButton('−', 'Remove a unit', i, -1), input,
        stepButton('+', 'Add a unit', i, 1));
    return div;
}

function stepButton(text, name, i, by) {
    const button = document.createElement('button');
    button.textContent = text;
    button.setAttribute('aria-label', `${name}, hidden layer ${i + 1}`);
    button.addEventListener('click', () => setWidth(i, hiddenWidths()[i] + by));
    return button;
}

function setWidth(i, width) {
    const widths = hiddenWidths();
    widths[i] = Math.min(MAX_WIDTH, Math.max(1, Math.floor(width) || 1));
    change('layers', widths.join('-'));
}

function addLayer(by) {
    const widths = hiddenWidths();
    if (by > 0) widths.push(widths.at(-1) || 8);
    else widths.pop();
    change('layers', widths.join('-') || 'none');
}

// ---- What the page shows of what was started ----------------------------------------------------

function inputName(i) {
    return state.shape.inputNames[i] || `x${i + 1}`;
}

function className(k) {
    return state.shape.classNames[k] || `class ${k}`;
}

function showStarted() {
    const {shape, view} = state;
    const labels = at('layers').children;
    labels[0].textContent = shape.inputs === 1 ? '1 input' : `${shape.inputs} inputs`;
    labels[labels.length - 1].textContent =
        shape.outputs === 1 ? '1 output' : `${shape.outputs} outputs`;
    at('net').setAttribute('aria-label', `The network: ${shape.inputs} inputs, ` +
        shape.hidden.map((width) => `${width} units, `).join('') + `${shape.outputs} outputs, ` +
        `${shape.parameters} weights`);
    at('axes').hidden = shape.inputs < 3;
    for (const [key, value] of [['x', view.across], ['y', view.up]]) {
        const select = document.querySelector(`[data-view="${key}"]`);
        select.replaceChildren(...Array.from({length: shape.inputs}, (_, i) =>
            new Option(inputName(i), i + 1, false, i === value)));
    }
    setText('table-facts', `${shape.trainRows + shape.testRows} rows` +
        (shape.dropped ? `, ${shape.dropped} left out` : '') +
        (shape.imputed ? `, ${shape.imputed} missing cells filled in with means` : '') +
        (shape.inputs > 2 ? '. The plane shows two inputs; the others are at their means.' : '.'));
    showLegend();
    showChoices();
}

// The plane can show the output, or any unit that has a picture.
function showChoices() {
    const options = [new Option('the output', -1)];
    let unit = 0;
    state.shape.hidden.forEach((width, layer) => {
        for (let i = 0; i < Math.min(width, SHOWN_UNITS); i++, unit++)
            options.push(new Option(`layer ${layer + 1}, unit ${i + 1}`, unit));
    });
    at('shown').replaceChildren(...options);
}

function choose(unit) {
    if (unit === chosen) return;
    chosen = unit;
    at('shown').value = unit;
    draw();
}

function svg(shape, color) {
    const paths = ['<circle cx="6" cy="6" r="5"/>', '<path d="M1.5 1.5h9v9h-9z"/>',
        '<path d="M6 .5l5.5 10.5H.5z"/>', '<path d="M6 0l6 6-6 6-6-6z"/>'];
    return `<svg viewBox="0 0 12 12" fill="${color}" aria-hidden="true">${paths[shape % 4]}</svg>`;
}

function legendItem(picture, text) {
    const item = document.createElement('span');
    item.innerHTML = picture;
    item.append(text);
    return item;
}

function showLegend() {
    const {shape} = state, items = [];
    for (let k = 0; k < shape.classes; k++)
        items.push(legendItem(svg(k, css(CLASS_COLORS[k % 8])), className(k)));
    if (!shape.classes) {
        const bar = document.createElement('span');
        bar.className = 'scale';
        bar.style.background = 'linear-gradient(90deg, ' +
            `${css(theme.first)}, ${theme.paper}, ${css(theme.second)})`;
        items.push(label(shortNumber(shape.low)), bar, label(shortNumber(shape.high)));
    }
    if (shape.testRows) {
        const ring = '<svg viewBox="0 0 12 12" fill="none" stroke="currentColor" ' +
            'stroke-width="2" aria-hidden="true"><circle cx="6" cy="6" r="4.5"/></svg>';
        items.push(legendItem(ring, 'test points'));
    }
    at('legend').replaceChildren(...items);
}

// ---- Data sets and tables -----------------------------------------------------------------------

const thumbnails = {};

function makeSets() {
    const about = document.createElement('p');
    about.className = 'about';
    about.id = 'set-name';
    const nodes = Object.entries(SETS).flatMap(([set, name]) => {
        const input = document.createElement('input'), text = document.createElement('label');
        const canvas = document.createElement('canvas');
        Object.assign(input, {type: 'radio', name: 'data', value: set, id: `set-${set}`,
            className: 'hidden'});
        input.setAttribute('aria-label', name);
        input.addEventListener('change', () => change('data', set));
        text.htmlFor = input.id;
        text.title = name;
        canvas.id = `picture-${set}`;
        text.append(canvas);
        return [input, text];
    });
    at('sets').append(...nodes, about);
}

function drawThumbnails() {
    for (const [set, picture] of Object.entries(thumbnails))
        if (picture) drawThumbnail(at(`picture-${set}`), picture);
}

// The cells of a table's first line, to name its columns.
function firstCells(bytes) {
    const line = new TextDecoder().decode(bytes.slice(0, 65536)).split(/\r|\n/)[0];
    const count = (c) => line.split(c).length - 1;
    let delimiter = ',';
    if (count(';') > count(delimiter)) delimiter = ';';
    if (count('\t') > count(delimiter)) delimiter = '\t';
    const cells = [''];
    let quoted = false;
    for (const c of line) {
        if (c === '"') quoted = !quoted;
        else if (c === delimiter && !quoted) cells.push('');
        else cells[cells.length - 1] += c;
    }
    return cells.map((cell) => cell.trim());
}

async function openTable(file) {
    const bytes = await file.arrayBuffer();
    const columns = firstCells(bytes);
    const named = columns.some((cell) => cell && isNaN(Number(cell)));
    const names = columns.map((cell, i) => named && cell ? cell : `column ${i + 1}`);
    const last = String(columns.length);
    // What the address says of a table is for the first one that is opened, and for its like.
    const like = settings.data === 'csv' && (!table || table.columns.join() === names.join());
    if (!like) Object.assign(settings, {target: last, ignore: '', task: 'auto', x: '0', y: '0'});
    if (!like && settings.loss === 'cross_entropy') settings.loss = 'auto';
    if (settings.target === '0' || Number(settings.target) > columns.length) settings.target = last;
    table = {name: file.name, bytes, columns: names};
    setText('file-name', file.name);
    settings.data = 'csv';
    restart();
}

function showColumns() {
    const target = document.querySelector('[data-setting="target"]');
    target.replaceChildren(...table.columns.map((name, i) => new Option(name, i + 1)));
    target.value = settings.target;
    const ignored = settings.ignore.split('-');
    const boxes = table.columns.map((name, i) => {
        const text = document.createElement('label'), box = document.createElement('input');
        Object.assign(box, {type: 'checkbox', checked: !ignored.includes(String(i + 1)),
            disabled: settings.target === String(i + 1)});
        box.addEventListener('change', columnsChanged);
        text.append(box, ` ${name}`);
        return text;
    });
    at('columns').replaceChildren(...boxes);
}

function columnsChanged() {
    const ignored = all('#columns input').flatMap((box, i) =>
        box.checked || box.disabled ? [] : [i + 1]);
    change('ignore', ignored.join('-'));
}

// ---- Keeping ------------------------------------------------------------------------------------

function download(name, type, bytes) {
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([bytes], {type}));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function copy(text, button) {
    const before = button.textContent;
    try {
        await navigator.clipboard.writeText(text);
    } catch (error) { // an old way, for files in some browsers
        const area = document.createElement('textarea');
        area.value = text;
        document.body.append(area);
        area.select();
        document.execCommand('copy');
        area.remove();
        button.focus();
    }
    button.textContent = 'Copied';
    setTimeout(() => {
        button.textContent = before;
    }, 1500);
}

// This address, with the epochs that have been trained.
function link() {
    return `${location.href.split('#')[0]}#${settingsText({epochs: done.epoch})}`;
}

// ---- Events -------------------------------------------------------------------------------------

function listen() {
    at('play').addEventListener('click', togglePlay);
    at('reset').addEventListener('click', restart);
    at('step').addEventListener('click', () => worker.postMessage({type: 'step'}));
    at('speed').addEventListener('change', () =>
        worker.postMessage({type: 'speed', speed: Number(at('speed').value)}));
    at('fewer').addEventListener('click', () => addLayer(-1));
    at('more').addEventListener('click', () => addLayer(1));
    at('resample').addEventListener('click', () => change('sample', Number(settings.sample) + 1));
    at('link').addEventListener('click', () => copy(link(), at('link')));
    all('[data-copy]').forEach((button) =>
        button.addEventListener('click', () => copy(at(button.dataset.copy).textContent, button)));
    all('[data-save]').forEach((button) => button.addEventListener('click', () =>
        worker.postMessage({type: 'save', kind: Number(button.dataset.save)})));
    all('[data-setting]').forEach((field) => {
        const event = field.type === 'range' ? 'input' : 'change';
        field.addEventListener(event, () => fieldChanged(field));
    });
    all('[data-view]').forEach((field) => field.addEventListener('change', lookChanged));
    at('logarithmic').addEventListener('change', draw);
    at('shown').addEventListener('change', () => choose(Number(at('shown').value)));
    at('file').addEventListener('change', () => {
        if (at('file').files[0]) openTable(at('file').files[0]);
    });
    listenToNetwork();
    listenToDrops();
    document.addEventListener('keydown', keyPressed);
    window.addEventListener('hashchange', () => {
        if (addressText() === settingsText()) return;
        readAddress();
        restart();
    });
    new ResizeObserver(() => {
        drawThumbnails();
        draw();
    }).observe(at('net'));
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', themeChanged);
}

function lookChanged() {
    settings.x = document.querySelector('[data-view="x"]').value;
    settings.y = document.querySelector('[data-view="y"]').value;
    writeAddress();
    worker.postMessage({type: 'look', across: settings.x - 1, up: settings.y - 1});
}

function themeChanged() {
    readTheme();
    drawThumbnails();
    if (!state) return;
    state.pointPicture = null;
    showLegend();
    draw();
}

// The plane shows the unit under the pointer.
function listenToNetwork() {
    const net = at('net');
    net.addEventListener('pointermove', (event) => {
        if (!state || !state.places) return;
        const inputs = state.layers[0].shown;
        const last = state.places.length - state.layers.at(-1).shown;
        const hit = state.places.findIndex(({x, y, size}) =>
            Math.max(Math.abs(event.offsetX - x), Math.abs(event.offsetY - y)) <= size / 2 + 2);
        choose(hit >= inputs && hit < last ? hit - inputs : -1);
    });
    net.addEventListener('pointerleave', () => choose(-1));
}

function listenToDrops() {
    const isFile = (event) =>
        event.dataTransfer && Array.from(event.dataTransfer.types).includes('Files');
    document.addEventListener('dragover', (event) => {
        if (!isFile(event)) return;
        event.preventDefault();
        document.body.classList.add('dropping');
    });
    document.addEventListener('dragleave', (event) => {
        if (!event.relatedTarget) document.body.classList.remove('dropping');
    });
    document.addEventListener('drop', (event) => {
        document.body.classList.remove('dropping');
        if (!isFile(event)) return;
        event.preventDefault();
        if (event.dataTransfer.files[0]) openTable(event.dataTransfer.files[0]);
    });
}

// Space, R and S, where no field or button wants them.
function keyPressed(event) {
    const busy = event.target.closest('input:not([type="radio"]), select, textarea, summary');
    if (busy || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === ' ' && !event.target.closest('button, input')) togglePlay();
    else if (event.key === 'r') restart();
    else if (event.key === 's') worker.postMessage({type: 'step'});
    else return;
    event.preventDefault();
}

// ---- The beginning ------------------------------------------------------------------------------

function begin() {
    const text = at('engine').textContent.trim();
    const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
    const source = new Blob([at('worker').textContent], {type: 'text/javascript'});
    readTheme();
    makeSets();
    readAddress();
    showSettings();
    listen();
    worker = new Worker(URL.createObjectURL(source));
    worker.onmessage = receive;
    worker.onerror = (event) => complain(`The engine stopped: ${event.message}`);
    worker.postMessage({type: 'load', bytes}, [bytes]);
    requestAnimationFrame(tick);
}

begin();
