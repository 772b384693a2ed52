// What the page's address asks for. Parameters are consent: whatever is named here starts at once, without a dialog.

const OURS = ['t', 'magnet', 'play', 'tracker', 'relay', 'ice', 'peer', 'seed', 'piece', 'name'];

/** Whether a host name is this machine's own. */
export function isLoopback(host) {
  return host === 'localhost' || host.endsWith('.localhost') || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** Takes our own parameters out of the tail of a magnet link: `#magnet:?xt=…&play=0` is one text. */
function splitMagnet(text, query) {
  const [scheme, tail = ''] = text.split(/\?(.*)/s);
  const kept = tail.split('&').filter((pair) => {
    const key = pair.split('=', 1)[0];
    if (!OURS.includes(key)) return true;
    query.append(key, new URLSearchParams(pair).get(key));
    return false;
  });
  return `${scheme}?${kept.join('&')}`;
}

/** The magnet link in the address: in the fragment, or as a parameter, where its own `&tr=` may have come unescaped. */
function magnetOf(location, query) {
  let fragment = location.hash.slice(1);
  if (/^magnet%3a/i.test(fragment)) fragment = decodeURIComponent(fragment);
  if (/^magnet:/i.test(fragment)) return splitMagnet(fragment, query);
  const named = query.get('magnet');
  if (named === null) return null;
  const strays = [...query].filter(([key]) => !OURS.includes(key));
  return named + strays.map(([key, value]) => `&${key}=${encodeURIComponent(value)}`).join('');
}

/** Address parameters → `{add, seed, play, trackers, relay, ice, peers}`; what is not named is null or empty. */
export function readParameters(location) {
  const query = new URLSearchParams(location.search);
  const magnet = magnetOf(location, query);
  const number = (key) => (/^\d+$/.test(query.get(key) ?? '') ? Number(query.get(key)) : null);
  const torrent = query.get('t');
  const seed = query.get('seed');
  return {
    add: magnet ?? (torrent === null ? null : new URL(torrent, location.href).href),
    seed: seed === null ? null : { url: new URL(seed, location.href).href, piece: number('piece'), name: query.get('name') },
    play: number('play'),
    trackers: query.getAll('tracker'),
    relay: query.get('relay'),
    ice: query.get('ice'),
    peers: query.getAll('peer'),
  };
}
