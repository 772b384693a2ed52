// Types of the package's API; docs/js-api.md says what each member means.

/** A magnet link, an info-hash, the address of a .torrent, or its bytes. */
export type TorrentId = string | URL | Uint8Array | Blob;
export type Priority = 'high' | 'normal' | 'low' | 'skip';
export type Phase = 'adding' | 'checking' | 'hashing' | 'downloading' | 'done' | 'paused' | 'error';
export type ErrorCode =
  | 'bad-magnet' | 'bad-bencode' | 'bad-metainfo' | 'bad-priority' | 'too-large' | 'not-found' | 'not-allowed' | 'incomplete' | 'insecure'
  | 'storage' | 'engine';

export class TomboloError extends Error {
  constructor(code: ErrorCode, message: string, details?: Record<string, unknown>);
  readonly code: ErrorCode;
  readonly details: Record<string, unknown>;
}

export interface ClientOptions {
  /** Address of a relay; `null` = the page's own origin; `'off'`, the default, = none. */
  relay?: string | null;
  /** WebSocket trackers that replace all others. */
  trackers?: string[];
  /** Native peers, `host:port`, for the relay to dial. */
  peers?: string[];
  /** A STUN or TURN server, or `'off'`. */
  ice?: string | null;
  /** Where sw.js is served; `null` = no service worker: `stream()` and `blob()` work, `streamTo()` does not. */
  serviceWorker?: string | URL | null;
}

/** Bytes a second; `null` = no limit. */
export interface Limits {
  down?: number | null;
  up?: number | null;
}

export interface AddOptions {
  /** Aborting before the metadata is known takes the torrent out of the list again. */
  signal?: AbortSignal;
  relay?: 'off';
  trackers?: string[];
  paused?: boolean;
  /** `false`: only what is played is fetched, and the last `cache` bytes of it are kept, in memory. */
  keep?: boolean;
  cache?: number;
}

/** Limits for all torrents, and what the user allows. */
export interface Settings extends Limits {
  /** `null` = uploads unless the browser asks to save data. */
  share?: boolean | null;
  /** Bytes sent and received in a calendar month, after which everything is paused. */
  cap?: number | null;
}

export interface SaveOptions {
  signal?: AbortSignal;
}

export interface SeedOptions {
  name?: string;
  /** Piece length in bytes, a power of two. */
  piece?: number;
}

export interface Peer {
  readonly link: number;
  readonly client: string;
  readonly short: string | null;
  readonly kind: 'tab' | 'relay' | 'native' | 'server';
  readonly transport: string;
  readonly flags: string;
  /** The part of the torrent that it has, 0 to 1. */
  readonly has: number;
  /** Bytes a second, and bytes in all. */
  readonly down: number;
  readonly up: number;
  readonly received: number;
  readonly sent: number;
  readonly choked: boolean;
}

export interface Tracker {
  readonly url: string;
  readonly state: 'idle' | 'announcing' | 'working' | 'failed';
  readonly peers: number;
  readonly seeds: number | null;
  readonly error: string | null;
  readonly failures: number;
  /** Seconds since the last answer, and until the next announce. */
  readonly age: number | null;
  readonly next: number | null;
}

export interface FileSnapshot {
  readonly index: number;
  readonly path: string[];
  readonly length: number;
  readonly pad: boolean;
  readonly done: number;
  readonly priority: Priority;
  readonly firstPiece: number;
  readonly lastPiece: number;
}

export interface Snapshot {
  readonly infoHash: string | null;
  readonly magnet: string;
  readonly name: string;
  readonly nameConfirmed: boolean;
  readonly own: boolean;
  /** False: only played. */
  readonly kept: boolean;
  /** True: another tab has the engine. */
  readonly follows?: boolean;
  readonly phase: Phase;
  readonly seeding: boolean;
  readonly hashed: number;
  readonly private: boolean;
  readonly comment: string | null;
  readonly createdBy: string | null;
  readonly length: number;
  readonly pieceLength: number;
  readonly pieces: number;
  readonly wanted: number;
  readonly have: number;
  readonly haveWanted: number;
  readonly received: number;
  readonly uploaded: number;
  readonly down: number;
  readonly up: number;
  readonly eta: number | null;
  readonly ratio: number | null;
  readonly availability: number;
  readonly known: number;
  readonly order: 'random-first' | 'rarest-first' | 'endgame' | 'done';
  readonly sources: Record<'tabs' | 'native' | 'relay' | 'server', number>;
  readonly rates: Record<'tabs' | 'native' | 'relay' | 'server', number>;
  readonly files: FileSnapshot[];
  readonly peers: Peer[];
  readonly trackers: Tracker[];
  /** One element a piece: how much has arrived (255 = verified), how many peers have it, where it came from. */
  readonly map: Uint8Array;
  readonly counts: Uint16Array;
  readonly source: Uint8Array;
  readonly dirty: [from: number, to: number] | null;
}

