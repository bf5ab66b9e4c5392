'use strict';
// Where the library is, and how it gets into a connection.

const fs = require('node:fs');
const path = require('node:path');
const { driverOf } = require('./drivers.js');

const ENDING = { darwin: '.dylib', win32: '.dll' }[process.platform] ?? '.so';

function getLoadablePath() {
  const named = process.env.CRSQL_LIBRARY;
  if (named) {
    // Whole, as the system's loader looks for a bare name elsewhere than in this folder.
    const file = path.resolve(named);
    if (isFile(file)) return file;
    throw new Error(`crsql: CRSQL_LIBRARY names ${file}, and there is no such file`);
  }
  const platform = `${process.platform}-${process.arch}`;
  const file = `crsql${ENDING}`;
  // npm installs only the one that fits the machine's libc.
  for (const libc of ['', '-musl']) {
    try {
      return require.resolve(`crsql-${platform}${libc}/${file}`);
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error;
    }
  }
  throw new Error(
    `crsql: there is no library for ${platform} here; install the package crsql-${platform} ` +
      '(npm leaves it out with --omit=optional), or build crsql and let the environment ' +
      `variable CRSQL_LIBRARY name the file ${file}`,
  );
}

function load(db) {
  return driverOf(db).load(db, unended(getLoadablePath()));
}

// SQLite tries a name as it is and then with the platform's ending, and tells of the last try only:
// given the whole name, it says that there is no crsql.so.so, and not what is wrong with crsql.so.
function unended(file) {
  const name = file.endsWith(ENDING) ? file.slice(0, -ENDING.length) : file;
  return isFile(name) ? file : name;
}

function isFile(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}

module.exports = { getLoadablePath, load };
