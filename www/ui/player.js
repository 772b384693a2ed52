// The player: the one video element, its scrubber and buttons, what is being fetched for it, subtitles, and the other files that play.
import { AHEAD, Band } from './band.js';
import { bdi, button, byId, clean, count, decimal, duration, el, icon, phrase, rate, rebuild, setAttr, setHidden, setText, span, wholePercent } from './kit.js';
import { asWebVtt, labelOf, subtitlesOf } from './subtitles.js';
import { playable } from './tree.js';

const AIM = 8.8;
const SPEEDS = [1, 1.25, 1.5, 2, 0.5];
/** Of the next file so much is fetched while the last `AHEAD` seconds of this one play, in bytes. */
const TASTE = 1 << 20;
const FACTS = [['needs', 'Film needs'], ['arriving', 'Arriving'], ['ahead', 'Fetched ahead'], ['served', 'From relay or server']];

export class Player {
  /** `play(index)` opens another file of the same torrent; `fail(error)` shows what went wrong. */
  constructor({ play, fail }) {
    Object.assign(this, { play, fail, torrent: null, index: -1 });
    this.video = byId('player');
    this.box = byId('player-box');
    this.band = new Band(byId('player-band'), this.video);
    this.controls();
    this.facts = Object.fromEntries(FACTS.map(([key]) => [key, el('dd')]));
    byId('player-facts').append(...FACTS.map(([key, words]) => el('div', {}, el('dt', {}, words), this.facts[key])));
    this.listen();
  }

  get isOpen() {
    return !this.box.hidden;
  }

  /** Shows the player for a file, before its first byte is there. */
  open(torrent, index) {
    const same = this.torrent === torrent && this.index === index;
    Object.assign(this, { torrent, index });
    setHidden(this.box, false);
    if (same) return;
    this.tasted = -1;
    this.stopFetching();
    this.subtitles();
    this.update(torrent.snapshot);
  }

  /** Ends it: nothing is fetched for it any more. */
  close() {
    if (!this.isOpen) return;
    this.video.pause();
    this.video.removeAttribute('src');
    this.video.load();
    this.stopFetching();
    this.show(null);
    setHidden(this.box, true);
    this.index = -1;
  }

  /** Ends what is fetched beside the film: the beginning of the next one, subtitles. */
  stopFetching() {
    this.fetching?.abort();
    this.fetching = new AbortController();
  }

  toggle() {
    if (this.video.paused) this.video.play().catch(() => {});
    else this.video.pause();
  }

  /** Takes a snapshot of the torrent that is shown. */
  update(s) {
    if (!this.isOpen || !s.files[this.index]) return;
    const file = s.files[this.index], { video } = this;
    this.band.update(s, file);
    this.playlist(s);
    const needs = video.duration > 0 ? file.length / video.duration : 0, complete = file.done >= file.length;
    setText(this.facts.needs, needs ? rate(needs) : '–');
    setText(this.facts.arriving, complete ? 'all here' : needs && s.down ? phrase(`${rate(s.down)} (${(s.down / needs).toFixed(1)}×)`) : rate(s.down));
    setText(this.facts.ahead, needs ? phrase(`${span(this.band.ahead())} of ${span(Math.min(AHEAD, video.duration - video.currentTime))} wanted`) : '–');
    const { tabs, native, relay, server } = s.sources, all = tabs + native + relay + server;
    setText(this.facts.served, phrase(`${decimal(all ? (relay + server) / all : 0)} (aim ${AIM} or less)`));
    this.clock();
    this.stall(s);
  }

  controls() {
    const { video } = this;
    this.pauseIcon = el('button', { type: 'button', class: 'btn', click: () => this.toggle() });
    this.time = el('span', { class: 'clock' });
    this.held = el('span', { class: 'muted opt' });
    this.choice = el('select', { class: 'field', 'aria-label': 'Subtitles', change: () => this.choose(this.choice.value) });
    this.sound = button('', () => { video.muted = !video.muted; });
    this.speed = button('', () => { video.playbackRate = SPEEDS[(SPEEDS.indexOf(video.playbackRate) + 1) % SPEEDS.length]; });
    this.apart = button('Picture in picture', () => this.attempt(() => document.pictureInPictureElement ? document.exitPictureInPicture() : video.requestPictureInPicture()), { kind: 'btn opt' });
    const full = button('Full screen', () => this.attempt(() => video.requestFullscreen()));
    const close = button('Close', () => this.close());
    byId('player-controls').append(this.pauseIcon, this.time, this.held, el('span', { class: 'end' }, this.choice, this.sound, this.speed, this.apart, full, close));
    setHidden(this.apart, !document.pictureInPictureEnabled);
    this.buttons();
  }

  /** What the buttons say and do now. */
  buttons() {
    const { video } = this;
    const name = video.paused ? 'play' : 'pause';
    rebuild(this.pauseIcon, name, () => [icon(name)]);
    setAttr(this.pauseIcon, 'aria-label', video.paused ? 'Go on' : 'Pause');
    setText(this.sound.firstChild, video.muted ? 'Sound on' : 'Mute');
    setText(this.speed.firstChild, `${video.playbackRate}×`);
    setAttr(this.speed, 'aria-label', `Speed ${video.playbackRate}`);
  }

  clock() {
    const { video } = this, now = video.currentTime;
    setText(this.time, phrase(`${duration(now)} / ${duration(video.duration)}`));
    let end = now;
    for (let n = 0; n < video.buffered.length; n++) if (video.buffered.start(n) <= now + 0.1) end = Math.max(end, video.buffered.end(n));
    setText(this.held, video.duration ? phrase(`${span(end - now)} buffered`) : '');
  }