export class TorrentFile {
  private constructor();
  readonly index: number;
  readonly path: string[];
  readonly name: string;
  readonly length: number;
  readonly type: string;
  readonly downloaded: number;
  readonly progress: number;
  readonly done: boolean;
  readonly priority: Priority;
  readonly streamURL: string | null;
  readonly rate: number | null;
  select(priority?: Priority): Promise<void>;
  deselect(): Promise<void>;
  setDeadline(start?: number, options?: { rate?: number | null }): Promise<void>;
  streamTo<E extends HTMLElement & { src: string }>(element: E): E;
  stream(range?: { start?: number; end?: number }): ReadableStream<Uint8Array>;
  blob(): Promise<File>;
  save(): Promise<void>;
}

export interface TorrentEvents {
  snapshot: Event;
  metadata: Event;
  ready: Event;
  download: Event & { readonly bytes: number };
  upload: Event & { readonly bytes: number };
  peer: Event & { readonly peer: Peer };
  phase: Event & { readonly phase: Phase };
  done: Event;
  error: Event & { readonly error: TomboloError };
  remove: Event;
}

export class Torrent extends EventTarget {
  private constructor();
  readonly id: number;
  readonly infoHash: string | null;
  readonly name: string;
  readonly magnet: string;
  readonly phase: Phase;
  readonly progress: number;
  readonly files: TorrentFile[];
  readonly peers: Peer[];
  readonly trackers: Tracker[];
  readonly snapshot: Snapshot;
  metadata(): Promise<void>;
  next<K extends keyof TorrentEvents>(type: K): Promise<TorrentEvents[K]>;
  fileURL(index: number): string | null;
  file(index: number): Promise<File>;
  save(index: number): Promise<void>;
  zipURL(indices?: Iterable<number> | null): string | null;
  saveZip(indices?: Iterable<number> | null): Promise<void>;
  saveAs(index: number, options?: SaveOptions): Promise<void>;
  saveTo(indices?: Iterable<number> | null, options?: SaveOptions): Promise<void>;
  play(index: number): Promise<void>;
  select(indices: Iterable<number>, priority?: Priority): Promise<void>;
  setPriority(index: number, priority: Priority): Promise<void>;
  setDeadline(index: number, start: number, rate?: number | null): Promise<void>;
  limit(limits: Limits): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  remove(options?: { files?: boolean }): Promise<void>;
  announce(): Promise<void>;
  openWithoutRelay(): Promise<void>;
  metainfo(): Promise<Uint8Array>;
  /** Which pieces the peer of a link has, a byte each; null where that is not known. */
  piecesOf(link: number): Promise<Uint8Array | null>;
  addEventListener<K extends keyof TorrentEvents>(
    type: K, listener: (event: TorrentEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
}

export interface ClientEvents {
  change: Event;
  snapshot: Event & { readonly torrent: Torrent };
  play: Event & { readonly torrent: Torrent; readonly index: number };
  notice: Event & { readonly error: TomboloError };
}

export class Client extends EventTarget {
  constructor(options?: ClientOptions);
  readonly ready: Promise<unknown>;
  readonly torrents: Torrent[];
  readonly version: string | null;
  readonly relay: {
    readonly url: string | null;
    readonly state: 'off' | 'connecting' | 'connected' | 'gone';
    readonly ping: number | null;
    readonly cache: { readonly bytes: number; readonly limit: number } | null;
  };
  readonly environment: {
    readonly webrtc: boolean;
    readonly secure: boolean;
    readonly opfs: boolean;
    readonly limit: number | null;
  };
  readonly quota: { readonly usage: number; readonly quota: number; readonly wanted: number } | null;
  add(id: TorrentId, options?: AddOptions): Promise<Torrent>;
  seed(files: Iterable<File>, options?: SeedOptions): Promise<Torrent>;
  play(index: number): Promise<void>;
  playTorrent(torrent: Torrent, index: number): Promise<void>;
  fileURL(index: number): string | null;
  probe(): object | null;
  configure(settings: Settings): Promise<void>;
  restore(): Promise<Torrent[]>;
  reconnect(): Promise<void>;
  addEventListener<K extends keyof ClientEvents>(
    type: K, listener: (event: ClientEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
}
