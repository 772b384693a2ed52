// Numbers as the page prints them: three significant digits, decimal units, a no-break space before the unit,
// thin spaces between thousands. In right-to-left pages number and unit stay together as one left-to-right run.
// Pure, but for the text direction that `isolateNumbers` sets once.

export const NBSP = '\u00a0';
export const NONE = '–';
const THIN = '\u202f';
const DECIMAL = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
const BINARY = ['B', 'KiB', 'MiB', 'GiB'];

let isolate = text => text;

/** In right-to-left pages, wraps every number in a left-to-right isolate. */
export function isolateNumbers(rtl) {
  isolate = rtl ? text => `\u2066${text}\u2069` : text => text;
}

/** Splits a number of bytes into digits and unit: `[‘3.24’, ‘MB’]`. */
export function bytesParts(n) {
  let unit = 0;
  while (n >= 999.5 && unit < DECIMAL.length - 1) {
    n /= 1000;
    unit++;
  }
  return [unit ? n.toPrecision(3) : String(Math.round(n)), DECIMAL[unit]];
}

/** `3.24 MB`. */
export function bytes(n) {
  return isolate(bytesParts(n).join(NBSP));
}

/** `453 of 733 MB`, the unit once where both have the same. */
export function bytesOf(part, whole) {
  const [a, unitA] = bytesParts(part);
  const [b, unitB] = bytesParts(whole);
  return isolate(unitA === unitB ? `${a} of ${b}${NBSP}${unitB}` : `${a}${NBSP}${unitA} of ${b}${NBSP}${unitB}`);
}

/** `3.24 MB/s`; nothing moving is a dash. Below half a byte a second is nothing. */
export function rate(n) {
  return n >= 0.5 ? isolate(bytesParts(n).join(NBSP) + '/s') : NONE;
}

/** `1 MB/s`: a rate that is a round number, as scales are. */
export function roundRate(n) {
  const [digits, unit] = bytesParts(n);
  return isolate(`${Number(digits)}${NBSP}${unit}/s`);
}

/** Rate as digits and unit, for the readouts' slots. */
export function rateParts(n) {
  if (!(n >= 0.5)) return [NONE, ''];
  const [digits, unit] = bytesParts(n);
  return [digits, unit + '/s'];
}

/** `1 398`. */
export function count(n) {
  return isolate(String(Math.round(n)).replace(/\B(?=(\d{3})+$)/g, THIN));
}

/** `512 KiB`: piece sizes are powers of two. */
export function pieceSize(n) {
  let unit = 0;
  while (n >= 1024 && unit < BINARY.length - 1) {
    n /= 1024;
    unit++;
  }
  return isolate(`${Number(n.toFixed(1))}${NBSP}${BINARY[unit]}`);
}

/** Digits of a share with one decimal. 100 only when `complete`: it never rounds up to done. */
export function percentDigits(share, complete = share >= 1) {
  if (complete) return '100';
  return (Math.floor(Math.min(Math.max(share, 0), 0.999) * 1000) / 10).toFixed(1);
}

/** `61.8 %`. */
export function percent(share, complete) {
  return isolate(percentDigits(share, complete) + NBSP + '%');
}

/** `32.7 %`: a share of a whole that is known, rounded to nearest. */
export function decimal(share) {
  return isolate(`${(share * 100).toFixed(share === 1 ? 0 : 1)}${NBSP}%`);
}

/** `88 %`: for narrow columns; 100 only when complete. */
export function wholePercent(share) {
  return isolate(`${share >= 1 ? 100 : Math.min(99, Math.floor(Math.max(share, 0) * 100))}${NBSP}%`);
}

/** `1:26`, `2 h 58`, `3 d 4 h`; unknown is a dash. */
export function duration(seconds) {
  if (seconds == null || !Number.isFinite(seconds) || seconds < 0) return NONE;
  const s = Math.round(seconds);
  if (s < 3600) return isolate(`${Math.floor(s / 60)}:${String(s % 60).padStart(2, '0')}`);
  const h = Math.floor(s / 3600);
  if (h < 24) return isolate(`${h}${NBSP}h${NBSP}${String(Math.floor((s % 3600) / 60)).padStart(2, '0')}`);
  return isolate(`${Math.floor(h / 24)}${NBSP}d${NBSP}${h % 24}${NBSP}h`);
}

/** `21 s ago`, `5 min ago`, `2 h ago`. */
export function ago(seconds) {
  return `${span(seconds)} ago`;
}

/** `21 s`, `5 min`, `2 h`. */
export function span(seconds) {
  const s = Math.max(0, Math.round(seconds));
  if (s < 120) return isolate(`${s}${NBSP}s`);
  if (s < 7200) return isolate(`${Math.round(s / 60)}${NBSP}min`);
  return isolate(`${Math.round(s / 3600)}${NBSP}h`);
}

/** `0.61 s`: the clock in the margin of the log. */
export function clock(ms) {
  const s = ms / 1000;
  if (s >= 60) return duration(s);
  return isolate(`${s.toFixed(2)}${NBSP}s`);
}

/** `9.62`: ratio and availability. Rounded down, so that 0.999 never reads 1.00. */
export function ratio(n) {
  if (n == null || !Number.isFinite(n)) return NONE;
  return isolate(n < 100 ? (Math.floor(n * 100 + 1e-6) / 100).toFixed(2) : String(Math.floor(n)));
}

/** `7d2c1e0b…05ac`. */
export function shortHash(hex) {
  return hex.length > 14 ? `${hex.slice(0, 8)}…${hex.slice(-4)}` : hex;
}

// Control, bidirectional and zero-width characters: they can make a name look like another.
const DECEIVING = /[\u0000-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]/g;

/** A name from outside as it may be shown: without characters that deceive. */
export const clean = text => String(text ?? '').replace(DECEIVING, '');

/** The same inside a sentence of ours: its direction stays its own. */
export const quoted = text => `\u2068${clean(text)}\u2069`;

/** Keeps a phrase of numbers and signs in one left-to-right run where the page runs the other way. */
export const phrase = text => isolate(text);

/** `1 file`, `8 files`. */
export function plural(n, one, many = one + 's') {
  return isolate(`${count(n)} ${n === 1 ? one : many}`);
}
