// Files as a tree of folders, flattened to the rows that are open. Pure; O(files) to build, O(rows) to flatten.

/** Builds folders in order of first appearance. Pads are left out. */
export function buildTree(files) {
  const root = { key: '', name: '', children: [], folders: new Map(), files: [] };
  for (const file of files) {
    if (file.pad) continue;
    let folder = root;
    folder.files.push(file.index);
    for (const name of file.path.slice(0, -1)) {
      let next = folder.folders.get(name);
      if (!next) {
        next = { key: `${folder.key}/${name}`, name, children: [], folders: new Map(), files: [] };
        folder.folders.set(name, next);
        folder.children.push(next);
      }
      folder = next;
      folder.files.push(file.index);
    }
    folder.children.push({ key: `#${file.index}`, name: file.path[file.path.length - 1], file: file.index });
  }
  return root;
}

/** The rows shown: `[{node, level, position, siblings, parent}]`; `closed` holds the keys of closed folders. */
export function flatten(root, closed) {
  const rows = [];
  const walk = (folder, level, parent) => {
    folder.children.forEach((node, index) => {
      const at = rows.length;
      rows.push({ node, level, position: index + 1, siblings: folder.children.length, parent });
      if (node.children && !closed.has(node.key)) walk(node, level + 1, at);
    });
  };
  walk(root, 1, -1);
  return rows;
}

/** Rows of the files whose path has all words of `query`, without folders; the name is the whole path. */
export function search(files, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const found = files.filter(file => !file.pad && words.every(word => file.path.join('/').toLowerCase().includes(word)));
  return found.map((file, index) => ({ node: { key: `#${file.index}`, name: file.path.join('/'), file: file.index }, level: 1, position: index + 1, siblings: found.length, parent: -1 }));
}

/** 'all', 'some' or 'none' of a folder's files are selected. */
export function selection(folder, files) {
  let selected = 0;
  for (const index of folder.files) if (files[index].priority !== 'skip') selected++;
  return selected === 0 ? 'none' : selected === folder.files.length ? 'all' : 'some';
}

const PLAYABLE = /\.(mp4|m4v|mov|webm|mkv|ogv|mp3|m4a|aac|ogg|oga|opus|wav|flac)$/i;

/** Whether a browser is likely to play a file of this name. */
export const playable = name => PLAYABLE.test(name);

/** Whether a browser shows a file of this name by itself. */
export const viewable = name => /\.(jpe?g|png|gif|webp|avif|txt)$/i.test(name);
