import type { EventEmitter } from 'node:events';

/** The library's file: what CRSQL_LIBRARY names, or what the package for this platform holds. */
export function getLoadablePath(): string;

/** A connection of better-sqlite3, node:sqlite (Node and Deno) or bun:sqlite. */
export interface SyncDatabase {
  prepare(sql: string, ...rest: any[]): any;
  close(...args: any[]): any;
}

/** A connection of the package sqlite3, whose results come later. */
export interface AsyncDatabase {
  prepare(sql: string, ...rest: any[]): any;
  each(sql: string, ...rest: any[]): any;
  parallelize(callback?: () => void): void;
}

export type Database = SyncDatabase | AsyncDatabase;

/** The value itself, or with the package sqlite3 a promise of it. */
export type Answer<D, T> = D extends AsyncDatabase ? Promise<T> : T;

/** Loads crsql into a connection, and leaves extension loading off. */
export function load<D extends Database>(db: D): Answer<D, void>;

/** What became of a changeset. */
export interface Report {
  applied: number;
  superseded: number;
  held: number;
  tables: string[];
  cut: Array<{ site: string; reason: string }>;
  new: boolean;
  vector: { v: number; [key: string]: unknown };
}

/** What was seen, as vector() gives it, or as a report has it; null is nothing. */
export type Since = string | Report['vector'] | null;

/** NULL, an integer, a real, a text or a blob. */
export type Value = null | bigint | number | string | Uint8Array;

/** A row of crsql_changes. An integer in `val` is a bigint, a real is a number. */
export interface Change {
  table: string;
  pk: Uint8Array;
  cid: string;
  val: Value;
  col_version: number;
  db_version: number;
  site_id: Uint8Array;
  cl: number;
  seq: number;
}

export type Changes<D> = D extends AsyncDatabase
  ? AsyncGenerator<Change, void, undefined>
  : Generator<Change, void, undefined> & AsyncIterable<Change>;

export interface WatchOptions {
  /** Milliseconds between two looks, above 0 and below 2^31; 100 unless given. */
  interval?: number;
}

export interface WatchEvents {
  change: [event: { tables: string[] }];
  error: [error: Error];
  close: [];
}

/** Tells which tables were changed. A node:events EventEmitter, and an async iterable. */
export interface Watch extends EventEmitter<WatchEvents>, AsyncIterable<{ tables: string[] }> {
  readonly stopped: boolean;
  stop(): void;
}

/** The functions of crsql over an open connection, into which it is loaded where it is not yet. */
export class Replica<D extends Database = Database> {
  constructor(db: D);
  /** Makes a table replicated. */
  enable(table: string): Answer<D, void>;
  /** What this file has seen, as JSON text. */
  vector(): Answer<D, string>;
  /** A changeset of what a vector has not seen, or null when that is nothing. */
  pull(since?: Since, maxBytes?: number | null): Answer<D, Uint8Array | null>;
  /** Merges a changeset; null, which pull() gives when there is nothing, gives null. */
  apply(changeset: Uint8Array): Answer<D, Report>;
  apply(changeset: Uint8Array | null): Answer<D, Report | null>;
  /** What a vector has not seen, or all, change by change. */
  changes(since?: Since): Changes<D>;
  /** Merges one change just as changes() gave it. */
  insert(change: Change): Answer<D, void>;
  /** Tells which tables are written to from now on, by whomever. */
  watch(options?: WatchOptions): Answer<D, Watch>;
}

/** What sync() needs of a side: a Replica, or anything that speaks for a distant one. */
export interface Peer {
  vector(): string | Promise<string>;
  pull(
    since: string,
    maxBytes: number,
  ): Uint8Array | null | Promise<Uint8Array | null>;
  apply(changeset: Uint8Array): { new: boolean } | Promise<{ new: boolean }>;
}

type Returned<P extends Peer> = ReturnType<P['vector' | 'pull' | 'apply']>;
type Later<P extends Peer> = [Exclude<ReturnType<P['vector']>, Promise<unknown>>] extends [never]
  ? Promise<void>
  : void | Promise<void>;

/** Nothing, or a promise of it where a side gives promises. */
export type Synced<A extends Peer, B extends Peer> =
  [Extract<Returned<A> | Returned<B>, Promise<unknown>>] extends [never] ? void
  : Later<A> extends Promise<void> ? Promise<void>
  : Later<B>;

/**
 * Brings two replicas together, both ways. Does nothing but throw while a transaction is open on
 * the connection of either.
 */
export function sync<A extends Peer, B extends Peer>(a: A, b: B): Synced<A, B>;
