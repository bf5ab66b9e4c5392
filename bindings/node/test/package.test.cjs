'use strict';
// The package itself: both module systems, the types, what it says where something is missing, the
// recipes, and every block of README.md. Runs once, in a Node that has node:sqlite.

const assert = require('node:assert/strict');
const { execFileSync, spawnSync } = require('node:child_process');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { after, test } = require('node:test');

const { BUN: bun, PACKAGES: packages } = process.env;
const here = __dirname;
const scratch = fs.mkdtempSync(path.join(os.tmpdir(), 'crsql-'));
after(() => fs.rmSync(scratch, { recursive: true, force: true }));

function run(program, args, options = {}) {
  const done = spawnSync(program, args, { encoding: 'utf8', cwd: scratch, ...options });
  assert.equal(done.status, 0, `${program} ${args.join(' ')}\n${done.stdout}${done.stderr}`);
  return done.stdout;
}

test('import and require give the same objects', async () => {
  const imported = await import('crsql');
  const required = require('crsql');
  const names = ['Replica', 'getLoadablePath', 'load', 'sync'];
  assert.deepEqual(Object.keys(required).sort(), names);
  assert.deepEqual(Object.keys(imported).sort(), names);
  for (const name of names) assert.equal(imported[name], required[name]);
});

test('the types are right, in both module systems', () => {
  const tsc = path.join(path.dirname(require.resolve('typescript/package.json')), 'bin/tsc');
  const options = ['--strict', '--noEmit', '--module', 'nodenext', '--target', 'es2023'];
  fs.copyFileSync(path.join(here, 'types.mts'), path.join(here, 'types.cts'));
  const compile = (...args) => run(process.execPath, [tsc, ...options, ...args], { cwd: here });
  compile('--types', 'node', 'types.mts', 'types.cts');
  // Bun's own types do not always agree with the newest ones of Node.
  compile('--types', 'bun-types', '--skipLibCheck', 'types-bun.mts');
});

test('a platform without a library is named', () => {
  const folder = fs.mkdtempSync(path.join(scratch, 'alone-'));
  const copy = path.join(folder, 'crsql');
  fs.cpSync(path.dirname(require.resolve('crsql')), copy, { recursive: true });
  const { getLoadablePath } = require(copy);
  const platform = `${process.platform}-${process.arch}`;
  assert.throws(getLoadablePath, new RegExp(`no library for ${platform}.*CRSQL_LIBRARY`));
});

test('connections that cannot load extensions are told the way out', () => {
  const { load } = require('crsql');
  const { DatabaseSync } = require('node:sqlite');
  assert.throws(() => load(new DatabaseSync(':memory:')), /allowExtension: true/);
  const none = () => {};
  const old = { prepare: none, exec: none, open: none, close: none };
  assert.throws(() => load(old), /Node 22\.15 and later/);
  const loadExtension = () => {
    throw new Error('This build of sqlite3 does not support dynamic extension loading');
  };
  const mac = { prepare: none, query: none, fileControl: none, loadExtension };
  assert.throws(() => load(mac), /setCustomSQLite/);
});

// Before Node 22.16 the driver does not tell whether a transaction is open.
test('sync finds an open transaction where the driver does not tell of one', () => {
  const { Replica, sync } = require('crsql');
  const { DatabaseSync } = require('node:sqlite');
  const [a, b] = [1, 2].map(() => {
    const db = new DatabaseSync(':memory:', { allowExtension: true });
    const names = ['prepare', 'exec', 'open', 'close', 'enableLoadExtension', 'loadExtension'];
    return Object.fromEntries(names.map((name) => [name, db[name].bind(db)]));
  });
  const [here, there] = [new Replica(a), new Replica(b)];
  sync(here, there);
  b.exec('BEGIN');
  assert.throws(() => sync(here, there), /a transaction is open on one of the two/);
  b.exec('COMMIT');
  sync(here, there);
  b.exec('BEGIN');
  a.exec('BEGIN');
  a.close();
  assert.throws(() => sync(here, there), /database is not open/);
});

