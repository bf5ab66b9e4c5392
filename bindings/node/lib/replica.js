'use strict';
// The functions of crsql as methods, over an open connection.

const { driverOf } = require('./drivers.js');
const { load } = require('./load.js');
const { run } = require('./run.js');
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
    return this.#ask('SELECT crsql_as_crr(?) AS answer', [table], () => {});
  }

  vector() {
    return this.#ask('SELECT crsql_vector() AS answer', [], (text) => text);
  }

  pull(since = null, maxBytes = undefined) {
    const limited = maxBytes !== undefined;
    const sql = `SELECT crsql_changeset(?${limited ? ', ?' : ''}) AS answer`;
    return this.#ask(sql, limited ? [since, maxBytes] : [since], (blob) => blob);
  }

  apply(changeset) {
    return this.#ask('SELECT crsql_apply(?) AS answer', [changeset], JSON.parse);
  }

  changes(since = null) {
    const sql = since === null ? CHANGES : `${CHANGES} WHERE since = ?`;
    const params = since === null ? [] : [since];
    if (this.#driver.later) return this.#read(sql, params);
    const changes = mapped(this.#driver.rows(this.#db, sql, params), change);
    changes[Symbol.asyncIterator] = async function* () {
      for (const one of changes) yield one;
    };
    return changes;
  }

  insert(one) {
    const [slot, val] = exact(one.val);
    const sql = `INSERT INTO crsql_changes VALUES (?, ?, ?, ${slot}, ?, ?, ?, ?, ?)`;
    const { table, pk, cid, col_version, db_version, site_id, cl, seq } = one;
    const params = [table, pk, cid, val, col_version, db_version, site_id, cl, seq];
    return run(this.#insert(sql, params));
  }

  watch({ interval = 100 } = {}) {
    const look = {
      isOpen: () => this.#driver.isOpen(this.#db),
      // What changes when another connection commits, and when this one writes.
      signs: () => run(this.#signs()),
      vector: () => this.vector(),
      tables: (since) => this.#ask(
        'SELECT json_group_array(DISTINCT "table") AS answer FROM crsql_changes WHERE since = ?',
        [since],
        JSON.parse,
      ),
    };
    return run(Watch.start(look, interval));
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

  #ask(sql, params, read) {
    return run(this.#first(sql, params, read));
  }

  *#first(sql, params, read) {
    yield this.#load();
    return read((yield this.#driver.get(this.#db, sql, params)).answer);
  }

  *#insert(sql, params) {
    yield this.#load();
    yield this.#driver.run(this.#db, sql, params);
  }

  *#signs() {
    const sql = 'SELECT data_version AS others, total_changes() AS own FROM pragma_data_version';
    yield this.#load();
    const { others, own } = yield this.#driver.get(this.#db, sql, []);
    return `${others} ${own}`;
  }

  async *#read(sql, params) {
    await this.#load();
    for await (const row of this.#driver.rows(this.#db, sql, params)) yield change(row);
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
