// Speed of the last two minutes, stacked by source, upload dashed. One sample a second, 120 of them, kept by torrent.
import { colours, context, el, isRtl, onColours, roundRate, watch } from './kit.js';

const SECONDS = 120;
const HEIGHT = 64;
const SOURCES = ['tabs', 'native', 'relay', 'server'];

/** Samples of one torrent: a ring of 120 x (four sources and up). */
export class History {
  constructor() {
    this.samples = [];
    this.at = -Infinity;
  }

  /** Takes the rates of a snapshot, at most once a second; a longer silence is filled with what is known now. */
  add(snapshot, now) {
    const missed = this.samples.length ? Math.floor((now - this.at) / 1000) : 1;
    if (missed < 1) return false;
    const { rates } = snapshot;
    const sample = [...SOURCES.map(key => rates[key] || 0), snapshot.upRate ?? snapshot.up ?? 0];
    for (let n = Math.min(missed, SECONDS); n > 0; n--) this.samples.push(sample);
    this.samples.splice(0, this.samples.length - SECONDS);
    this.at = this.samples.length === missed || this.at === -Infinity ? now : this.at + missed * 1000;
    return true;
  }
}

/** The least of 1, 2, 5 times a power of ten that is at least `value`. */
export function niceCeiling(value) {
  const power = 10 ** Math.floor(Math.log10(Math.max(value, 1)));
  return [1, 2, 5, 10].map(step => step * power).find(step => step >= value) ?? 10 * power;
}

/** Draws a history. */
export class Graph {
  constructor(box) {
    this.canvas = box.appendChild(el('canvas', { role: 'img', 'aria-label': 'Speed in the last two minutes, by source' }));
    this.seen = watch(this.canvas, { resize: () => this.paint(), appear: () => this.paint() });
    onColours(() => this.paint());
  }

  /** Shows a history; `give`: only what is sent. */
  show(history, give) {
    this.history = history;
    this.give = give;
    this.paint();
  }

  paint() {
    const width = this.canvas.clientWidth;
    if (!width || !this.history || !this.seen.visible) return;
    const { samples } = this.history;
    const most = samples.reduce((top, sample) => Math.max(top, this.give ? 0 : sample[0] + sample[1] + sample[2] + sample[3], sample[4]), 1e3);
    const top = niceCeiling(most);
    const g = context(this.canvas, width, HEIGHT, isRtl());
    const colour = colours();
    const x = index => (index + SECONDS - samples.length) / (SECONDS - 1) * width;
    const y = value => HEIGHT - 1 - value / top * (HEIGHT - 16);
    this.lines(g, width, [y(top), y(top / 2), HEIGHT - 0.5], colour);
    if (!this.give) this.stack(g, samples, x, y, colour);
    this.sent(g, samples, x, y, colour);
    this.words(g, width, y(top) - 4, top, colour);
  }

  lines(g, width, heights, colour) {
    heights.forEach((height, index) => {
      g.strokeStyle = index === heights.length - 1 ? colour.ink : colour.rule;
      g.beginPath();
      g.moveTo(0, Math.floor(height) + 0.5);
      g.lineTo(width, Math.floor(height) + 0.5);
      g.stroke();
    });
  }

  stack(g, samples, x, y, colour) {
    const base = new Float64Array(samples.length);
    SOURCES.forEach((source, key) => {
      if (!samples.some(sample => sample[key] > 0)) return;
      const under = Float64Array.from(base);
      samples.forEach((sample, index) => { base[index] += sample[key]; });
      g.fillStyle = g.strokeStyle = colour[source];
      g.beginPath();
      samples.forEach((_, index) => g.lineTo(x(index), y(base[index])));
      g.lineWidth = 1;
      g.stroke();
      for (let index = samples.length - 1; index >= 0; index--) g.lineTo(x(index), y(under[index]));
      g.globalAlpha = 0.32;
      g.fill();
      g.globalAlpha = 1;
    });
  }

  sent(g, samples, x, y, colour) {
    if (!samples.some(sample => sample[4] > 0)) return;
    const line = new Path2D();
    samples.forEach((sample, index) => line.lineTo(x(index), y(sample[4])));
    g.strokeStyle = colour.paper;
    g.lineWidth = 3;
    g.stroke(line);
    g.setLineDash([4, 3]);
    g.strokeStyle = colour.ink;
    g.lineWidth = 1.5;
    g.stroke(line);
    g.setLineDash([]);
  }

  words(g, width, height, top, colour) {
    const rtl = isRtl();
    if (rtl) {
      g.translate(width, 0);
      g.scale(-1, 1);
    }
    g.font = `11px ${colour.font}`;
    g.fillStyle = colour['ink-2'];
    g.textAlign = rtl ? 'right' : 'left';
    g.fillText(roundRate(top), rtl ? width : 0, height);
    g.textAlign = rtl ? 'left' : 'right';
    g.fillText(this.give ? 'up, last 2 min' : 'last 2 min by source, dashed: up', rtl ? 0 : width, height);
  }
}
