// Films to play, and what a player saw of them.

import { execFileSync } from 'node:child_process';
import { existsSync, renameSync } from 'node:fs';
import { join } from 'node:path';
import { cache } from './place.mjs';

export const SECONDS = 40;
/** Bytes a second of the film: 40 Mbit/s, most of it filling that a decoder skips, so that it is quickly made and easily played. */
export const BITRATE = 5_000_000;

/** A film of 200 MB (or as long and as dense as is said) with its index (moov) at the `front` or the `back`; made once, then kept. */
export function film(index, { seconds = SECONDS, bitrate = BITRATE } = {}) {
  const name = bitrate === BITRATE ? 'film' : `film-${bitrate}-${seconds}`;
  const path = join(cache(), `${name}-${index}.mp4`);
  if (existsSync(path)) return path;
  const rate = `${bitrate * 8}`;
  const picture = ['-f', 'lavfi', '-i', 'testsrc2=size=640x360:rate=25', '-t', `${seconds}`, '-pix_fmt', 'yuv420p'];
  const coding = ['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '50', '-b:v', rate, '-minrate', rate, '-maxrate', rate, '-bufsize', rate];
  const filling = ['-x264-params', 'nal-hrd=cbr:force-cfr=1:filler=1'];
  const place = index === 'front' ? ['-movflags', '+faststart'] : [];
  const beside = join(cache(), `${name}-${index}.new.mp4`);
  execFileSync('ffmpeg', ['-loglevel', 'error', '-y', ...picture, ...coding, ...filling, ...place, beside], { stdio: 'pipe' });
  renameSync(beside, path);
  return path;
}

/** Has a page note what its player goes through: `window.seen` is a list of `[kind, time in the film, bytes received]`. */
export function watch(page) {
  return page.addInitScript(() => {
    const kinds = ['playing', 'waiting', 'seeking', 'seeked', 'ended', 'error'];
    document.addEventListener('DOMContentLoaded', () => {
      const player = document.querySelector('video#player');
      window.seen = [];
      const note = (kind) => window.seen.push([kind, player.currentTime, window.tombolo.probe()?.received ?? 0]);
      for (const kind of kinds) player.addEventListener(kind, () => note(kind));
      const frame = () => { note('frame'); player.requestVideoFrameCallback(frame); };
      player.requestVideoFrameCallback(frame);
    });
  });
}
