'use strict';
// Loads crsql into a connection of better-sqlite3, node:sqlite, sqlite3 or bun:sqlite.

const { getLoadablePath, load } = require('./lib/load.js');
const { Replica } = require('./lib/replica.js');
const { sync } = require('./lib/sync.js');

module.exports = { getLoadablePath, load, Replica, sync };
