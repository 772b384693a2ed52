// What the user lets all tabs of this origin send and receive in a calendar month. Loaded where a limit is set.

const USED = 'tombolo.used';
/** Bytes that were counted already, by torrent. */
const counted = new Map();

const month = () => new Date().toISOString().slice(0, 7);

function used() {
  try {
    const { month: of, bytes } = JSON.parse(localStorage.getItem(USED));
    return of === month() ? bytes : 0;
  } catch {
    return 0;
  }
}

/** Counts what these torrents, `[id, probe]`, moved since the last time; at the limit everything is paused, also what is added later. */
export function count(client, probes) {
  let bytes = used();
  for (const [id, probe] of probes) {
    const moved = (probe?.received ?? 0) + (probe?.uploaded ?? 0);
    bytes += moved - (counted.get(id) ?? 0);
    counted.set(id, moved);
  }
  localStorage.setItem(USED, JSON.stringify({ month: month(), bytes }));
  client.capped = bytes >= client.settings.cap;
  if (client.capped) for (const torrent of client.torrents) if (torrent.snapshot.phase !== 'paused') torrent.pause();
}
