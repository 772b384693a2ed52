// Saving through the file-system picker, without holding a file in memory. Loaded when something is saved so.

/** Names that a file system picked by the user may refuse, made harmless. */
const harmless = (name) => name.replace(/[<>:"|?*\\/\p{Cc}]/gu, '_').replace(/[. ]+$/, '_');

async function write(torrent, index, handle, signal) {
  const file = torrent.describe(index);
  // From storage if it is whole, else as it arrives.
  const bytes = file.done ? (await torrent.file(index)).stream() : file.stream();
  // Only a whole file replaces what was there.
  await bytes.pipeTo(await handle.createWritable(), { signal });
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
