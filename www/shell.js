// The page's own service worker: that of the client (sw.js), and the shell, which is what the page itself is made of, kept so that it opens
// without a network. With one, every file comes fresh from there; a relay that is newer is a newer page at once.

importScripts('sw.js');

// A block of its own: scripts of this kind share their names.
{
  const CACHE = 'tombolo-shell';
  const { scope } = self.registration;
  /** What a page, style sheet or script names of the shell. */
  const PART = /["'(]((?:[\w.-]+\/)*[\w-]+\.(?:js|css|wasm|svg|png|webmanifest))["')]/g;

  /** Follows what is named from the page on, and keeps all of it or, if the network fails meanwhile, what was kept before. */
  const keep = async () => {
    const urls = new Set([scope]), found = new Map();
    for (const url of urls) {
      const answer = await fetch(url, { cache: 'no-cache' });
      if (!answer.ok) continue;
      found.set(url, answer.clone());
      if (/\.(wasm|png)$/.test(url)) continue;
      for (const [, part] of (await answer.text()).matchAll(PART)) urls.add(new URL(part, url).href);
    }
    const old = await caches.keys();
    const cache = await caches.open(`${CACHE} ${Date.now()}`);
    for (const [url, answer] of found) await cache.put(url, answer);
    // All of the new before none of the old: a shell is never of two versions.
    for (const name of old) if (name.startsWith(CACHE)) await caches.delete(name);
  };

  const kept = (url) => caches.match(url, { ignoreVary: true });

  self.addEventListener('message', (event) => {
    if (event.data === 'shell') event.waitUntil(keep().catch(() => {}));
  });

  self.addEventListener('fetch', (event) => {
    const { method, mode, url } = event.request;
    const plain = url.replace(/[?#].*/s, ''), path = plain.slice(scope.length);
    const ours = mode === 'navigate' ? /^(index\.html)?$/.test(path) : /\.(js|css|wasm|svg|png|webmanifest)$/.test(path);
    if (method !== 'GET' || !plain.startsWith(scope) || !ours || path.startsWith('stream/')) return;
    const name = mode === 'navigate' ? scope : plain;
    event.respondWith(fetch(event.request).catch(async (error) => (await kept(name)) ?? Promise.reject(error)));
  });
}
