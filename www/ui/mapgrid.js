// Geometry of the piece map: which cell shows which pieces, and what a cell looks like. Pure, so that it is tested
// without a browser. Cells run down the columns, so that x is the position in the torrent.
//
// Up to one piece per 26 px: one row of wide cells. Beyond: square cells, down to 3 px. Beyond that a cell stands for
// several pieces. O(1) from piece to cell and back; a cell's look is O(pieces in it).

const WIDEST = 26;
const SMALLEST = 3;
export const ONE_ROW_HEIGHT = 34;

/** What one cell shows. Order of the values is the order of drawing only by chance: nothing depends on it. */
export const MISSING = 0, ARRIVING = 1, VERIFIED = 2, NOBODY = 3, SKIPPED = 4, MIXED = 5;

/** Lays `pieces` out in `width` x `height` CSS pixels. */
export function layout(pieces, width, height) {
  if (pieces <= width / WIDEST) return grid(pieces, 1, Math.max(pieces, 1), width, ONE_ROW_HEIGHT);
  for (let size = WIDEST; size >= SMALLEST; size -= size > 8 ? 1 : 0.5) {
    const rows = Math.floor(height / size);
    if (rows * Math.floor(width / size) >= pieces) return grid(pieces, rows, Math.ceil(pieces / rows), width, height);
  }
  return grid(pieces, Math.floor(height / SMALLEST), Math.floor(width / SMALLEST), width, height);
}

function grid(pieces, rows, columns, width, height) {
  const cells = Math.min(pieces, rows * columns);
  return { pieces, rows, columns, width, height, cells, perCell: pieces / Math.max(cells, 1), gap: Math.min(width / columns, height / rows) >= 5.5 ? 1 : 0 };
}

/** First piece of a cell; that of the cell after the last is the number of pieces. */
export function firstPiece(grid, cell) {
  return Math.floor(cell * grid.perCell + 1e-9);
}

/** The cell that shows a piece. */
export function cellOf(grid, piece) {
  let cell = Math.min(grid.cells - 1, Math.floor(piece / grid.perCell));
  while (cell + 1 < grid.cells && firstPiece(grid, cell + 1) <= piece) cell++;
  while (cell > 0 && firstPiece(grid, cell) > piece) cell--;
  return cell;
}

/** Where a cell is, in CSS pixels; edges are rounded to device pixels so that neighbours share them exactly. */
export function rectOf(grid, cell, density = 1) {
  const column = Math.floor(cell / grid.rows), row = cell % grid.rows;
  const snap = value => Math.round(value * density) / density;
  const x = snap(column * grid.width / grid.columns), y = snap(row * grid.height / grid.rows);
  return { x, y, width: snap((column + 1) * grid.width / grid.columns) - x, height: snap((row + 1) * grid.height / grid.rows) - y };
}

/** The cell under a point, or -1. */
export function cellAt(grid, x, y) {
  if (x < 0 || y < 0 || x >= grid.width || y >= grid.height) return -1;
  const cell = Math.floor(x * grid.columns / grid.width) * grid.rows + Math.floor(y * grid.rows / grid.height);
  return cell < grid.cells ? cell : -1;
}

/**
 * Look of a cell in the view `progress`, packed: kind, and for ARRIVING the eighths filled, for MIXED one of three
 * depths between missing and verified. `data` = {map, counts, skip, connected}: arrays per piece, and whether any
 * peer is connected (without one, "nobody has it" would say nothing new).
 */
export function progressLook(grid, cell, data) {
  const from = firstPiece(grid, cell), to = firstPiece(grid, cell + 1);
  let verified = 0, skipped = 0, arriving = 0, nobody = 0;
  for (let piece = from; piece < to; piece++) {
    const state = data.map[piece];
    if (state === 255) verified++;
    else if (data.skip?.[piece]) skipped++;
    else if (state > 0) arriving = Math.max(arriving, state);
    else if (data.connected && data.counts[piece] === 0) nobody++;
  }
  const all = to - from;
  if (verified === all) return pack(VERIFIED);
  if (skipped === all) return pack(SKIPPED);
  if (verified > 0) return pack(MIXED, Math.min(3, 1 + Math.floor(verified / all * 3)));
  if (arriving > 0) return pack(ARRIVING, all === 1 ? Math.ceil(arriving / 254 * 8) : 0);
  return pack(nobody > 0 ? NOBODY : MISSING);
}

