// One torrent: title and actions, readouts, graph, strip, map, files, peers, trackers, player, link to share.
import { button, byId, bytes, bytesOf, el, isOff, phrase, pieceSize, plural, rate, rebuild, say, setAttr, setHidden, setOff, setText, shortHash, svg } from './kit.js';
import { Files, firstPlayable } from './files.js';
import { Graph, History } from './graph.js';
import { isComplete, subline, titleOf } from './list.js';
import { PieceMap } from './map.js';
import { Peers, Trackers } from './peers.js';
import { Readouts } from './readouts.js';
import { ShareBar } from './share.js';
import { Steps } from './steps.js';
import { Strip, relayOf } from './strip.js';
import { playable } from './tree.js';

const PHASES = [['random-first', 'random first'], ['rarest-first', 'rarest first'], ['endgame', 'endgame']];

/** Until there is something to play: player.js is loaded then. */
const NO_PLAYER = { isOpen: false, close() {}, update() {}, window: () => null };

export class TorrentView {
  /** `act` = {fail(error), remove(torrent)}. */
  constructor(client, act) {
    Object.assign(this, { client, act });
    this.memory = new WeakMap();
    this.readouts = new Readouts(byId('readouts'));
    this.graph = new Graph(byId('graph'));
    this.strip = new Strip(byId('strip'), { scale: byId('strip-scale'), point: peer => this.marked === peer || this.mark(peer) });
    this.share = new ShareBar(byId('share'));
    this.map = new PieceMap({ box: byId('map'), legend: byId('legend'), select: byId('map-view') });
    this.files = new Files({
      select: (indices, priority) => this.selected(indices, priority),
      play: index => this.play(index),
      save: index => this.save([index]),
      savable: file => this.savable([file]).length > 0,
    });
    byId('save-folder').addEventListener('click', () => this.attempt(() => this.torrent.saveTo()));
    this.player = NO_PLAYER;
    this.peers = new Peers(peer => this.mark(peer));
    this.trackers = new Trackers();
    this.steps = new Steps(byId('steps'));
    this.stripAdding = new Strip(byId('strip-adding'));
    this.tabs();
    this.links();
    byId('adding-cancel').addEventListener('click', () => this.act.remove(this.torrent, true));
  }

  /** What the page remembers of a torrent: when it came, and its speeds. */
  remembered(torrent) {
    let known = this.memory.get(torrent);
    if (!known) this.memory.set(torrent, known = { since: performance.now(), history: new History(), shown: null });
    return known;
  }

  /** Takes a sample of every torrent's rates, also of those not shown. */
  sample(torrent, now = performance.now()) {
    return this.remembered(torrent).history.add(torrent.snapshot, now);
  }

  /** Shows a torrent; `adding` in the short form. */
  update(torrent) {
    const s = torrent.snapshot, { since, history } = this.remembered(torrent);
    if (this.torrent !== torrent) {
      this.torrent = torrent;
      setHidden(byId('give'), true);
      this.sharing = false;
      this.player.close();
    }
    const elapsed = performance.now() - since;
    if (s.phase === 'adding') {
      this.updateAdding(s, elapsed);
      return;
    }
    const give = s.own ?? (s.phase === 'hashing' || (s.seeding && s.received === 0));
    const done = isComplete(s);
    setText(byId('name').firstChild, titleOf(s));
    const parts = [plural(s.files.filter(file => !file.pad).length, 'file'), bytes(s.length), phrase(`${plural(s.pieces, 'piece')} of ${pieceSize(s.pieceLength)}`)];
    if (s.private) parts.push('private');
    if (s.infoHash && s.phase !== 'hashing') parts.push([shortHash(s.infoHash), 'mono opt']);
    subline(byId('sub'), parts);
    this.actions(s, give, done);
    this.giveLink(s, give);
    if (history.samples.length === 0) this.sample(torrent);
    this.readouts.update(s, give, elapsed);
    this.graph.show(history, give);
    const out = give || done;
    setText(byId('bytes-title'), out ? 'Where bytes go' : 'Where bytes come from');
    setText(byId('bytes-now'), movesNow(s, out));
    this.strip.update({ snapshot: s, relay: relayOf(this.client), mode: stripMode(s, out), webrtc: this.client.environment?.webrtc });
    this.share.update(s.sources, give);
    this.phase(s, give, done);
    this.player.update(s);
    this.map.update(s, this.player.window());
    this.files.update(s);
    this.peers.update(s);
    this.trackers.update(s, this.client.relay);
  }

