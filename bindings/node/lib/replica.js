'use strict';
// The functions of crsql as methods, over an open connection.

const { driverOf } = require('./drivers.js');
const given = require('./given.js');
const { load } = require('./load.js');
const { run } = require('./run.js');
const { IN_TRANSACTION } = require('./sync.js');
const { Watch } = require('./watch.js');

// Integers and texts come as no driver can spoil them: the usual number is not exact beyond 2^53,
// and a string is cut at a NUL by one driver and mended by all where it is not UTF-8.
const CHANGES = `SELECT "table", pk, cid, typeof(val) AS type,
  CASE typeof(val) WHEN 'integer' THEN CAST(val AS TEXT) WHEN 'text' THEN CAST(val AS BLOB)
    ELSE val END AS val,
  col_version, db_version, site_id, cl, seq FROM crsql_changes`;

class Replica {
  #db;
  #driver;
  #ready;

  constructor(db) {
    this.#db = db;
    this.#driver = driverOf(db);
    this.#load();
  }

  enable(table) {
    return this.#ask(() => ['SELECT crsql_as_crr(?) AS answer', given.table(table)], () => {});
  }

  vector() {
    return this.#ask(() => ['SELECT crsql_vector() AS answer'], (text) => text);
  }

  pull(since, maxBytes) {
    const question = () => {
      const params = [given.vector('pull', since)];
      const limit = given.maxBytes(maxBytes);
      if (limit === null) return ['SELECT crsql_changeset(?) AS answer', ...params];
      return ['SELECT crsql_changeset(?, ?) AS answer', ...params, limit];
    };
    return this.#ask(question, (blob) => blob);
  }

  apply(changeset) {
    const question = () => ['SELECT crsql_apply(?) AS answer', given.changeset(changeset)];
    return this.#ask(question, JSON.parse);
  }

  changes(since) {
    if (this.#driver.later) return this.#read(since);
    const changes = mapped(this.#rows(since), change);
    changes[Symbol.asyncIterator] = async function* () {
      for (const one of changes) yield one;
    };
    return changes;
  }

  insert(one) {
    return run(this.#insert(one));
  }

  watch({ interval = 100 } = {}) {
    return run(this.#watch(interval));
  }

  // For sync().
  [IN_TRANSACTION]() {
    return this.#driver.inTransaction(this.#db);
  }

  // True, or a promise of it: with a driver that answers later, who calls a method hears there what
  // failed, and the next call tries again.
  #load() {
    if (!this.#ready) {
      this.#ready = run(this.#loaded());
      this.#ready.catch?.(() => (this.#ready = undefined));
    }
    return this.#ready;
  }

  *#loaded() {
    try {
      yield this.#driver.get(this.#db, 'SELECT crsql_version()', []);
    } catch (error) {
      if (!error.message.includes('no such function: crsql_version')) throw error;
      yield load(this.#db);
    }
    return true;
  }

  // What a method was given is looked at last, as with a driver that answers later the promise is
  // to tell of it.
  #ask(question, read) {
    return run(this.#first(question, read));
  }

  *#first(question, read) {
    yield this.#load();
    const [sql, ...params] = question();
    return read((yield this.#driver.get(this.#db, sql, params)).answer);
  }

  *#insert(one) {
    yield this.#load();
    const { table, pk, cid, val, col_version, db_version, site_id, cl, seq } = given.change(one);
    const [slot, bound] = exact(val);
    const sql = `INSERT INTO crsql_changes VALUES (?, ?, ?, ${slot}, ?, ?, ?, ?, ?)`;
    const params = [table, pk, cid, bound, col_version, db_version, site_id, cl, seq];
    yield this.#driver.run(this.#db, sql, params);
  }

  *#watch(interval) {
    yield this.#load();
    const look = {
      isOpen: () => this.#driver.isOpen(this.#db),
      // What changes when another connection commits, and when this one writes.
      signs: () => run(this.#signs()),
      vector: () => this.vector(),
      tables: (since) => this.#ask(
        () => [
          'SELECT json_group_array(DISTINCT "table") AS answer FROM crsql_changes WHERE since = ?',
          since,
        ],
        JSON.parse,
      ),
    };
    return yield* Watch.start(look, given.interval(interval));
  }

  *#signs() {
    const sql = 'SELECT data_version AS others, total_changes() AS own FROM pragma_data_version';
    yield this.#load();
    const { others, own } = yield this.#driver.get(this.#db, sql, []);
    return `${others} ${own}`;
  }

  #rows(since) {
    const vector = given.vector('changes', since);
    if (vector === null) return this.#driver.rows(this.#db, CHANGES, []);
    return this.#driver.rows(this.#db, `${CHANGES} WHERE since = ?`, [vector]);
  }

  async *#read(since) {
    await this.#load();
    for await (const row of this.#rows(since)) yield change(row);
  }
}

function* mapped(rows, read) {
  for (const row of rows) yield read(row);
}

// The numbers of a change lie below 2^53, unless somebody made one up; its value can be any.
function number(row, column) {
  const number = Number(row[column]);
  if (Number.isSafeInteger(number)) return number;
  throw new RangeError(
    `crsql: ${column} of a change in table ${row.table} is 2^53 or more, and a number cannot ` +
      'hold it; pull() and apply() carry it as it is',
  );
}

function change(row) {
  return {
    table: row.table,
    pk: row.pk,
    cid: row.cid,
    val: value(row),
    col_version: number(row, 'col_version'),
    db_version: number(row, 'db_version'),
    site_id: row.site_id,
    cl: number(row, 'cl'),
    seq: number(row, 'seq'),
  };
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function value({ type, val, table, cid }) {
  if (type === 'integer') return BigInt(val);
  if (type !== 'text') return val;
  try {
    return utf8.decode(val);
  } catch (cause) {
    throw new RangeError(
      `crsql: a text in column ${cid} of table ${table} is not valid UTF-8, and a string cannot ` +
        'hold it; pull() and apply() carry it as it is',
      { cause },
    );
  }
}

// How a value is bound so that it keeps its class: drivers bind 2 as an integer or as a real, each
// in its way, and one binds a BigInt as NULL.
function exact(val) {
  if (typeof val === 'bigint') return ['CAST(? AS INTEGER)', String(val)];
  if (typeof val === 'number') return ['CAST(? AS REAL)', val];
  return ['?', val];
}

module.exports = { Replica };