/** Look in the view `availability`: the least number of peers that have one of the cell's pieces, at most 10. */
export function availabilityLook(grid, cell, data) {
  const from = firstPiece(grid, cell), to = firstPiece(grid, cell + 1);
  let least = 10, skipped = 0;
  for (let piece = from; piece < to; piece++) {
    if (data.skip?.[piece] && data.map[piece] !== 255) skipped++;
    else least = Math.min(least, data.counts[piece]);
  }
  return skipped === to - from ? pack(SKIPPED) : pack(VERIFIED, least);
}

/** Look in the view `source`: where most of the cell's verified pieces came from (1 tabs … 4 server), 5 = here before. */
export function sourceLook(grid, cell, data) {
  const from = firstPiece(grid, cell), to = firstPiece(grid, cell + 1);
  const by = [0, 0, 0, 0, 0];
  let verified = 0;
  for (let piece = from; piece < to; piece++) {
    if (data.map[piece] !== 255) continue;
    verified++;
    by[data.source[piece] % 5]++;
  }
  if (verified * 2 < to - from || verified === 0) {
    const look = progressLook(grid, cell, data);
    return kindOf(look) === MIXED ? pack(MISSING) : look;
  }
  const most = by.indexOf(Math.max(...by));
  return pack(VERIFIED, most || 5);
}

const pack = (kind, detail = 0) => kind | detail << 4;
export const kindOf = look => look & 15;
export const detailOf = look => look >> 4;

/** Marks each piece that only files nobody wants touch. Null when all are wanted. */
export function skippedPieces(files, pieces) {
  if (!files.some(file => file.priority === 'skip')) return null;
  const skip = new Uint8Array(pieces).fill(1);
  for (const file of files) {
    if (file.length > 0 && !file.pad && file.priority !== 'skip') skip.fill(0, file.firstPiece, file.lastPiece + 1);
  }
  return skip;
}

/**
 * Segments of the ruler above the map: one a file, over 40 files one a folder, and where those are too many, runs of
 * folders. `[{from, to, label, loose}]` in shares of the torrent; a loose label may reach into the segments after it.
 */
export function rulerSegments(files, length, most = 40) {
  const root = commonRoot(files);
  let segments = runs(files, file => file.path.slice(root).join('/'));
  for (const depth of [99, 1]) {
    if (segments.length > most) segments = runs(files, file => file.path.slice(root, Math.max(root, Math.min(file.path.length - 1, root + depth))).join('/'));
  }
  const merged = segments.length > most;
  if (merged) segments = merge(segments, length, most);
  return segments.map(({ from, to, label }) => ({ from: from / length, to: to / length, label, loose: merged }));
}

/** 1 if every file is in one folder (its name is the torrent's), else 0. */
export function commonRoot(files) {
  const name = files[0]?.path[0];
  return files.every(file => file.path.length > 1 && file.path[0] === name) ? 1 : 0;
}

function runs(files, nameOf) {
  const out = [];
  let at = 0;
  for (const file of files) {
    const to = at + file.length;
    const last = out[out.length - 1];
    const label = file.pad ? last?.label ?? '' : nameOf(file);
    if (last && last.label === label) last.to = to;
    else if (to > at) out.push({ from: at, to, label });
    at = to;
  }
  return out;
}

function merge(segments, length, most) {
  const out = [];
  for (const segment of segments) {
    const last = out[out.length - 1];
    if (last && segment.from < (out.length * length) / most) last.to = segment.to;
    else out.push({ ...segment });
  }
  return out;
}
