// One engine a torrent for all tabs of an origin. The tab that holds the torrent's lock leads: it has the folder and trades. The others
// follow: they show what the leader shows and pass commands on to it; when it is closed, the one that waits longest leads.

import { claimFolder } from './platform.js';

/** How often followers say that they are there, in ms. */
const HELLO_MS = 2000;
/** How long after the last such word the leader goes on telling them, in ms. */
const HEARD_MS = 10_000;
const NUMBER = /^{"torrent":(\d+)/;

/** The torrents of this tab as far as other tabs may have them too. */
export class Tabs {
  /** By the engine's number of the torrent: `{channel, follows, heard, pending, hello, stop}`. */
  #shared = new Map();
  #page;
  #run;

  /** `page(message, transfer)` tells the page, `run(command, args, answer)` the engine. */
  constructor(page, run) {
    this.#page = page;
    this.#run = run;
  }

  /** Resolves with the folder of a torrent once this tab leads, null where there is no storage. */
  async claim(infoHash, torrent) {
    const channel = new BroadcastChannel(`tombolo ${infoHash}`);
    const shared = { channel, follows: false, heard: -Infinity, pending: new Map(), stop: new AbortController() };
    this.#shared.set(torrent, shared);
    channel.onmessage = ({ data }) => (shared.follows ? this.#learn(torrent, shared, data) : this.#serve(torrent, shared, data));
    const claim = await claimFolder(infoHash, () => this.#follow(torrent, shared), shared.stop.signal);
    clearInterval(shared.hello);
    if (this.#shared.get(torrent) !== shared) return claim;
    shared.follows = false;
    channel.postMessage({ leads: true });
    // What the leader that is gone has not answered.
    for (const [id, [command, args]] of shared.pending) this.#run(command, { ...args, torrent }, (value, error) => this.#page({ answer: id, value, error }));
    shared.pending.clear();
    return claim;
  }

  /** Whether another tab has the engine of this torrent. */
  follows(torrent) {
    return Boolean(this.#shared.get(torrent)?.follows);
  }

  /** Passes a command on to the tab that leads; false where this one does, and for taking a torrent off this tab's list. */
  forward({ command, id, torrent, ...args }) {
    const shared = this.#shared.get(torrent);
    const takesFiles = command === 'remove' && args.files;
    if (shared && !shared.follows && takesFiles) shared.channel.postMessage({ gone: true });
    if (!shared?.follows || (command === 'remove' && !takesFiles)) return false;
    shared.pending.set(id, [command, args]);
    shared.channel.postMessage({ command, id, args });
    return true;
  }

  /** The engine gives a snapshot. */
  snapshot(snapshot, changes) {
    const shared = this.#shared.get(Number(NUMBER.exec(snapshot)[1]));
    if (shared?.follows) return;
    this.#tell(shared, { snapshot, changes });
    this.#page({ snapshot, changes }, changes ? [changes.map.buffer, changes.counts.buffer, changes.source.buffer] : []);
  }

  /** The engine reports something. */
  report(kind, text) {
    const torrent = Number(NUMBER.exec(text)?.[1] ?? text);
    const shared = this.#shared.get(torrent);
    if (kind === 'probe') {
      if (shared?.follows) return;
      this.#tell(shared, { probe: text });
    } else if (kind === 'removed' && shared) {
      clearInterval(shared.hello);
      shared.stop.abort();
      shared.channel.close();
      this.#shared.delete(torrent);
    }
    this.#page({ [kind]: text });
  }

  #tell(shared, message) {
    if (shared && performance.now() - shared.heard < HEARD_MS) shared.channel.postMessage(message);
  }

  /** Another tab leads. */
  #follow(torrent, shared) {
    // Taken off the list meanwhile.
    if (this.#shared.get(torrent) !== shared) return;
    shared.follows = true;
    this.#run('follow', { torrent }, () => {});
    shared.channel.postMessage({ hello: 'first' });
    shared.hello = setInterval(() => shared.channel.postMessage({ hello: 'again' }), HELLO_MS);
  }

  /** A follower hears something from the leader, or from another follower. */
  #learn(torrent, shared, { snapshot, changes, probe, answer, gone, leads, value, error }) {
    const own = (text) => text.replace(NUMBER, `{"torrent":${torrent},"follows":true`);
    if (snapshot) this.#page({ snapshot: own(snapshot), changes });
    else if (probe) this.#page({ probe: own(probe) });
    else if (leads) shared.channel.postMessage({ hello: 'first' });
    else if (gone) this.#run('remove', { torrent, files: false }, () => {});
    else if (shared.pending.delete(answer)) this.#page({ answer, value, error });
  }

  /** The leader hears something from a follower. */
  #serve(torrent, shared, { hello, command, id, args }) {
    if (hello) shared.heard = performance.now();
    if (hello === 'first') this.#run('show', { torrent }, () => {});
    if (command === 'remove') shared.channel.postMessage({ gone: true });
    if (command) this.#run(command, { ...args, torrent }, (value, error) => shared.channel.postMessage({ answer: id, value, error }));
  }
}
