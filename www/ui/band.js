// The player's scrubber: a band of the film's pieces with the playhead and what is fetched ahead of it, under it what the browser holds. It is
// a slider to everybody else. Media time runs from left to right everywhere.
import { colours, context, duration, el, onColours, setAttr, watch } from './kit.js';

const HEIGHT = 34;
/** Where the band and, under it, the buffer are, in px from the top. */
const BAND = { top: 8, height: 10 };
const BUFFER = { top: 22, height: 4 };
/** Seconds ahead of the playhead that are fetched before all else; the engine's playback window. */
export const AHEAD = 30;
const STEP = 5;

export class Band {
  /** `video` is wound by it; it is put into `box`. */
  constructor(box, video) {
    this.video = video;
    this.canvas = el('canvas', {});
    this.slider = el('div', { class: 'scrub', role: 'slider', tabindex: '0', 'aria-label': 'Position', 'aria-valuemin': '0', keydown: event => this.key(event), pointerdown: event => this.grab(event) }, this.canvas);
    box.append(this.slider);
    this.seen = watch(this.canvas, { resize: () => this.draw(), appear: () => this.draw() });
    onColours(() => this.draw());
  }

  /** Shows the pieces of `file` of a snapshot. */
  update(snapshot, file) {
    Object.assign(this, { snapshot, file });
    this.draw();
  }

  /** The piece under a time of the film: its bytes are spread evenly, as far as one can know. */
  pieceAt(seconds) {
    const { file, video } = this;
    const share = video.duration > 0 ? Math.min(1, seconds / video.duration) : 0;
    return Math.min(file.lastPiece, file.firstPiece + Math.floor(share * (file.lastPiece - file.firstPiece + 1)));
  }

  /** Seconds of the film that are verified from the playhead on without a gap. */
  ahead() {
    const { file, video, snapshot } = this;
    const pieces = file.lastPiece - file.firstPiece + 1;
    let piece = this.pieceAt(video.currentTime);
    while (piece <= file.lastPiece && snapshot.map[piece] === 255) piece++;
    return Math.max(0, (piece - file.firstPiece) / pieces * video.duration - video.currentTime);
  }

  draw() {
    const { canvas, video, snapshot } = this, width = canvas.clientWidth;
    if (document.hidden || !width || !snapshot || !this.seen.visible) return;
    const length = Number.isFinite(video.duration) ? video.duration : 0;
    this.tell(length);
    const colour = colours(), g = context(canvas, width, HEIGHT, false);
    const x = seconds => length ? seconds / length * width : 0;
    this.pieces(g, width, colour);
    g.strokeStyle = colour.frame;
    g.strokeRect(0.5, BAND.top - 0.5, width - 1, BAND.height + 1);
    const bar = (token, from, to) => {
      g.fillStyle = colour[token];
      g.fillRect(x(from), BUFFER.top, x(to) - x(from), BUFFER.height);
    };
    g.fillStyle = colour.rule;
    g.fillRect(0, BUFFER.top, width, BUFFER.height);
    for (let n = 0; n < video.buffered.length; n++) bar('ink-2', video.buffered.start(n), video.buffered.end(n));
    bar('tabs', 0, video.currentTime);
    if (length) this.playhead(g, x(video.currentTime), x(Math.min(length, video.currentTime + AHEAD)), colour);
  }

  /** One column a pixel: verified, arriving or missing, whichever of its pieces has least. */
  pieces(g, width, colour) {
    const { file, snapshot } = this, pieces = file.lastPiece - file.firstPiece + 1;
    g.fillStyle = colour.deep;
    g.fillRect(0, BAND.top, width, BAND.height);
    for (let from = 0; from < width; from++) {
      const first = file.firstPiece + Math.floor(from * pieces / width);
      const last = Math.max(first, file.firstPiece + Math.ceil((from + 1) * pieces / width) - 1);
      let least = 255;
      for (let piece = first; piece <= last; piece++) least = Math.min(least, snapshot.map[piece]);
      if (least === 0) continue;
      g.fillStyle = least === 255 ? colour.sand : colour.shoal;
      g.fillRect(from, BAND.top, 1, BAND.height);
    }
  }

  playhead(g, at, end, colour) {
    g.strokeStyle = colour.paper;
    g.lineWidth = 5;
    g.strokeRect(at, BAND.top - 1, end - at, BAND.height + 3);
    g.strokeStyle = colour.ink;
    g.lineWidth = 2;
    g.strokeRect(at, BAND.top - 1, end - at, BAND.height + 3);
    g.fillStyle = colour.ink;
    g.fillRect(at - 1.5, 4, 3, 25);
    g.fill(new Path2D(`M${at - 6} 1h12l-6 8z`));
  }

  tell(length) {
    const now = Math.floor(this.video.currentTime);
    setAttr(this.slider, 'aria-valuemax', Math.floor(length));
    setAttr(this.slider, 'aria-valuenow', now);
    setAttr(this.slider, 'aria-valuetext', `${duration(now)} of ${duration(length)}`);
  }

  wind(seconds) {
    const { video } = this;
    if (Number.isFinite(video.duration)) video.currentTime = Math.min(video.duration, Math.max(0, seconds));
    this.draw();
  }

  /** Winds by so many pieces. */
  piece(step) {
    const pieces = this.file.lastPiece - this.file.firstPiece + 1;
    this.wind(this.video.currentTime + step * this.video.duration / pieces);
  }

  key(event) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const { video } = this;
    const to = { ArrowRight: video.currentTime + STEP, ArrowUp: video.currentTime + STEP, ArrowLeft: video.currentTime - STEP, ArrowDown: video.currentTime - STEP, PageUp: video.currentTime + 60, PageDown: video.currentTime - 60, Home: 0, End: video.duration }[event.key];
    if (to === undefined) return;
    this.wind(to);
    event.preventDefault();
    event.stopPropagation();
  }

  /** Follows the pointer until it is let go. */
  grab(event) {
    if (event.button !== 0) return;
    const follow = ({ clientX }) => {
      const box = this.slider.getBoundingClientRect();
      this.wind((clientX - box.left) / box.width * this.video.duration);
    };
    const release = new AbortController();
    this.slider.setPointerCapture(event.pointerId);
    this.slider.addEventListener('pointermove', follow, { signal: release.signal });
    for (const end of ['pointerup', 'pointercancel']) this.slider.addEventListener(end, () => release.abort(), { signal: release.signal });
    follow(event);
  }
}
