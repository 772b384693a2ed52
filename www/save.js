// Saving through the file-system picker, without holding a file in memory. Loaded when something is saved so.

/** The bytes of a file as a stream: from storage if it is whole, else as they arrive. */
async function bytesOf(torrent, index, signal) {
  const file = torrent.describe(index);
  if (file.done) return (await torrent.file(index)).stream();
  const url = file.streamURL;
  if (!url) return file.stream();
  const response = await fetch(url, { signal });
  if (!response.ok) throw new Error(`the file cannot be read: ${response.status}`);
  return response.body;
}

/** Names that a file system picked by the user may refuse, made harmless. */
const harmless = (name) => name.replace(/[<>:"|?*\\/\p{Cc}]/gu, '_').replace(/[. ]+$/, '_');

async function write(torrent, index, handle, signal) {
  const file = await handle.createWritable();
  // Only a whole file replaces what was there.
  await (await bytesOf(torrent, index, signal)).pipeTo(file, { signal });
}

/** Writes file `index` where the user says. */
export async function saveFile(torrent, index, { signal } = {}) {
  const { name } = torrent.describe(index);
  await write(torrent, index, await showSaveFilePicker({ suggestedName: harmless(name) }), signal);
}

/** Writes files into a folder that the user picks, one after the other, in the torrent's own folders. */
export async function saveFolder(torrent, indices, { signal } = {}) {
  const root = await showDirectoryPicker({ mode: 'readwrite' });
  for (const index of indices) {
    const path = torrent.describe(index).path.map(harmless);
    const name = path.pop();
    let folder = root;
    for (const part of path) folder = await folder.getDirectoryHandle(part, { create: true });
    await write(torrent, index, await folder.getFileHandle(name, { create: true }), signal);
  }
}
