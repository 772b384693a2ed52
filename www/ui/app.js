// Ties client and views: which view is shown, when it is drawn (at most four times a second, never while hidden), keys
// and the few things that concern the whole page.
import { byId, isolateNumbers, isRtl, rate, setHidden, setText } from './kit.js';
import { Add } from './add.js';
import { together } from './flows.js';
import { List, titleOf } from './list.js';
import { Notices, currentNotices } from './notices.js';
import { ShareBar } from './share.js';
import { applyTheme, ask, showKeys, showSettings } from './sheets.js';
import { Strip, relayOf } from './strip.js';
import { TorrentView } from './torrent.js';

const PACE = 250;
/** The service worker keeps the shell when the page has long been up: it is in no hurry. */
const SHELL_MS = 2000;

/** The link of an address like `/#magnet:…`. */
function decodeHash() {
  const link = location.hash.slice(1);
  return /^magnet:/i.test(link) ? link : decodeURIComponent(link);
}

export class App {
  constructor(client) {
    isolateNumbers(isRtl());
    applyTheme();
    this.client = client;
    this.open = null;
    this.wantsList = false;
    const fail = error => this.fail(error);
    const remove = (torrent, plain) => this.remove(torrent, plain);
    this.add = new Add(client, { opened: torrent => this.show(torrent), settings: focus => showSettings(client, focus) });
    this.view = new TorrentView(client, { fail, remove });
    this.list = new List({ open: torrent => this.show(torrent), pause: torrent => this.togglePause(torrent), remove });
    this.notices = new Notices((id, details) => this.act(id, details));
    this.stripRest = new Strip(byId('strip-rest'));
    this.stripAll = new Strip(byId('strip-all'));
    this.shareAll = new ShareBar(byId('share-all'));
    this.listen();
    this.schedule();
    setInterval(() => this.tick(), 1000);
  }

