'use strict';
// What differs between the drivers. None is imported: a connection is known by its methods.
//
// load(db, file)        loads the library, with extension loading off again afterwards; the file
//                       may come without its ending
// get(db, sql, params)  the first row
// rows(db, sql, params) all of them, one at a time; an iteration that is left closes its statement
// run(db, sql, params)  nothing
// inTransaction(db)     whether one is open
// later                 whether it gives promises
// isOpen(db)            where the driver does not tell, its error does (`closed` in watch.js)

const path = require('node:path');

const ENTRY = 'sqlite3_crsql_init';

const synchronous = {
  get: (db, sql, params) => prepared(db, sql).get(...params),
  run: (db, sql, params) => void prepared(db, sql).run(...params),
  *rows(db, sql, params) {
    yield* prepared(db, sql).iterate(...params);
  },
};

// node:sqlite gives rows as arrays where the connection was opened so; where it knows that mode it
// has this method.
function prepared(db, sql) {
  const statement = db.prepare(sql);
  statement.setReturnArrays?.(false);
  return statement;
}

const betterSqlite3 = {
  ...synchronous,
  methods: ['prepare', 'pragma', 'defaultSafeIntegers'],
  isOpen: (db) => db.open,
  inTransaction: (db) => db.inTransaction,
  // This driver allows its own loadExtension only, never SQL's load_extension(): nothing to toggle.
  load: (db, file) => void db.loadExtension(file, ENTRY),
};

const nodeSqlite = {
  ...synchronous,
  rows(db, sql, params) {
    // Deno's iterate() ends at an error as if there were no more rows; its all() throws.
    if (process.versions.deno) return prepared(db, sql).all(...params);
    return synchronous.rows(db, sql, params);
  },
  methods: ['prepare', 'exec', 'open', 'close'],
  isOpen: (db) => db.isOpen,
  inTransaction(db) {
    // Before Node 22.16 there is no such property.
    if (db.isTransaction !== undefined) return db.isTransaction;
    try {
      db.exec(PROBE);
      return false;
    } catch (error) {
      return refusedTwo(error);
    }
  },
  load(db, file) {
    if (!db.loadExtension) {
      throw new Error('crsql: this node:sqlite cannot load extensions; Node 22.15 and later can');
    }
    try {
      // Deno has no such method; there, what the connection was opened with decides.
      db.enableLoadExtension?.(true);
    } catch (cause) {
      throw notAllowed(cause);
    }
    try {
      db.loadExtension(file, ENTRY);
    } catch (cause) {
      throw /allowExtension/.test(cause.message) ? notAllowed(cause) : cause;
    } finally {
      db.enableLoadExtension?.(false);
    }
  },
};

function notAllowed(cause) {
  return new Error(
    'crsql: this connection was opened without extension loading; open it with ' +
      'new DatabaseSync(file, { allowExtension: true })',
    { cause },
  );
}

const bunSqlite = {
  methods: ['prepare', 'query', 'fileControl'],
  isOpen: () => true,
  inTransaction: (db) => db.inTransaction,
  get: (db, sql, params) => finalized(db, sql, (statement) => statement.get(...params)),
  run: (db, sql, params) => finalized(db, sql, (statement) => void statement.run(...params)),
  *rows(db, sql, params) {
    const statement = db.prepare(sql);
    try {
      yield* statement.iterate(...params);
    } finally {
      statement.finalize();
    }
  },
  load(db, file) {
    try {
      db.loadExtension(file, ENTRY);
    } catch (cause) {
      if (!/does not support dynamic extension loading/.test(cause.message)) throw cause;
      throw new Error(
        "crsql: macOS's SQLite, which Bun uses there, cannot load extensions; call " +
          'Database.setCustomSQLite(path) with another libsqlite3.dylib first, such as ' +
          "Homebrew's, before any database is opened",
        { cause },
      );
    }
  },
};

// A statement that is left to the garbage collector keeps the file open after close().
function finalized(db, sql, use) {
  const statement = db.prepare(sql);
  try {
    return use(statement);
  } finally {
    statement.finalize();
  }
}

const sqlite3 = {
  methods: ['prepare', 'each', 'parallelize'],
  later: true,
  isOpen: (db) => db.open,
  inTransaction: (db) => promised((done) => db.exec(PROBE, done)).then(() => false, refusedTwo),
  // The driver turns extension loading on and off by itself.
  async load(db, file) {
    // It leaves the entry point to SQLite, which guesses it from the letters of the file's name.
    const [stem] = path.basename(file).replace(/^lib/, '').split('.');
    if (stem.replace(/[^a-z]/gi, '').toLowerCase() !== 'crsql') {
      throw new Error(
        "crsql: the sqlite3 package finds the entry point by the file's name; give the library " +
          `that is ${file} the name crsql, with the ending it has, in a folder of its own`,
      );
    }
    await promised((done) => db.loadExtension(file, done));
  },
  // The driver's get() keeps the file locked until the event loop comes to close the statement.
  get: (db, sql, params) => promised((done) => db.all(sql, params, done)).then(([row]) => row),
  run: (db, sql, params) => promised((done) => db.run(sql, params, done)).then(() => {}),
  async *rows(db, sql, params) {
    let statement;
    await promised((done) => {
      statement = db.prepare(sql, params, done);
    });
    try {
      for (;;) {
        const row = await promised((done) => statement.get(done));
        if (row === undefined) return;
        yield row;
      }
    } finally {
      await new Promise((done) => statement.finalize(done));
    }
  },
};

// SQLite begins no transaction within another. As one call, so that no other statement of the
// connection comes in between.
const PROBE = 'BEGIN; COMMIT';

function refusedTwo(error) {
  if (/within a transaction/.test(error.message)) return true;
  throw error;
}

function promised(call) {
  return new Promise((resolve, reject) => {
    call((error, value) => (error ? reject(error) : resolve(value)));
  });
}

const drivers = [betterSqlite3, bunSqlite, sqlite3, nodeSqlite];

function driverOf(db) {
  const fits = ({ methods }) => methods.every((name) => typeof db?.[name] === 'function');
  const driver = drivers.find(fits);
  if (driver) return driver;
  throw new TypeError(
    'crsql: this is not a connection of better-sqlite3, node:sqlite, sqlite3 or bun:sqlite; ' +
      'give the object that the driver itself made, not one wrapped around it',
  );
}

module.exports = { driverOf };
