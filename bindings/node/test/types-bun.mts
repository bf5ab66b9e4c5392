// Compiled, never run: the types for Bun's driver.
import { Database } from 'bun:sqlite';
import { Replica, load, sync } from 'crsql';

const db = new Database('a.db');
const replica = new Replica(db);
load(db) satisfies void;
replica.vector() satisfies string;
sync(replica, replica) satisfies void;
for (const { val } of replica.changes()) val satisfies bigint | number | string | null | Uint8Array;
// @ts-expect-error: Bun's driver gives values, not promises
replica.vector().then(() => {});