  listen() {
    const fail = error => this.fail(error);
    for (const event of ['change', 'snapshot', 'notice']) this.client.addEventListener(event, () => this.schedule());
    this.client.addEventListener('notice', ({ error }) => error && fail(error));
    this.client.addEventListener('play', ({ torrent, index }) => {
      this.show(torrent);
      this.view.update(torrent);
      this.view.openPlayer(index);
    });
    this.client.ready?.then(() => {
      this.schedule();
      setTimeout(() => navigator.serviceWorker?.controller?.postMessage('shell'), SHELL_MS);
    }, fail);
    addEventListener('hashchange', () => /^#magnet(:|%3a)/i.test(location.hash) && this.add.add(decodeHash()));
    globalThis.launchQueue?.setConsumer(async ({ files }) => {
      for (const file of files) await this.add.add(await file.getFile());
    });
    document.addEventListener('visibilitychange', () => this.schedule());
    for (const event of ['online', 'offline']) addEventListener(event, () => this.schedule());
    addEventListener('keydown', event => this.key(event));
    addEventListener('popstate', event => this.back(event.state));
    byId('home').addEventListener('click', event => {
      event.preventDefault();
      this.show(null);
    });
    byId('settings-open').addEventListener('click', () => showSettings(this.client));
    byId('pause-all').addEventListener('click', () => this.pauseAll());
  }

  /** Says at the field what went wrong. */
  fail(error) {
    this.add.refuse(this.add.current(), error, null);
  }

  /** Shows a torrent, or all of them (null). */
  show(torrent) {
    if (torrent === this.open && this.wantsList === !torrent) return;
    this.open = torrent;
    this.wantsList = !torrent;
    history.pushState({ infoHash: torrent?.snapshot.infoHash ?? null }, '');
    scrollTo(0, 0);
    this.draw();
    byId('main').focus({ preventScroll: true });
  }

  back(state) {
    const torrent = state?.infoHash ? this.client.torrents.find(({ snapshot }) => snapshot.infoHash === state.infoHash) : null;
    this.open = torrent ?? null;
    this.wantsList = !torrent;
    this.draw();
  }

  /** The torrent that is shown: the one opened, or the only one there is. */
  current() {
    const { torrents } = this.client;
    if (this.open && !torrents.includes(this.open)) this.open = null;
    if (!this.open && !this.wantsList && torrents.length === 1) this.open = torrents[0];
    return this.open;
  }

  /** Draws soon: at most every 250 ms, in an animation frame, not while hidden. */
  schedule() {
    if (this.waiting || document.hidden) return;
    this.waiting = true;
    const wait = Math.max(0, (this.drawnAt ?? -PACE) + PACE - performance.now());
    setTimeout(() => requestAnimationFrame(() => {
      this.waiting = false;
      this.draw();
    }), wait);
  }

  /** Once a second: clocks, ages and the graph go on while nothing else changes. */
  tick() {
    let sampled = false;
    for (const torrent of this.client.torrents) sampled = this.view.sample(torrent) || sampled;
    if (sampled) this.schedule();
  }

  draw() {
    this.drawnAt = performance.now();
    const { client } = this, { torrents } = client;
    const current = this.current();
    const view = torrents.length === 0 ? 'empty' : !current ? 'list' : current.snapshot.phase === 'adding' ? 'adding' : 'torrent';
    document.body.classList.toggle('is-first', view === 'empty');
    for (const name of ['empty', 'adding', 'torrent', 'list']) setHidden(byId(`view-${name}`), name !== view);
    this.notices.show(currentNotices(client, current?.snapshot ?? null));
    this.totals(torrents);
    if (current) this.view.update(current);
    else this.view.player.close();
    if (view === 'empty') this.rest();
    if (view === 'list') this.all(torrents);
    const title = current ? `${titleOf(current.snapshot)} – Tombolo` : 'Tombolo';
    if (document.title !== title) document.title = title;
  }

  rest() {
    const { client } = this;
    this.stripRest.update({ snapshot: null, relay: relayOf(client), mode: 'rest', webrtc: client.environment?.webrtc });
    setHidden(byId('demo'), !client.demo);
    if (client.demo) setText(byId('demo-text'), `(${client.demo.text})`);
  }

  all(torrents) {
    const sum = together(torrents.map(({ snapshot }) => snapshot));
    this.list.update(torrents, this.client.quota);
    this.stripAll.update({ snapshot: sum, relay: relayOf(this.client), mode: 'live', webrtc: this.client.environment?.webrtc });
    this.shareAll.update(sum.sources);
  }

  totals(torrents) {
    const sum = key => torrents.reduce((total, { snapshot }) => total + (snapshot[key] || 0), 0);
    setText(byId('total-down'), rate(sum('down')));
    setText(byId('total-up'), rate(sum('up')));
  }

  togglePause(torrent) {
    if (torrent.snapshot.phase === 'paused') torrent.resume();
    else torrent.pause();
  }

  pauseAll() {
    for (const torrent of this.client.torrents) torrent.pause();
  }

  /** Takes a torrent away. `plain`: nothing is lost by it, so nothing is asked. */
  async remove(torrent, plain = false) {
    if (plain) {
      await torrent.remove({ files: torrent.snapshot.phase === 'adding' });
    } else {
      const answer = await ask(`Remove “${titleOf(torrent.snapshot)}”?`, 'Its files can stay in this browser, so that adding it again goes on from there.', [['keep', 'Remove, keep files'], ['files', 'Remove with files']]);
      if (!answer) return;
      await torrent.remove({ files: answer === 'files' });
    }
    this.schedule();
  }

  /** Buttons of notices. */
  act(id, details) {
    const torrent = this.open, { client } = this;
    const known = {
      reload: () => location.reload(),
      'open-https': () => location.assign(location.href.replace(/^http:/, 'https:')),
      'open-without-relay': () => torrent?.openWithoutRelay(),
      'another-relay': () => showSettings(client, 'relay'),
      trackers: () => showSettings(client, 'trackers'),
      free: () => details.free.torrent.remove({ files: true }),
      announce: () => torrent?.announce?.(),
      reconnect: () => client.reconnect?.(),
      list: () => this.show(null),
      'choose-files': () => byId('pick-files').click(),
    }[id];
    if (known) known();
    else client.act?.(id, torrent);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented || document.querySelector('dialog[open]')) return;
    const typing = event.target.closest?.('input:not([type=checkbox]), select, textarea');
    if (event.key === 'Escape') {
      if (typing) event.target.blur();
      else this.escape();
      return;
    }
    if (typing) return;
    const done = this.shortcut(event);
    if (done) event.preventDefault();
  }

  escape() {
    if (this.view.player.isOpen) this.view.player.close();
    else if (this.open && this.client.torrents.length > 1) this.show(null);
  }

  shortcut(event) {
    const { key } = event, { view, open } = this, { player } = view;
    if (key === '/') this.add.focus();
    else if (key === '?') showKeys();
    else if (!open || open.snapshot.phase === 'adding') return false;
    else if (key === ' ' && !event.target.closest?.('button, a, summary, video, input')) player.isOpen ? player.toggle() : view.togglePause();
    else if (player.isOpen && /^[jl]$/i.test(key)) player.band.wind(player.video.currentTime + (key.toLowerCase() === 'j' ? -10 : 10));
    else if (player.isOpen && /^[,.]$/.test(key)) player.band.piece(key === ',' ? -1 : 1);
    else if (key.toLowerCase() === 's') view.saveAll();
    else if (key.toLowerCase() === 'c') view.copyLink();
    else return false;
    return true;
  }
}