  listen() {
    const { video } = this;
    for (const kind of ['play', 'pause', 'volumechange', 'ratechange']) video.addEventListener(kind, () => this.buttons());
    // At most four times a second, by the browser's own clock of the film.
    video.addEventListener('timeupdate', () => this.moved());
    for (const kind of ['progress', 'seeked', 'durationchange']) video.addEventListener(kind, () => this.band.draw());
    for (const kind of ['playing', 'seeked', 'emptied']) video.addEventListener(kind, () => this.waits(false));
    video.addEventListener('waiting', () => this.waits(true));
    video.addEventListener('loadedmetadata', () => video.classList.toggle('sound', video.videoWidth === 0));
    video.addEventListener('ended', () => this.next() && this.play(this.next().index));
    video.addEventListener('click', () => video.controls || this.toggle());
    // In full screen the browser's own buttons are the only ones.
    document.addEventListener('fullscreenchange', () => { video.controls = document.fullscreenElement === video; });
  }

  moved() {
    if (!this.isOpen) return;
    this.clock();
    this.band.draw();
    if (!(this.video.duration - this.video.currentTime < AHEAD)) return;
    const next = this.next();
    if (next && this.tasted !== next.index) this.taste(next);
  }

  /** Fetches the beginning of the next file while this one ends, so that it begins at once. */
  taste({ index }) {
    this.tasted = index;
    const url = this.torrent.fileURL?.(index);
    if (url) fetch(url, { headers: { range: `bytes=0-${TASTE - 1}` }, signal: this.fetching.signal }).then(answer => answer.blob()).catch(() => {});
  }

  waits(waiting) {
    this.waiting = waiting;
    if (this.isOpen) this.stall(this.torrent.snapshot);
  }

  /** Says what it waits for. */
  stall(s) {
    const note = byId('player-stall');
    const piece = this.waiting && s.files[this.index] && this.video.duration ? this.missing(s) : null;
    setHidden(note, piece === null);
    if (piece === null) return;
    const peers = s.counts[piece];
    const who = peers === 0 ? 'nobody connected has it' : peers === 1 ? '1 peer has it' : `${count(peers)} peers have it`;
    setText(note, `Waiting for piece ${count(piece)}: ${who}.`);
  }

  /** The first piece from the playhead on that is not here; null where all are. */
  missing(s) {
    const { lastPiece } = s.files[this.index];
    for (let piece = this.band.pieceAt(this.video.currentTime); piece <= lastPiece; piece++) if (s.map[piece] !== 255) return piece;
    return null;
  }

  next() {
    const films = this.torrent ? filmsOf(this.torrent.snapshot.files) : [];
    return films[films.findIndex(({ index }) => index === this.index) + 1];
  }

  /** The pieces from the playhead to the end of what is fetched ahead; null where nothing plays. */
  window() {
    const { band, video } = this;
    if (!this.isOpen || !(video.duration > 0) || !band.file) return null;
    return { from: band.pieceAt(video.currentTime), to: band.pieceAt(video.currentTime + AHEAD) };
  }

  /** The files that play, where there are several. */
  playlist(s) {
    const films = filmsOf(s.files), list = byId('playlist');
    setHidden(list.parentNode, films.length < 2);
    if (films.length < 2) return;
    setText(byId('playlist-sum'), phrase(`${count(films.length)} of ${count(s.files.filter(file => !file.pad).length)} files play`));
    rebuild(list, `${s.infoHash} ${films.length} ${this.index}`, () => films.map(file => {
      const here = file.index === this.index;
      const name = bdi(file.path[file.path.length - 1]);
      return el('li', {}, el('button', { type: 'button', 'aria-current': here ? 'true' : null, click: () => this.play(file.index) }, el('span', {}, here ? icon('play') : null), name, el('small')));
    }));
    const next = this.next(), length = this.video.duration;
    films.forEach((file, at) => {
      const here = `${wholePercent(file.length ? file.done / file.length : 1)} here`;
      const soon = file === next && file.done < file.length && length > AHEAD ? `, fetched from ${duration(length - AHEAD)} on` : '';
      setText(list.children[at].querySelector('small'), phrase(here + soon));
    });
  }

  /** Offers the subtitles beside the film. */
  subtitles() {
    const { files } = this.torrent.snapshot, film = files[this.index];
    const found = film ? subtitlesOf(files, film) : [];
    this.show(null);
    setHidden(this.choice, found.length === 0);
    this.choice.replaceChildren(el('option', { value: '' }, 'Subtitles: off'), ...found.map(file => el('option', { value: file.index }, labelOf(file, film))));
  }

  /** Fetches the subtitles chosen; they come when their bytes do. */
  async choose(value) {
    this.show(null);
    this.stopFetching();
    if (value === '') return;
    const { index } = this;
    await this.attempt(async () => {
      const answer = await fetch(this.torrent.fileURL(Number(value)), { signal: this.fetching.signal });
      if (!answer.ok) throw new Error(`The subtitles cannot be read: ${answer.status}.`);
      const text = asWebVtt(await answer.text());
      if (this.index === index && this.choice.value === value) this.show(text);
    });
  }

  /** Shows these subtitles and no others. */
  show(text) {
    const old = this.video.querySelector('track');
    if (old) URL.revokeObjectURL(old.src);
    old?.remove();
    if (text === null) return;
    const src = URL.createObjectURL(new Blob([text], { type: 'text/vtt' }));
    const track = el('track', { kind: 'subtitles', label: clean(this.choice.selectedOptions[0].label), src });
    this.video.append(track);
    track.track.mode = 'showing';
  }

  async attempt(what) {
    try {
      await what();
    } catch (error) {
      if (error.name !== 'AbortError') this.fail(error);
    }
  }
}

const filmsOf = files => files.filter(file => !file.pad && file.priority !== 'skip' && playable(file.path[file.path.length - 1]));
