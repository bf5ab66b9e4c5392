// A program that was written for cr-sqlite and better-sqlite3, moved to crsql. The import changes:
//
//   - import { extensionPath } from '@vlcn.io/crsqlite';
//   + import { getLoadablePath } from 'crsql';
//   + const extensionPath = getLoadablePath();
//
// and three things are worth a look, marked below. docs/SQL.md has the whole list of differences. A
// file that cr-sqlite made is refused: copy its plain tables into a new one.
//
// It prints:
//   a: milk 2, bread 1
//   b: milk 2, bread 1
import Database from 'better-sqlite3';
import { getLoadablePath } from 'crsql';

const extensionPath = getLoadablePath();

function open() {
  const db = new Database(':memory:');
  db.loadExtension(extensionPath);
  db.exec('CREATE TABLE item(name TEXT PRIMARY KEY NOT NULL, amount INTEGER)');
  db.exec("SELECT crsql_as_crr('item')");
  return db;
}

// 1. A db_version is its origin's, for ever. So the cursor is a vector: it counts per site.
// 2. better-sqlite3 binds a number as a real, and crsql keeps the class of a value: 2 would come as
//    2.0 into a column without a type. Hence safeIntegers(), and integers as BigInt.
const readSql = 'SELECT * FROM crsql_changes WHERE since = ?';
const writeSql = 'INSERT INTO crsql_changes VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)';

function copy(from, to) {
  const seen = from.prepare('SELECT crsql_vector()').pluck().get();
  const since = to.prepare('SELECT crsql_vector()').pluck().get();
  const changes = from.prepare(readSql).safeIntegers().raw().all(since);
  const write = to.prepare(writeSql);
  to.transaction(() => {
    for (const change of changes) write.run(change);
    // 3. Says that all that the vector covers has arrived, so that it is not sent again.
    to.prepare('SELECT crsql_seen(?)').get(seen);
  })();
}

const [a, b] = [open(), open()];
a.exec("INSERT INTO item VALUES ('milk', 1)");
copy(a, b);
b.exec("UPDATE item SET amount = 2 WHERE name = 'milk'");
a.exec("INSERT INTO item VALUES ('bread', 1)");
copy(a, b);
copy(b, a);

for (const [name, db] of [['a', a], ['b', b]]) {
  const items = db.prepare("SELECT name || ' ' || amount FROM item ORDER BY amount DESC").pluck();
  console.log(`${name}: ${items.all().join(', ')}`);
  // Was needed before close; accepted, and does nothing.
  db.prepare('SELECT crsql_finalize()').get();
  db.close();
}
