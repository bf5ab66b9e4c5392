// Compiled, never run: the types for every driver, as a module and as a CommonJS file.
import Better from 'better-sqlite3';
import { EventEmitter, once } from 'node:events';
import { DatabaseSync } from 'node:sqlite';
import sqlite3 from 'sqlite3';
import { Replica, getLoadablePath, load, sync } from 'crsql';
import type { Change, Database, Peer, Report, Watch } from 'crsql';

type Same<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
function same<A, B>(_: Same<A, B>): void {}

const better = new Replica(new Better('a.db'));
const node = new Replica(new DatabaseSync('a.db', { allowExtension: true }));
const later = new Replica(new sqlite3.Database('a.db'));
declare const any: Replica<Database>;
declare const peer: Peer;

for (const replica of [better, node]) {
  const vector: string = replica.vector();
  const changeset: Uint8Array | null = replica.pull(vector, 1000);
  if (changeset) replica.apply(changeset).tables satisfies string[];
  for (const { val } of replica.changes()) val satisfies Change['val'];
}
const report = better.apply(new Uint8Array(1));
same<typeof report, Report>(true);
const perhaps = better.apply(node.pull(report.vector, null));
same<typeof perhaps, Report | null>(true);
for (const { val } of node.changes(report.vector)) val satisfies Change['val'];
same<ReturnType<typeof node.watch>, Watch>(true);
same<ReturnType<typeof later.vector>, Promise<string>>(true);
const laterReport = later.apply(new Uint8Array(1));
same<typeof laterReport, Promise<Report>>(true);
same<ReturnType<typeof later.enable>, Promise<void>>(true);
same<ReturnType<typeof any.vector>, string | Promise<string>>(true);

const now = sync(better, node);
same<typeof now, void>(true);
const then = sync(better, later);
same<typeof then, Promise<void>>(true);
const either = sync(better, any);
same<typeof either, void | Promise<void>>(true);
const distant = sync(better, peer);
same<typeof distant, void | Promise<void>>(true);

const loaded = load(new sqlite3.Database('a.db'));
same<typeof loaded, Promise<void>>(true);
const loadedNow = load(new DatabaseSync('a.db'));
same<typeof loadedNow, void>(true);
getLoadablePath() satisfies string;

export async function use(): Promise<void> {
  for await (const change of later.changes(await later.vector())) await later.insert(change);
  for await (const change of better.changes(null)) better.insert(change);
  for await (const { tables } of better.watch({ interval: 50 })) tables satisfies string[];
  const watch = await later.watch();
  watch.on('change', ({ tables }) => tables satisfies string[]).on('error', (error) => error.stack);
  // It was said to be an EventEmitter, and had three of its methods only.
  watch satisfies EventEmitter;
  watch.removeListener('close', () => {}).removeAllListeners('change');
  watch.prependListener('change', ({ tables }) => tables satisfies string[]);
  watch.listenerCount('error') satisfies number;
  await once(watch, 'close');
  // @ts-expect-error: there is no such event
  watch.on('changes', () => {});
  // @ts-expect-error: it stops, and is not stopped by setting that
  watch.stopped = true;
  watch.stop();
  // @ts-expect-error: with sqlite3 there is nothing to iterate over at once
  for (const change of later.changes()) change satisfies Change;
  // @ts-expect-error: a changeset may be null, and then there is no report
  better.apply(better.pull()).tables;
  // @ts-expect-error: null is what pull() gives, undefined is a mistake
  better.apply(undefined);
  // @ts-expect-error: a promise is no changeset
  better.apply(later.pull());
  // @ts-expect-error: a promise is no vector
  better.pull(later.vector());
  // @ts-expect-error: a whole report is no vector
  better.pull(report);
  // @ts-expect-error: not a number of bytes
  better.pull(null, 5n);
  // @ts-expect-error: no connection
  new Replica({});
}
