// Child processes that speak JSON lines: started, listened to, ended with the test.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { atEnd } from './end.mjs';
import { until, within } from './wait.mjs';

/** How long a process may take to end after SIGTERM before it is killed. */
const PATIENCE_MS = 8000;
/** Lines of each kind kept for failure messages. */
const KEPT = 400;

export class Process {
  #child;
  #name;
  /** Every JSON line of stdout, in order. */
  events = [];
  /** The last lines of stderr, and of stdout that were not JSON. */
  log = [];

  /** Starts `program`; it is ended when test `t` ends, and its last lines are shown if `t` failed. */
  constructor(t, program, args, options = {}) {
    this.#name = options.name ?? program.split('/').pop();
    this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], cwd: options.cwd, env: { ...process.env, ...options.env } });
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', (code, signal) => resolve({ code, signal }));
      this.#child.once('error', (error) => resolve({ code: null, signal: null, error }));
    });
    this.exited.then((exit) => { this.exit = exit; });
    this.#child.stdin.on('error', () => {});
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#take(line));
    createInterface({ input: this.#child.stderr }).on('line', (line) => this.#note(line));
    atEnd(t, () => this.stop());
  }

  get pid() {
    return this.#child.pid;
  }

  /** The first event, past or future, that `match` accepts. Fails at once when the process ends without one. */
  async event(what, match, options) {
    const find = () => this.events.find(match) ?? (this.exit && 'ended');
    const found = await until(`${this.#name}: ${what}`, find, { ...options, describe: () => this.tail() });
    if (found !== 'ended') return found;
    const last = this.events.find(match);
    if (last) return last;
    throw new Error(`${this.#name} ended (${JSON.stringify(this.exit)}) before ${what}: ${this.tail().join('\n')}`);
  }

  /** The newest event that `match` accepts, or undefined. */
  last(match = () => true) {
    return this.events.findLast(match);
  }

  /** Writes one JSON line to stdin. */
  send(value) {
    this.#child.stdin.write(`${JSON.stringify(value)}\n`);
  }

  signal(name) {
    this.#child.kill(name);
  }

  /** SIGTERM, and SIGKILL for one that does not listen. */
  async stop(signal = 'SIGTERM') {
    if (this.exit) return this.exit;
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), PATIENCE_MS);
    const exit = await this.exited;
    clearTimeout(timer);
    return exit;
  }

  /** Ends it without giving it a chance. */
  async kill() {
    this.#child.kill('SIGKILL');
    return this.exited;
  }

  /** Waits until it ends by itself. */
  finish(ms) {
    return within(this.exited, `${this.#name} to end`, ms);
  }

  /** What it said last. */
  tail(lines = 12) {
    return [...this.log.slice(-lines), ...this.events.slice(-4).map((event) => JSON.stringify(event))];
  }

  #take(line) {
    try {
      this.events.push(JSON.parse(line));
    } catch {
      this.#note(line);
    }
  }

  #note(line) {
    this.log.push(line);
    if (this.log.length > KEPT) this.log.shift();
  }
}