  updateAdding(s, elapsed) {
    setText(byId('adding-name').firstChild, titleOf(s));
    setText(byId('adding-sub'), s.name && !s.nameConfirmed ? 'name from the link, not confirmed yet' : s.name ? '' : 'no name in the link');
    this.steps.update(s, elapsed);
    this.stripAdding.update({ snapshot: s, relay: relayOf(this.client), mode: 'adding', webrtc: this.client.environment?.webrtc });
  }

  /** The order of choice in words. */
  phase(s, give, done) {
    const phases = done && !give ? [...PHASES, ['done', 'complete']] : give ? [] : PHASES;
    const now = done ? 'done' : s.order;
    rebuild(byId('phase'), `${phases.length}${now}`, () => phases.map(([key, text]) => el('li', { 'aria-current': key === now ? 'step' : null }, text)));
  }

  actions(s, give, done) {
    const box = byId('acts');
    const film = this.player.isOpen ? null : firstPlayable(s.files);
    if (film) this.withPlayer().catch(this.act.fail);
    const paused = s.phase === 'paused', playing = this.player.isOpen && !give;
    byId('view-torrent').classList.toggle('plays', playing);
    rebuild(box, [give, done, !!film, paused, playing, s.phase === 'hashing'].join(), () => {
      const pause = paused ? button('Resume', () => this.togglePause()) : button('Pause', () => this.togglePause(), { icon: 'pause' });
      this.saveAllButton = button('Save all', () => isOff(this.saveAllButton) || (this.player.isOpen ? this.save([this.player.index]) : this.saveAll()));
      if (give) return [button(s.phase === 'hashing' ? 'Cancel' : 'Stop sharing', () => this.act.remove(this.torrent, true))];
      if (playing) return [this.saveAllButton, button('Share', () => this.toggleShare())];
      const main = film ? [button('Play', () => this.play(firstPlayable(this.torrent.snapshot.files).index), { kind: 'btn go', icon: 'play' })] : [];
      if (!film && done) this.saveAllButton.classList.add('go');
      return [...main, ...(done && !paused ? [] : [pause]), this.saveAllButton, button('Share', () => this.toggleShare())];
    });
    setHidden(byId('save-folder'), give || !this.torrent.saveTo || !globalThis.showDirectoryPicker);
    if (this.saveAllButton) {
      const files = this.savable(playing ? [s.files[this.player.index]] : s.files);
      setText(this.saveAllButton.firstChild, playing || s.files.filter(file => !file.pad).length === 1 ? 'Save file' : 'Save all');
      setOff(this.saveAllButton, files.length ? null : playing ? 'Can be saved when it is complete' : 'No file is complete yet');
    }
  }

  giveLink(s, give) {
    const box = byId('give');
    setHidden(box, !give && !this.sharing);
    setHidden(byId('give-link'), s.phase === 'hashing');
    const lead = s.phase === 'hashing' ? `Preparing your files: ${bytesOf(s.hashed * s.length, s.length)} read. The link appears when all is read.`
      : give ? 'Ready. Send the link; the other end needs only a browser.' : 'Send the link; the other end needs only a browser.';
    setText(byId('give-lead'), lead);
    const link = s.phase === 'hashing' ? '' : this.link();
    if (byId('link').value !== link) byId('link').value = link;
    setHidden(byId('qr'), !link);
    if (link && !box.hidden && this.coded !== link) this.code(link);
  }

  /** The link as a code to scan; of one too long for that, the info-hash alone, with which this page finds the rest. */
  async code(link) {
    this.coded = link;
    const { qr } = await import('./qr.js');
    if (this.coded !== link) return;
    const { size, path } = qr(link) ?? qr(link.replace(/&.*/s, ''));
    byId('qr').replaceChildren(svg('svg', { viewBox: `0 0 ${size} ${size}`, 'shape-rendering': 'crispEdges', 'aria-hidden': 'true' }, svg('path', { d: path })));
  }

  link() {
    return `${location.origin}${location.pathname}#${this.torrent.magnet ?? this.torrent.snapshot.magnet}`;
  }

  links() {
    byId('copy-link').addEventListener('click', () => this.copyLink());
    byId('copy-magnet').addEventListener('click', () => this.copy(this.torrent.magnet ?? this.torrent.snapshot.magnet, byId('copy-magnet')));
    byId('link').addEventListener('focus', event => event.target.select());
    byId('save-metainfo').addEventListener('click', async () => {
      try {
        const data = await this.torrent.metainfo();
        saveBlob(new Blob([data], { type: 'application/x-bittorrent' }), `${titleOf(this.torrent.snapshot)}.torrent`);
      } catch (error) {
        this.act.fail(error);
      }
    });
  }

  copyLink() {
    if (this.torrent.snapshot.phase !== 'hashing') this.copy(this.link(), byId('copy-link'));
  }

