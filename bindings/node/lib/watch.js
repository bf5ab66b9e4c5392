'use strict';
// Tells which tables were changed, by whomever. crsql takes no hooks, so this looks now and then.

const { EventEmitter } = require('node:events');
const { run } = require('./run.js');

class Watch extends EventEmitter {
  #look;
  #interval;
  #timer;
  #signs;
  #vector;
  #stopped = false;

  // Gives a watch that tells what is written from now on.
  static *start(look, interval) {
    const watch = new Watch();
    watch.#look = look;
    watch.#interval = interval;
    watch.#signs = yield look.signs();
    watch.#vector = yield look.vector();
    watch.#wait();
    return watch;
  }

  get stopped() {
    return this.#stopped;
  }

  stop() {
    if (this.#stopped) return;
    this.#stopped = true;
    clearTimeout(this.#timer);
    this.emit('close');
  }

  async *[Symbol.asyncIterator]() {
    const tables = new Set();
    let failure;
    let wake = () => {};
    const listeners = {
      change: (event) => event.tables.forEach((table) => tables.add(table)),
      error: (error) => (failure = { error }),
      close: () => {},
    };
    for (const [name, note] of Object.entries(listeners)) {
      listeners[name] = (event) => (note(event), wake());
      this.on(name, listeners[name]);
    }
    try {
      for (;;) {
        if (tables.size > 0) {
          const told = [...tables];
          tables.clear();
          yield { tables: told };
        } else if (failure) {
          throw failure.error;
        } else if (this.#stopped) {
          return;
        } else {
          await new Promise((resolve) => (wake = resolve));
        }
      }
    } finally {
      for (const [name, listener] of Object.entries(listeners)) this.off(name, listener);
      // Nobody would stop a watch that was made for a loop.
      if (this.listenerCount('change') === 0) this.stop();
    }
  }

  #wait() {
    if (this.#stopped) return;
    this.#timer = setTimeout(() => this.#tick(), this.#interval);
    this.#timer.unref();
  }

  async #tick() {
    let tables = [];
    try {
      if (!this.#look.isOpen()) return this.stop();
      tables = await run(this.#changed());
    } catch (error) {
      if (this.#stopped || closed(error)) return this.stop();
      if (!passing(error)) return this.#fail(error);
    }
    // First, as a listener may throw.
    this.#wait();
    if (tables.length > 0 && !this.#stopped) this.emit('change', { tables });
  }

  *#changed() {
    const signs = yield this.#look.signs();
    if (signs === this.#signs) return [];
    // The vector first: what comes between it and the tables is told twice rather than never.
    const vector = yield this.#look.vector();
    const tables = yield this.#look.tables(this.#vector);
    this.#signs = signs;
    this.#vector = vector;
    return tables;
  }

  #fail(error) {
    this.stop();
    this.emit('error', error);
  }
}

// The connection was closed, and its driver has no other way to tell.
function closed(error) {
  return /database (connection )?is (not open|closed)|closed database/i.test(error.message);
}

// Another connection holds the file, or this one's open transaction is in the way: later, then.
function passing(error) {
  return /is locked|uncommitted changes in place of committed ones/.test(error.message);
}

module.exports = { Watch };
