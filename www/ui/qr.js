// A QR code (ISO/IEC 18004, model 2) of a text: its bytes, error correction of level M, versions 1 to 20. Loaded when a link is shown.
// Pure. Cost: well under a millisecond for a link.

/** Correction codewords of a block, and blocks, by version from 1 on (level M, table 9 of the standard). */
const CHECKS = [10, 16, 26, 18, 24, 16, 18, 22, 22, 26, 30, 22, 22, 24, 24, 28, 28, 26, 26, 26];
const BLOCKS = [1, 1, 1, 2, 2, 4, 4, 4, 5, 5, 5, 8, 9, 9, 10, 10, 11, 13, 14, 16];

const MASKS = [(x, y) => (x + y) % 2, (x, y) => y % 2, x => x % 3, (x, y) => (x + y) % 3, (x, y) => ((x / 3 | 0) + (y >> 1)) % 2,
  (x, y) => x * y % 2 + x * y % 3, (x, y) => (x * y % 2 + x * y % 3) % 2, (x, y) => ((x + y) % 2 + x * y % 3) % 2];

/** `{size, path}`: modules a side without the quiet zone, and SVG path data of the dark ones; null where the text is too long. */
export function qr(text) {
  const bytes = new TextEncoder().encode(text);
  for (let version = 1; version <= CHECKS.length; version++) {
    const words = dataWords(version), head = version < 10 ? 2 : 3;
    if (bytes.length + head > words) continue;
    return draw(version, interleave(version, pad(bytes, version, words)));
  }
  return null;
}

/** Codewords of a version, corrections included: what is left of the square beside its patterns. */
function allWords(version) {
  const marks = version > 1 ? Math.floor(version / 7) + 2 : 0;
  const taken = marks ? (25 * marks - 10) * marks - 55 : 0;
  return ((16 * version + 128) * version + 64 - taken - (version < 7 ? 0 : 36)) >> 3;
}

const dataWords = version => allWords(version) - CHECKS[version - 1] * BLOCKS[version - 1];

/** Mode, length, bytes, and what fills the rest. */
function pad(bytes, version, words) {
  const bits = (value, length) => value.toString(2).padStart(length, '0');
  let text = bits(4, 4) + bits(bytes.length, version < 10 ? 8 : 16);
  for (const byte of bytes) text += bits(byte, 8);
  text = `${text}0000`;
  const out = Uint8Array.from({ length: words }, (_, at) => parseInt(text.slice(8 * at, 8 * at + 8).padEnd(8, '0'), 2));
  for (let at = Math.ceil(text.length / 8), fill = 0xec; at < words; at++, fill ^= 0xec ^ 0x11) out[at] = fill;
  return out;
}

/** The data in blocks, each with its corrections, word by word from all of them in turn. */
function interleave(version, data) {
  const blocks = BLOCKS[version - 1], checks = CHECKS[version - 1], short = Math.floor(data.length / blocks), long = data.length % blocks;
  const parts = [];
  for (let block = 0, at = 0; block < blocks; block++) {
    const end = at + short + (block >= blocks - long ? 1 : 0);
    parts.push(data.subarray(at, end));
    at = end;
  }
  const corrections = parts.map(part => correct(part, divisor(checks)));
  const turns = (rows, length) => Array.from({ length }, (_, at) => rows.filter(row => at < row.length).map(row => row[at])).flat();
  return [...turns(parts, short + 1), ...turns(corrections, checks)];
}

/** Product in the field of 256 elements. */
function times(a, b) {
  let out = 0;
  for (let bit = 128; bit; bit >>= 1) out = out << 1 ^ (out >> 7) * 0x11d ^ (b & bit ? a : 0);
  return out;
}

/** The generator of a Reed-Solomon code, without its first coefficient. */
function divisor(degree) {
  const out = new Uint8Array(degree);
  out[degree - 1] = 1;
  for (let step = 0, root = 1; step < degree; step++, root = times(root, 2)) {
    for (let at = 0; at < degree; at++) out[at] = times(out[at], root) ^ (out[at + 1] ?? 0);
  }
  return out;
}

function correct(data, by) {
  const rest = [...by].fill(0);
  for (const byte of data) {
    const factor = byte ^ rest.shift();
    rest.push(0);
    by.forEach((value, at) => { rest[at] ^= times(value, factor); });
  }
  return rest;
}