test('the sqlite3 package needs a file name that it finds the entry point by', async () => {
  const { load, getLoadablePath } = require('crsql');
  const none = () => {};
  const copy = path.join(scratch, 'mine.so');
  fs.copyFileSync(getLoadablePath(), copy);
  process.env.CRSQL_LIBRARY = copy;
  const db = { prepare: none, each: none, parallelize: none };
  await assert.rejects(async () => load(db), /finds the entry point by the file's name/);
  delete process.env.CRSQL_LIBRARY;
});

for (const recipe of fs.readdirSync(path.join(here, 'recipes'))) {
  test(`recipe: ${recipe}`, () => {
    const file = path.join(here, 'recipes', recipe);
    const text = fs.readFileSync(file, 'utf8');
    const [, printed] = text.match(/^\/\/ It prints:\n((?:\/\/.*\n)+)/m);
    const expected = printed.replaceAll(/^\/\/ {3}/gm, '');
    assert.equal(run(process.execPath, [file]), expected);
  });
}

// A block, and the text below it that says what it prints.
const BLOCKS = /^```(\w+)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?/gms;

function block(code) {
  const file = path.join(fs.mkdtempSync(path.join(here, 'block-')), 'block.mjs');
  fs.writeFileSync(file, code);
  const program = code.includes('bun:sqlite') ? bun : process.execPath;
  return run(program, [file], { cwd: fs.mkdtempSync(path.join(scratch, 'block-')) });
}

const readme = fs.readFileSync(path.join(here, 'README.md'), 'utf8');
const blocks = [...readme.matchAll(BLOCKS)];

test('README.md has blocks, and all of them are found', () => {
  const fences = readme.match(/^```/gm).length;
  const texts = blocks.filter(([, , , text]) => text !== undefined).length;
  assert.ok(blocks.length > 0);
  assert.equal(fences, 2 * (blocks.length + texts));
});

for (const [index, [, language, code, text]] of blocks.entries()) {
  // The command, which the last test types.
  if (index === 0) continue;
  test(`README.md, block ${index + 1}`, () => {
    assert.equal(language, 'js');
    assert.equal(block(code), text);
  });
}

// It named recipes that npm did not bring, and documents as if they were beside it.
test('README.md names files that the package has, or says that they are in the repository', () => {
  const folder = path.dirname(require.resolve('crsql'));
  let named = 0;
  for (const paragraph of readme.split(/\n\n+/)) {
    for (const [, name] of paragraph.matchAll(/`((?:recipes|docs|bindings)\/[^`\s]+)/g)) {
      named += 1;
      const there = fs.existsSync(path.join(folder, name));
      assert.ok(there || /\brepository\b/.test(paragraph), `${name} is not in the package`);
    }
  }
  assert.ok(named > 3);
  assert.deepEqual(fs.readdirSync(path.join(folder, 'recipes')), fs.readdirSync('recipes'));
});

// README.md did not say so: one process took one of two drivers only.
test('a second SQLite in the process is refused with a sentence', () => {
  const program = `const { Replica } = require('crsql');
    const { DatabaseSync } = require('node:sqlite');
    new Replica(new DatabaseSync(':memory:', { allowExtension: true }));
    try {
      new Replica(new (require('better-sqlite3'))(':memory:'));
    } catch (error) {
      console.log(error.message);
    }`;
  const printed = run(process.execPath, ['-e', program], { cwd: here });
  assert.match(printed, /crsql already serves SQLite .* cannot serve a second SQLite library/);
});

// As a user does it: an empty folder, the first command, the first program.
test('README.md, its first lines in a fresh folder', () => {
  const [[, first, command], [, , program, text]] = blocks;
  assert.equal(first, 'sh');
  const fresh = fs.mkdtempSync(path.join(scratch, 'fresh-'));
  const npm = { cwd: fresh, encoding: 'utf8', stdio: 'pipe' };
  const typed = command.replace('npm install crsql', `npm install --no-audit ${packages}`);
  execFileSync('bash', ['-ec', typed], npm);
  fs.writeFileSync(path.join(fresh, 'first.mjs'), program);
  assert.equal(run(process.execPath, ['first.mjs'], { cwd: fresh }), text);
});
