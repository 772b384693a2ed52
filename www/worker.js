// The engine's worker: loads the wasm engine and passes messages between it and the page. What they mean, the engine knows.

import init, * as engine from './pkg/tombolo_web.js';
import * as platform from './platform.js';
import { Tabs } from './tabs.js';

/** Under way before the page has said a word. */
const wasm = fetch(new URL('./pkg/tombolo_web_bg.wasm', import.meta.url));
wasm.catch(() => {});

const tabs = new Tabs((message, transfer = []) => postMessage(message, transfer), (...given) => engine.command(...given));

/** What the engine calls to speak to the page. */
const host = {
  ...platform,
  claimFolder: (infoHash, torrent) => tabs.claim(infoHash, torrent),
  report: (kind, text) => tabs.report(kind, text),
  snapshot: (snapshot, changes) => tabs.snapshot(snapshot, changes),
  negotiate: (rtc, offer, sdp) => postMessage({ rtc, offer, sdp }),
};

/** Channels whose messages the page forwards, by offer: each looks to the engine like the channel itself. */
const forwarded = new Map();

class ForwardedChannel {
  #sent = 0;
  readyState = 'connecting';
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;

  constructor(offer) {
    this.offer = offer;
  }

  send(data) {
    const copy = data.slice().buffer;
    this.#sent += copy.byteLength;
    this.bufferedAmount += copy.byteLength;
    postMessage({ rtc: 'send', offer: this.offer, data: copy }, [copy]);
  }

  close() {
    this.readyState = 'closed';
    forwarded.delete(this.offer);
  }

  /** The page has taken so many bytes until now, and its channel still buffers this amount; the rest is on its way there. */
  buffered({ taken, amount }) {
    const before = this.bufferedAmount, low = this.bufferedAmountLowThreshold;
    this.bufferedAmount = this.#sent - taken + amount;
    if (before > low && this.bufferedAmount <= low) this.onbufferedamountlow?.();
  }
}

let running = false;
const early = [];

function forward(message) {
  const channel = forwarded.get(message.offer) ?? new ForwardedChannel(message.offer);
  if (message.rtc === 'forward' && !message.open) {
    forwarded.set(message.offer, channel);
    engine.channel(message.offer, channel);
  } else if (message.rtc === 'forward') {
    channel.readyState = 'open';
    channel.onopen?.();
  } else if (message.rtc === 'message') channel.onmessage?.(message);
  else if (message.rtc === 'buffered') channel.buffered(message);
  else if (message.rtc === 'gone') {
    channel.readyState = 'closed';
    channel.onclose?.();
  }
}

function receive(message) {
  if (message.rtc === 'channel') engine.channel(message.offer, message.channel);
  else if (message.rtc === 'described') engine.described(message.offer, message.sdp);
  else if (message.rtc === 'failed') engine.unconnected(message.offer);
  else if (message.rtc) forward(message);
  else if (message.command) tabs.forward(message) || command(message);
  else if (message.stream || message.zip) read(message);
  else if (message.visible !== undefined) engine.visible(message.visible);
}

/** The service worker wants to read of a torrent: the tab that leads it is to answer. */
async function read({ stream, zip }) {
  const { torrent, port } = stream ?? zip;
  if (tabs.follows(torrent)) port.postMessage({ found: null });
  else if (stream) engine.stream(stream);
  else (await import('./zip.js')).serve(zip, (request) => engine.stream(request));
}

function command({ command, id, ...args }) {
  try {
    engine.command(command, args, (value, error) => postMessage({ answer: id, value, error }));
  } catch (error) {
    postMessage({ answer: id, error: { code: 'engine', message: String(error?.message ?? error) } });
  }
}

onmessage = async ({ data }) => {
  if (!data.boot) return running ? receive(data) : early.push(data);
  try {
    await init(wasm);
    engine.start(data.boot, host, description => {
      postMessage({ booted: description });
      running = true;
      for (const message of early.splice(0)) receive(message);
    });
  } catch (error) {
    postMessage({ failed: `The engine could not be started: ${error?.message ?? error}` });
  }
};
