'use strict';
// What a method was given. A driver takes an object for named parameters, and binds NULL for what
// it does not know, without an error: nothing gets to one before it was looked at here.

const { isUint8Array } = require('node:util').types;

const VECTOR = 'a vector, which is the text that vector() gives, or null';
const CHANGESET = 'a changeset, which is the Uint8Array that pull() gives, or null';
const CHANGE = 'a change as changes() gives it';
const MOST_MILLISECONDS = 2 ** 31 - 1;

const text = [(value) => typeof value === 'string', 'a string'];
const bytes = [isUint8Array, 'a Uint8Array'];
const count = [Number.isSafeInteger, 'a whole number below 2^53'];
const FIELDS = {
  table: text,
  pk: bytes,
  cid: text,
  val: [isValue, 'null, a bigint, a number, a string or a Uint8Array'],
  col_version: count,
  db_version: count,
  site_id: bytes,
  cl: count,
  seq: count,
};

function isValue(value) {
  return value === null || ['bigint', 'string'].includes(typeof value) || isUint8Array(value) ||
    (typeof value === 'number' && !Number.isNaN(value));
}

function refused(method, wanted, value, Kind = TypeError) {
  return new Kind(`crsql: ${method}() takes ${wanted}, and was given ${named(value)}`);
}

// Of the error, where a number is wanted.
function kindOf(value) {
  return typeof value === 'number' ? RangeError : TypeError;
}

function named(value) {
  if (value === null || ['undefined', 'number'].includes(typeof value)) return String(value);
  if (isPromise(value)) return 'a promise; await it first';
  if (Array.isArray(value)) return 'an array';
  if (isUint8Array(value)) return 'a Uint8Array';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function isPromise(value) {
  return typeof value?.then === 'function';
}

function table(value) {
  if (typeof value === 'string') return value;
  throw refused('enable', 'the name of a table, a string', value);
}

function vector(method, value) {
  if (value === undefined || value === null) return null;
  if (typeof value === 'string') return value;
  // As a report has it. No number in it is 2^53 or more.
  if (typeof value === 'object' && 'v' in value) return JSON.stringify(value);
  throw refused(method, VECTOR, value);
}

function maxBytes(value) {
  if (value === undefined || value === null) return null;
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw refused('pull', 'as maxBytes a whole number of 1 or more, or null', value, kindOf(value));
}

function changeset(value) {
  if (value === null || isUint8Array(value)) return value;
  throw refused('apply', CHANGESET, value);
}

function change(value) {
  if (typeof value !== 'object' || value === null || isPromise(value)) {
    throw refused('insert', CHANGE, value);
  }
  for (const [key, [fits, kind]] of Object.entries(FIELDS)) {
    if (!fits(value[key])) throw refused('insert', `a change whose ${key} is ${kind}`, value[key]);
  }
  const { val } = value;
  if (typeof val !== 'bigint' || BigInt.asIntN(64, val) === val) return value;
  throw new RangeError(
    `crsql: insert() takes integers of 64 bits, as SQLite does, and ${val} is beyond; give a ` +
      'number, which is a real, or a string',
  );
}

function interval(value) {
  if (typeof value === 'number' && value > 0 && value <= MOST_MILLISECONDS) return value;
  const wanted = 'as interval a number of milliseconds above 0 and below 2^31';
  throw refused('watch', wanted, value, kindOf(value));
}

module.exports = { change, changeset, interval, maxBytes, table, vector };
