// The tokens as colours a canvas understands. Resolved once, and again when the scheme, the theme or forced colours
// change: then every listener redraws all of its canvas.

const NAMES = ['paper', 'water', 'ink', 'ink-2', 'rule', 'frame', 'ctl', 'coast', 'deep', 'shoal', 'sand', 'cross', 'tabs', 'native', 'relay', 'server'];
const listeners = new Set();
let table = null;

/** `{paper: 'rgb(…)', …}` with every token, and `font` for canvas text. */
export function colours() {
  if (!table) table = resolve();
  return table;
}

/** Calls back after the colours changed. */
export function onColours(callback) {
  listeners.add(callback);
}

/** To call when the theme is set by hand. */
export function coloursChanged() {
  table = null;
  for (const callback of listeners) callback();
}

function resolve() {
  const probe = document.createElement('i');
  probe.style.forcedColorAdjust = 'none';
  document.body.append(probe);
  const out = {};
  for (const name of NAMES) {
    probe.style.color = `var(--${name})`;
    out[name] = getComputedStyle(probe).color;
  }
  out.font = getComputedStyle(document.body).fontFamily;
  probe.remove();
  return out;
}

for (const query of ['(prefers-color-scheme: dark)', '(forced-colors: active)']) {
  matchMedia(query).addEventListener('change', coloursChanged);
}

/** Sizes a canvas for the screen's density and returns its context in CSS pixels, mirrored in right-to-left pages. */
export function context(canvas, width, height, mirror) {
  const density = devicePixelRatio || 1;
  canvas.style.height = `${height}px`;
  canvas.width = Math.round(width * density);
  canvas.height = Math.round(height * density);
  const g = canvas.getContext('2d');
  g.scale(density, density);
  if (mirror) {
    g.translate(width, 0);
    g.scale(-1, 1);
  }
  return g;
}

/** A repeating pattern of one token on another (or on nothing), aligned to the canvas so that neighbours join. */
export function hatch(g, line, ground, size = 6) {
  const tile = document.createElement('canvas');
  const density = devicePixelRatio || 1;
  tile.width = tile.height = Math.round(size * density);
  const t = tile.getContext('2d');
  t.scale(tile.width / size, tile.width / size);
  if (ground) {
    t.fillStyle = ground;
    t.fillRect(0, 0, size, size);
  }
  t.strokeStyle = line;
  t.lineWidth = 1;
  t.beginPath();
  for (const shift of [-size, 0, size]) {
    t.moveTo(shift - 1, size + 1);
    t.lineTo(shift + size + 1, -1);
  }
  t.stroke();
  const pattern = g.createPattern(tile, 'repeat');
  pattern.setTransform(new DOMMatrix().scale(size / tile.width));
  return pattern;
}
