// What the browser's transports reach by themselves, with nothing of ours on top: the measure for the rest.

import { browser } from '../browser/lib/browser.mjs';
import { atEnd } from '../browser/lib/end.mjs';
import { serve } from '../browser/lib/serve.mjs';
import { browserPid, cost } from './cost.mjs';

const MESSAGE = 64 * 1024;

/** An empty page at an origin of its own. */
function blank(t) {
  return serve(t, async () => ({ type: 'text/html', body: '<!doctype html>' }));
}

/** Page to page over one ordered data channel, 64 KiB messages, between two browsers. */
export async function dataChannel(t, length) {
  const { origin: url } = await blank(t);
  const [one, other] = [await browser(t), await browser(t)];
  const [sender, receiver] = [await one.context.newPage(), await other.context.newPage()];
  await Promise.all([sender.goto(url), receiver.goto(url)]);
  const offer = await sender.evaluate(async () => {
    window.connection = new RTCPeerConnection();
    window.channel = window.connection.createDataChannel('bench');
    await window.connection.setLocalDescription();
    await new Promise((resolve) => { window.connection.onicegatheringstatechange = () => window.connection.iceGatheringState === 'complete' && resolve(); });
    return window.connection.localDescription.toJSON();
  });
  const answer = await receiver.evaluate(async ([description, total]) => {
    window.connection = new RTCPeerConnection();
    window.received = new Promise((resolve) => {
      window.connection.ondatachannel = ({ channel }) => {
        let bytes = 0;
        channel.binaryType = 'arraybuffer';
        channel.onmessage = ({ data }) => {
          bytes += data.byteLength;
          if (bytes >= total) resolve(bytes);
        };
      };
    });
    await window.connection.setRemoteDescription(description);
    await window.connection.setLocalDescription();
    await new Promise((resolve) => { window.connection.onicegatheringstatechange = () => window.connection.iceGatheringState === 'complete' && resolve(); });
    return window.connection.localDescription.toJSON();
  }, [offer, length]);
  const opened = sender.evaluate(async (description) => {
    const open = new Promise((resolve) => { window.channel.onopen = resolve; });
    await window.connection.setRemoteDescription(description);
    await open;
  }, answer);
  await opened;
  return cost([one, other].map(({ profile }) => browserPid(profile)), async () => {
    const start = performance.now();
    await Promise.all([send(sender, length), receiver.evaluate(() => window.received)]);
    return { ms: performance.now() - start };
  });
}

function send(page, length) {
  return page.evaluate(async ([total, size]) => {
    const { channel } = window;
    const message = new Uint8Array(size);
    channel.bufferedAmountLowThreshold = 8 * size;
    for (let sent = 0; sent < total; sent += size) {
      if (channel.bufferedAmount > 16 * size) {
        await new Promise((resolve) => { channel.onbufferedamountlow = resolve; });
      }
      channel.send(message);
    }
  }, [length, MESSAGE]);
}

/** Into a worker over a WebSocket, 64 KiB messages. */
export async function webSocket(t, length) {
  const { WebSocketServer } = await import('../browser/node_modules/ws/wrapper.mjs');
  const { server, origin: url } = await blank(t);
  const sockets = new WebSocketServer({ server, perMessageDeflate: false });
  atEnd(t, () => sockets.clients.forEach((client) => client.terminate()));
  sockets.on('connection', (socket) => {
    const message = Buffer.alloc(MESSAGE);
    let left = length;
    const next = () => {
      while (left > 0 && socket.bufferedAmount < 4 * 1024 * 1024) {
        socket.send(message);
        left -= MESSAGE;
      }
      if (left > 0) setImmediate(next);
    };
    socket.once('message', next);
  });
  const chromium = await browser(t);
  const page = await chromium.context.newPage();
  await page.goto(url);
  return cost([browserPid(chromium.profile)], () => page.evaluate(async ([address, total]) => {
    const source = `onmessage = ({ data: [address, total] }) => {
      const socket = new WebSocket(address);
      socket.binaryType = 'arraybuffer';
      let bytes = 0, start;
      socket.onopen = () => { start = performance.now(); socket.send('go'); };
      socket.onmessage = ({ data }) => {
        bytes += data.byteLength;
        if (bytes >= total) postMessage({ ms: performance.now() - start });
      };
    };`;
    const worker = new Worker(URL.createObjectURL(new Blob([source], { type: 'text/javascript' })));
    worker.postMessage([address, total]);
    return new Promise((resolve) => { worker.onmessage = ({ data }) => resolve(data); });
  }, [url.replace('http', 'ws'), length]));
}
