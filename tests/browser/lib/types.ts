// What pages of one's own do with the package, as TypeScript sees it: `tsc` is the test.

import { Client, TomboloError, type Torrent } from 'tombolo';

const client: Client = new Client({ relay: null, trackers: ['wss://tracker.example'], serviceWorker: null });
client.addEventListener('notice', ({ error }) => console.warn(error.code));

export async function download(magnet: string, signal: AbortSignal): Promise<Torrent> {
  const torrent = await client.add(magnet, { signal });
  torrent.addEventListener('download', ({ bytes }) => bytes.toFixed());
  torrent.addEventListener('peer', ({ peer }) => peer.client.length);
  await torrent.limit({ down: 1e6 });
  await torrent.metadata();
  for (const file of torrent.files) await (file.length > 1e9 ? file.deselect() : file.select('high'));
  const first = torrent.files[0];
  if (first) {
    await first.setDeadline(0, { rate: 2e6 });
    const video: HTMLVideoElement = first.streamTo(document.createElement('video'));
    for await (const chunk of first.stream({ start: 10 })) console.log(video.src, chunk.byteLength);
    const whole: File = await first.blob();
    console.log(whole.name);
  }
  const { phase } = await torrent.next('phase');
  // @ts-expect-error There is no such phase.
  console.log(phase === 'stalled', torrent.snapshot.map.length);
  return torrent;
}

export const isRefused = (error: unknown): boolean => error instanceof TomboloError && error.code === 'bad-magnet';