/** The square with the best of the eight masks. */
function draw(version, words) {
  const size = 17 + 4 * version;
  const dark = Array.from({ length: size }, () => new Uint8Array(size)), fixed = dark.map(row => row.slice());
  const set = (x, y, on) => {
    if (dark[y]?.[x] === undefined) return;
    dark[y][x] = on ? 1 : 0;
    fixed[y][x] = 1;
  };
  patterns(version, size, set);
  format(0, size, set);
  const free = path(size).filter(([x, y]) => !fixed[y][x]);
  free.forEach(([x, y], at) => { dark[y][x] = words[at >> 3] >> (7 - (at & 7)) & 1; });
  let best = null;
  MASKS.forEach((mask, number) => {
    format(number, size, set);
    const rows = dark.map((row, y) => row.map((value, x) => (!fixed[y][x] && mask(x, y) === 0 ? value ^ 1 : value)));
    const cost = penalty(rows);
    if (!best || cost < best.cost) best = { cost, rows };
  });
  const runs = best.rows.map((row, y) => [...row.join('').matchAll(/1+/g)].map(({ index, 0: { length } }) => `M${index} ${y}h${length}v1h-${length}z`));
  return { size, path: runs.flat().join('') };
}

/** What never changes: timing, finders, alignment, version. */
function patterns(version, size, set) {
  const square = (x, y, reach, on) => {
    for (let dy = -reach; dy <= reach; dy++) for (let dx = -reach; dx <= reach; dx++) set(x + dx, y + dy, on(Math.max(Math.abs(dx), Math.abs(dy))));
  };
  for (let at = 0; at < size; at++) {
    set(6, at, at % 2 === 0);
    set(at, 6, at % 2 === 0);
  }
  for (const [x, y] of [[3, 3], [size - 4, 3], [3, size - 4]]) square(x, y, 4, far => far !== 2 && far !== 4);
  const marks = version > 1 ? Math.floor(version / 7) + 2 : 0, step = Math.ceil((size - 13) / (2 * marks - 2)) * 2;
  const places = Array.from({ length: marks }, (_, at) => (at === 0 ? 6 : size - 7 - step * (marks - 1 - at)));
  const corner = (x, y) => (x === 6 && (y === 6 || y === size - 7)) || (y === 6 && x === size - 7);
  for (const x of places) for (const y of places) if (!corner(x, y)) square(x, y, 2, far => far !== 1);
  if (version < 7) return;
  let rest = version;
  for (let n = 0; n < 12; n++) rest = rest << 1 ^ (rest >> 11) * 0x1f25;
  for (let at = 0, bits = version << 12 | rest; at < 18; at++, bits >>= 1) {
    set(size - 11 + at % 3, Math.floor(at / 3), bits & 1);
    set(Math.floor(at / 3), size - 11 + at % 3, bits & 1);
  }
}

/** Level and mask, twice. */
function format(mask, size, set) {
  let rest = mask;
  for (let n = 0; n < 10; n++) rest = rest << 1 ^ (rest >> 9) * 0x537;
  const bits = (mask << 10 | rest) ^ 0x5412, bit = at => bits >> at & 1;
  for (let at = 0; at < 15; at++) {
    if (at < 8) set(8, at < 6 ? at : at + 1, bit(at));
    else set(at === 8 ? 7 : 14 - at, 8, bit(at));
    if (at < 8) set(size - 1 - at, 8, bit(at));
    else set(8, size - 15 + at, bit(at));
  }
  set(8, size - 8, 1);
}

/** Every place in the order in which data is laid: pairs of columns from the right, up and down in turn. */
function path(size) {
  const out = [];
  for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
    if (right === 6) right = 5;
    for (let step = 0; step < size; step++) for (const x of [right, right - 1]) out.push([x, up ? size - 1 - step : step]);
  }
  return out;
}

/** How hard it is to read: long runs, blocks, what looks like a finder, one colour too many. */
function penalty(rows) {
  const lines = [...rows.map(row => row.join('')), ...rows.map((_, x) => rows.map(row => row[x]).join(''))];
  let cost = 0, dark = 0;
  for (const line of lines) {
    for (const [run] of line.matchAll(/0{5,}|1{5,}/g)) cost += run.length - 2;
    cost += 40 * [...line.matchAll(/(?=10111010000|00001011101)/g)].length;
  }
  rows.forEach((row, y) => row.forEach((value, x) => {
    dark += value;
    if (x && y && value === row[x - 1] && value === rows[y - 1][x] && value === rows[y - 1][x - 1]) cost += 3;
  }));
  const all = rows.length ** 2;
  return cost + 10 * (Math.ceil(Math.abs(20 * dark - 10 * all) / all) - 1);
}