  async copy(text, at) {
    const label = at.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = byId('link');
      this.sharing = true;
      setHidden(byId('give'), false);
      field.focus();
      field.select();
      if (!document.execCommand('copy')) return;
    }
    say('Copied');
    if (label === 'Copied') return;
    setText(at, 'Copied');
    setTimeout(() => setText(at, label), 1600);
  }

  /** Marks in the map what a peer has. */
  async mark(peer) {
    this.marked = peer;
    const has = peer?.link == null ? null : await this.torrent.piecesOf?.(peer.link).catch(() => null);
    if (this.marked === peer) this.map.mark(has ?? null);
  }

  toggleShare() {
    this.sharing = !this.sharing;
    this.giveLink(this.torrent.snapshot, false);
    if (this.sharing) byId('link').focus();
  }

  togglePause() {
    const paused = this.torrent.snapshot.phase === 'paused';
    this.attempt(() => paused ? this.torrent.resume() : this.torrent.pause());
  }

  selected(indices, priority) {
    this.attempt(() => Promise.all(indices.map(index => this.torrent.setPriority(index, priority))));
  }

  /** Whether what is not whole yet can be saved as it arrives, and several files as one zip. */
  streams() {
    return Boolean(this.torrent.zipURL?.());
  }

  /** Those of `files` that can be saved now. */
  savable(files) {
    return files.filter(file => !file.pad && file.priority !== 'skip' && (file.done >= file.length || this.streams()));
  }

  saveAll() {
    const files = this.savable(this.torrent.snapshot.files).map(({ index }) => index);
    if (files.length > 1 && this.streams()) this.attempt(() => this.torrent.saveZip(files));
    else this.save(files);
  }

  async save(indices) {
    for (const index of indices) await this.attempt(() => this.torrent.save(index));
  }

  async attempt(what) {
    try {
      await what();
    } catch (error) {
      if (error.name !== 'AbortError') this.act.fail(error);
    }
  }

  /** The player, which is loaded with the first torrent that has a film. */
  async withPlayer() {
    this.loading ??= import('./player.js').then(({ Player }) => { this.player = new Player({ play: index => this.play(index), fail: this.act.fail }); });
    await this.loading;
    return this.player;
  }

  /** Shows the player for a file of the torrent that is shown: at once if it is loaded. */
  openPlayer(index) {
    const { torrent } = this, open = player => this.torrent === torrent && player.open(torrent, index);
    if (this.player === NO_PLAYER) this.withPlayer().then(open, this.act.fail);
    else open(this.player);
  }

  /** Plays a file, or opens what is no film in a tab of its own. */
  play(index) {
    const { path } = this.torrent.snapshot.files[index], url = this.torrent.fileURL?.(index);
    if (!playable(path[path.length - 1]) && url) return void open(url, '_blank', 'noopener');
    this.openPlayer(index);
    this.attempt(() => this.torrent.play(index));
  }

  /** Files, peers and trackers are tabs where the window is narrow. */
  tabs() {
    const tabs = ['files', 'peers', 'trackers'].map(name => ({ tab: byId(`tab-${name}`), part: byId(name) }));
    const choose = (index, focus) => tabs.forEach(({ tab, part }, at) => {
      setAttr(tab, 'aria-selected', String(at === index));
      setAttr(tab, 'tabindex', at === index ? null : '-1');
      part.classList.toggle('on', at === index);
      if (focus && at === index) tab.focus();
    });
    const narrow = matchMedia('(max-width: 999px)');
    const roles = () => tabs.forEach(({ tab, part }) => {
      setAttr(part, 'role', narrow.matches ? 'tabpanel' : null);
      setAttr(part, 'aria-labelledby', narrow.matches ? tab.id : `${part.id}-title`);
    });
    narrow.addEventListener('change', roles);
    roles();
    tabs.forEach(({ tab }, index) => {
      tab.addEventListener('click', () => choose(index, false));
      tab.addEventListener('keydown', event => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (step) choose((index + step + tabs.length) % tabs.length, true);
      });
    });
  }
}

function movesNow(s, out) {
  if (s.phase === 'hashing') return 'nobody can ask yet';
  const up = s.upRate ?? s.up;
  if (out) return up >= 0.5 ? phrase(`${rate(up)} given now`) : 'nothing moves now';
  return s.down >= 0.5 ? phrase(`${rate(s.down)} now`) : 'nothing moves now';
}

function stripMode(s, out) {
  if (s.phase === 'hashing') return 'rest';
  if (s.phase === 'paused') return 'paused';
  return out ? 'give' : 'live';
}

/** Saves bytes under a name. */
export function saveBlob(blob, name) {
  const url = URL.createObjectURL(blob);
  el('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 60000);
}

