// Peer connections. Browsers offer RTCPeerConnection to pages only, so the engine's worker asks for each step of a
// negotiation and gets the data channel transferred as soon as there is one; from then on the page has no part in it.
// Where channels cannot be transferred their messages are forwarded. Which offers are made, and for whom, the worker decides.

/** How long candidates are gathered, in ms: an offer with those found so far beats a complete one that comes too late. */
const GATHER_MS = 1500;
/** How long a forwarded channel waits before it tells how much it still buffers, in ms. */
const REPORT_MS = 5;

/** Whether this browser can hand a data channel to a worker. */
function canTransfer() {
  const connection = new RTCPeerConnection();
  try {
    const channel = connection.createDataChannel('probe');
    structuredClone(channel, { transfer: [channel] });
    return true;
  } catch {
    return false;
  } finally {
    connection.close();
  }
}

/** Waits until all candidates are gathered, or for as long as is worth it. */
function gathered(connection) {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer);
      connection.removeEventListener('icegatheringstatechange', check);
      resolve();
    };
    const check = () => connection.iceGatheringState === 'complete' && done();
    const timer = setTimeout(done, GATHER_MS);
    connection.addEventListener('icegatheringstatechange', check);
    check();
  });
}

/** The page's half of all negotiations of one worker. */
export class Negotiator {
  #worker;
  #iceServers;
  #connections = new Map();
  #transfers = null;

  /** `worker` is told by `{rtc: …}` messages; `iceServers` as RTCPeerConnection takes them. */
  constructor(worker, iceServers) {
    this.#worker = worker;
    this.#iceServers = iceServers;
  }

  /** Does one step that the worker asks for. */
  async handle({ rtc, offer, sdp, data }) {
    const entry = this.#connections.get(offer);
    try {
      if (rtc === 'offer') await this.#offer(offer);
      else if (rtc === 'answer') await this.#answer(offer, sdp);
      else if (rtc === 'accept') await entry?.connection.setRemoteDescription({ type: 'answer', sdp });
      else if (rtc === 'send') entry?.channel?.send(data);
      else if (rtc === 'close') this.#close(offer);
    } catch (error) {
      if (this.#close(offer) || !entry) this.#tell({ rtc: 'failed', offer, message: String(error?.message ?? error) });
    }
  }

  #tell(message, transfer = []) {
    this.#worker.postMessage(message, transfer);
  }

  #connect(offer) {
    this.#transfers ??= canTransfer();
    const connection = new RTCPeerConnection({ iceServers: this.#iceServers });
    this.#connections.set(offer, { connection, channel: null });
    connection.addEventListener('connectionstatechange', () => {
      if (connection.connectionState === 'failed' && this.#close(offer)) this.#tell({ rtc: 'failed', offer });
    });
    return connection;
  }

  async #offer(offer) {
    const connection = this.#connect(offer);
    this.#hand(offer, connection.createDataChannel('webtorrent', { ordered: true }));
    await connection.setLocalDescription();
    await this.#described(offer, connection);
  }

  async #answer(offer, sdp) {
    const connection = this.#connect(offer);
    connection.ondatachannel = ({ channel }) => this.#hand(offer, channel);
    await connection.setRemoteDescription({ type: 'offer', sdp });
    await connection.setLocalDescription();
    await this.#described(offer, connection);
  }

  async #described(offer, connection) {
    await gathered(connection);
    if (!this.#connections.has(offer)) return;
    this.#tell({ rtc: 'described', offer, sdp: connection.localDescription.sdp });
  }

  /** Hands a channel to the worker: itself where that works, else its messages. */
  #hand(offer, channel) {
    if (this.#transfers) this.#tell({ rtc: 'channel', offer, channel }, [channel]);
    else this.#forward(offer, channel);
  }

  #forward(offer, channel) {
    const entry = this.#connections.get(offer);
    channel.binaryType = 'arraybuffer';
    let reporting = null;
    let taken = 0;
    const report = () => {
      reporting = null;
      this.#tell({ rtc: 'buffered', offer, taken, amount: channel.bufferedAmount });
      if (channel.bufferedAmount > 0) reporting = setTimeout(report, REPORT_MS);
    };
    entry.channel = {
      send(data) {
        channel.send(data);
        taken += data.byteLength;
        reporting ??= setTimeout(report, 0);
      },
    };
    const open = () => this.#tell({ rtc: 'forward', offer, open: true });
    channel.onopen = open;
    channel.onmessage = ({ data }) => this.#tell({ rtc: 'message', offer, data }, data instanceof ArrayBuffer ? [data] : []);
    channel.onclose = () => this.#tell({ rtc: 'gone', offer });
    this.#tell({ rtc: 'forward', offer, open: false });
    if (channel.readyState === 'open') open();
  }

  /** Closes a connection; false if it is closed already. */
  #close(offer) {
    const entry = this.#connections.get(offer);
    if (!entry) return false;
    this.#connections.delete(offer);
    entry.connection.close();
    return true;
  }
}
