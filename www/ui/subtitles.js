// Subtitles that lie beside a film in its torrent: found by their names, fetched when chosen, shown by the browser.
import { clean } from './kit.js';

/** The subtitle files of a film: those beside it, or in a folder of subtitles beside it, whose names begin as its own; else all in that folder. */
export function subtitlesOf(files, film) {
  const folder = film.path.slice(0, -1).join('/');
  const stem = stemOf(film.path[film.path.length - 1]);
  const inside = ({ path }) => path.slice(0, -2).join('/') === folder && /^sub(s|titles)?$/i.test(path[path.length - 2]);
  const near = files.filter(file => !file.pad && /\.(srt|vtt)$/i.test(file.path[file.path.length - 1]) && (inside(file) || file.path.slice(0, -1).join('/') === folder));
  const named = near.filter(({ path }) => path[path.length - 1].toLowerCase().startsWith(stem));
  return named.length > 0 ? named : near.filter(inside);
}

const stemOf = name => name.replace(/\.[^.]*$/, '').toLowerCase();

/** What tells a subtitle file from the others: `English` of `film.English.srt`. */
export function labelOf(file, film) {
  const stem = stemOf(film.path[film.path.length - 1]);
  const name = file.path[file.path.length - 1].replace(/\.[^.]*$/, '');
  const rest = name.toLowerCase().startsWith(stem) ? name.slice(stem.length).replace(/^[ ._-]+/, '') : name;
  return clean(rest) || 'Subtitles';
}

/** SubRip's text as WebVTT. */
export function asWebVtt(text) {
  const plain = text.replace(/^\ufeff/, '').replace(/\r\n?/g, '\n');
  if (plain.startsWith('WEBVTT')) return plain;
  return `WEBVTT\n\n${plain.replace(/(\d\d:\d\d),(\d{3})/g, '$1.$2')}`;
}
