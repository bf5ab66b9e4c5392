'use strict';
// Every driver behind the same few methods, so that one text tests all of them.
//
// open(file)            a connection as a user opens it
// all(db, sql, params)  the rows, each an object
// modes()               connections in memory, opened in ways that alter what statements give
// close(db)
// isOwn(error)          whether the error is of the driver's own kind for SQLite's errors

const fromStatement = (db, sql, params = []) => db.prepare(sql).all(...params);

function betterSqlite3() {
  const Database = require('better-sqlite3');
  return {
    version: require('better-sqlite3/package.json').version,
    open: (file) => new Database(file),
    all(db, sql, params = []) {
      const statement = db.prepare(sql);
      return statement.reader ? statement.all(...params) : (statement.run(...params), []);
    },
    modes: () => [new Database(':memory:').defaultSafeIntegers(true)],
    close: (db) => db.close(),
    isOwn: (error) => error instanceof Database.SqliteError,
  };
}

function nodeSqlite() {
  const { DatabaseSync } = require('node:sqlite');
  return {
    version: '',
    open: (file) => new DatabaseSync(file, { allowExtension: true }),
    all: fromStatement,
    modes: () =>
      [{ returnArrays: true }, { readBigInts: true, returnArrays: true }, { readBigInts: true }]
        .map((mode) => new DatabaseSync(':memory:', { allowExtension: true, ...mode })),
    close: (db) => db.close(),
    isOwn: (error) => error.code === 'ERR_SQLITE_ERROR',
  };
}

function bunSqlite() {
  const { Database, SQLiteError } = require('bun:sqlite');
  return {
    version: '',
    open: (file) => new Database(file),
    all: fromStatement,
    modes: () => [new Database(':memory:', { safeIntegers: true, strict: true })],
    close: (db) => db.close(),
    isOwn: (error) => error instanceof SQLiteError,
  };
}

function sqlite3() {
  const { Database } = require('sqlite3');
  const promised = (call) =>
    new Promise((resolve, reject) => {
      call((error, value) => (error ? reject(error) : resolve(value)));
    });
  return {
    version: require('sqlite3/package.json').version,
    open: (file) => new Database(file),
    all: (db, sql, params = []) => promised((done) => db.all(sql, params, done)),
    modes: () => [new Database(':memory:')],
    close: (db) => promised((done) => db.close(done)),
    isOwn: (error) => typeof error.errno === 'number' && error.code.startsWith('SQLITE_'),
    later: true,
  };
}

const drivers = {
  'better-sqlite3': betterSqlite3,
  'node:sqlite': nodeSqlite,
  'bun:sqlite': bunSqlite,
  sqlite3,
};

function driver(name) {
  return { name, ...drivers[name]() };
}

function runtime() {
  if (process.versions.bun) return `bun ${process.versions.bun}`;
  if (process.versions.deno) return `deno ${process.versions.deno}`;
  return `node ${process.versions.node}`;
}

// What the line of test.sh says before the number of cases.
async function label(driver) {
  const db = driver.open(':memory:');
  const [{ version }] = await driver.all(db, 'SELECT sqlite_version() AS version');
  await driver.close(db);
  return `${driver.name} ${driver.version}`.trim() + `, SQLite ${version}, ${runtime()}`;
}

module.exports = { driver, label };
