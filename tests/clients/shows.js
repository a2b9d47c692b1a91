// What the JavaScript programs have in common: how they run, wait, and say what is wrong.
'use strict';

const net = require('node:net');
const [host, port, ...wanted] = process.argv.slice(2);
const PATIENCE_MS = 10_000;

/** One question over a connection of its own, as an inline command. */
function say(line) {
  return new Promise((answer, fail) => {
    const socket = net.connect(Number(port), host, () => socket.write(`${line}\r\n`));
    socket.once('data', (data) => { answer(String(data)); socket.destroy(); });
    socket.once('error', fail);
  });
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

/** Waits until `ask` says something true; what it says. */
async function until(ask) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const said = await ask();
    if (said) return said;
    if (Date.now() > end) throw new Error('it never came');
    await sleep(5);
  }
}

/** The message of the error that this ends with. */
async function refused(promise) {
  let said;
  try {
    said = await promise;
  } catch (error) {
    return error.message;
  }
  throw new Error(`answered ${JSON.stringify(said)}`);
}

function late() {
  return new Promise((_, fail) => {
    setTimeout(() => fail(new Error('took too long')), 4 * PATIENCE_MS).unref();
  });
}

/**
 * Runs each function under its name, which begins with the numbers of the behaviours that it
 * shows, and ends the process.
 */
async function run(shows) {
  let failed = 0;
  for (const [name, show] of Object.entries(shows)) {
    if (wanted.length && !wanted.some((word) => name.includes(word))) continue;
    await say('FLUSHALL');
    await say('CONFIG RESETSTAT');
    try {
      await Promise.race([show(), late()]);
      console.log(`ok    ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`WRONG ${name}`);
      console.log(error);
    }
  }
  process.exit(failed ? 1 : 0);
}

module.exports = { host, port: Number(port), sleep, until, refused, run };
