// node-redis: its handshake in one packet, its client-side cache, pub/sub, transactions, a pool.
'use strict';

const assert = require('node:assert/strict');
const {
  createClient, createClientPool, BasicClientSideCache, WatchError, ErrorReply,
} = require('@redis/client');
const { host, port, sleep, until, refused, run } = require('./shows.js');

const MESSAGES = 2000;
const open = [];

async function client(options = {}) {
  const one = createClient({ RESP: 3, ...options, socket: { host, port, ...options.socket } });
  one.on('error', () => {});
  open.push(one);
  return one.connect();
}

/** Runs it with clients that are closed afterwards. */
const closing = (show) => async () => {
  try {
    await show();
  } finally {
    for (const one of open.splice(0)) if (one.isOpen) one.destroy();
  }
};

const shows = {
  '2, 5, 8, 9, 10, 11: connects in both protocols: one packet of all it says': async () => {
    for (const RESP of [2, 3]) {
      const one = await client({ RESP, name: 'node', database: 7, clientInfoTag: 'tag' });
      assert.equal(await one.ping(), 'PONG');
      const mine = await one.clientInfo();
      assert.deepEqual([mine.name, mine.db, Number(mine.resp)], ['node', 7, RESP]);
      assert.equal(mine.libName, 'node-redis(tag)');
      assert.equal(mine.id, await one.clientId());
      assert.equal(await one.clientGetName(), 'node');
      const names = (await one.clientList()).map((entry) => entry.name);
      assert.ok(names.includes('node'), names);
    }
  },

  '6, 7, 36: with a password: refused, then let in': async () => {
    const door = await client();
    await door.configSet('requirepass', 'secret');
    try {
      const no = { socket: { reconnectStrategy: false } };
      assert.match(await refused(client({ ...no, password: 'false' })), /^WRONGPASS /);
      assert.match(await refused(client(no)), /^NOAUTH /);
      for (const RESP of [2, 3]) {
        for (const login of [{ password: 'secret' }, { username: 'default', password: 'secret' }]) {
          assert.equal(await (await client({ RESP, ...login })).set('k', 'v'), 'OK');
        }
      }
    } finally {
      await door.configSet('requirepass', '');
    }
  },

  '17, 23, 25, 26, 30: INFO, CONFIG, COMMAND and CLIENT as it reads them': async () => {
    for (const RESP of [2, 3]) {
      const one = await client({ RESP });
      assert.match(await one.info('server'), /redis_version:\d/);
      assert.deepEqual({ ...(await one.configGet('save')) }, { save: '' });
      const rows = await one.command();
      assert.equal(rows.length, await one.commandCount());
      const [get] = await one.commandInfo(['get']);
      assert.deepEqual([get.name, get.arity, get.flags.has('readonly')], ['get', 2, true]);
      assert.deepEqual(await one.commandGetKeys(['MSET', 'a', '1', 'b', '2']), ['a', 'b']);
      const [key] = await one.commandGetKeysAndFlags(['GET', 'a']);
      assert.deepEqual([key.key, [...key.flags]], ['a', ['RO', 'access']]);
      assert.equal(await one.clientGetRedir(), -1);
      assert.equal(await one.clientNoEvict(true), 'OK');
      assert.equal(await one.clientNoTouch(true), 'OK');
      assert.equal(await one.clientPause(1, 'WRITE'), 'OK');
      assert.equal(await one.clientUnpause(), 'OK');
      assert.match(await refused(one.sendCommand(['CLIENT', 'NOSUCH'])), /unknown subcommand/);
    }
  },

  '32: LATENCY, MEMORY and ACL': async () => {
    const one = await client();
    await one.set('k', 'v');
    assert.ok((await one.memoryUsage('k')) > 0);
    assert.ok((await one.memoryStats())['total.allocated'] > 0);
    assert.match(await one.latencyDoctor(), /monitoring|Dave|latency/i);
    assert.deepEqual(await one.latencyLatest(), []);
    assert.ok('set' in (await one.latencyHistogram('set')));
    assert.equal(await one.aclWhoAmI(), 'default');
    assert.equal(await one.aclSetUser('ann', ['on', '>pass', '~own:*', '+@all']), 'OK');
    try {
      const ann = await client({ username: 'ann', password: 'pass' });
      assert.equal(await ann.set('own:1', 'v'), 'OK');
      assert.match(await refused(ann.set('k', 'v')), /^NOPERM /);
      assert.deepEqual((await one.aclGetUser('ann')).flags.includes('on'), true);
      assert.equal(await one.aclDryRun('ann', ['GET', 'own:1']), 'OK');
      const log = await one.aclLog();
      assert.ok(log.some((entry) => entry.username === 'ann' && entry.object === 'k'));
    } finally {
      assert.equal(await one.aclDelUser('ann'), 1);
      await one.aclLogReset();
    }
  },

  '33, 35: values of all types, 10,000 commands in one turn, values of 5 MB': async () => {
    const one = await client();
    await one.hSet('h', { a: '1', b: '2' });
    assert.deepEqual({ ...(await one.hGetAll('h')) }, { a: '1', b: '2' });
    await one.zAdd('z', [{ score: 1.5, value: 'a' }, { score: Infinity, value: 'b' }]);
    assert.deepEqual(await one.zRangeWithScores('z', 0, -1), [
      { value: 'a', score: 1.5 }, { value: 'b', score: Infinity },
    ]);
    assert.equal(await one.zScore('z', 'none'), null);
    assert.equal(await one.zIncrBy('z', 1, 'a'), 2.5);
    await one.sAdd('s', ['x', 'y']);
    assert.deepEqual([...(await one.sMembers('s'))].sort(), ['x', 'y']);
    const all = [];
    for (let index = 0; index < 10_000; index += 1) all.push(one.incr('counter'));
    (await Promise.all(all)).forEach((reply, index) => assert.equal(reply, index + 1));
    const great = 'g'.repeat(5_000_000);
    assert.equal(await one.set('great', great), 'OK');
    assert.equal(await one.get('great'), great);
    assert.match(await refused(one.lPush('great', 'x')), /^WRONGTYPE /);
  },

  '38: transactions: errors in their places, a watched key': async () => {
    const [one, other] = [await client(), await client()];
    const doing = one.multi().set('a', 'x').incr('a').get('a').exec();
    const { replies } = await doing.catch((error) => error);
    assert.deepEqual([replies[0], replies[2]], ['OK', 'x']);
    assert.ok(replies[1] instanceof ErrorReply);
    await one.watch('a');
    await other.set('a', 'y');
    await assert.rejects(one.multi().set('a', 'z').exec(), WatchError);
    await one.watch('a');
    assert.deepEqual(await one.multi().set('a', 'z').get('a').exec(), ['OK', 'z']);
  },

  '39: subscribes in both protocols; 2000 pipelined messages in their order': async () => {
    for (const RESP of [2, 3]) {
      const [one, listener] = [await client({ RESP }), await client({ RESP })];
      const heard = [];
      const other = [];
      await listener.subscribe(['news', 'more'], (text) => heard.push(text));
      await listener.pSubscribe('n?ws', (text, channel) => other.push(`p ${channel} ${text}`));
      await listener.sSubscribe('sharded', (text, channel) => other.push(`s ${channel} ${text}`));
      assert.equal(await one.publish('news', 'first'), 2);
      assert.equal(await one.sPublish('sharded', 'part'), 1);
      await until(() => other.length === 2 && heard.length === 1);
      assert.deepEqual(other.sort(), ['p news first', 's sharded part']);
      assert.deepEqual((await one.pubSubChannels()).sort(), ['more', 'news']);
      assert.deepEqual({ ...(await one.pubSubNumSub(['news'])) }, { news: 1 });
      assert.equal(await one.pubSubNumPat(), 1);
      await listener.pUnsubscribe('n?ws');
      const sent = [];
      for (let index = 0; index < MESSAGES; index += 1) sent.push(one.publish('news', `${index}`));
      for (const count of await Promise.all(sent)) assert.equal(count, 1);
      await until(() => heard.length === MESSAGES + 1);
      heard.slice(1).forEach((text, index) => assert.equal(text, `${index}`));
      if (RESP === 3) {
        assert.equal(await listener.set('k', 'v'), 'OK', 'other commands are allowed');
        assert.equal(await listener.get('k'), 'v');
      }
      await listener.unsubscribe();
      await listener.sUnsubscribe();
    }
  },

  '40: CLIENT KILL TYPE pubsub closes subscribers, which subscribe again': async () => {
    const one = await client();
    const listener = await client({ socket: { reconnectStrategy: 10 } });
    const heard = [];
    await listener.subscribe('news', (text) => heard.push(text));
    await listener.pSubscribe('p*', (text) => heard.push(text));
    assert.equal(await one.clientKill({ filter: 'TYPE', type: 'pubsub' }), 1);
    const both = () => Promise.all([one.publish('news', 'again'), one.publish('pp', 'too')]);
    await until(async () => (await both()).every((count) => count === 1));
    await until(() => heard.includes('again') && heard.includes('too'));
  },

  '31: monitor mode': async () => {
    const [one, monitor] = [await client({ database: 2 }), await client()];
    const lines = [];
    await monitor.monitor((line) => lines.push(String(line)));
    await one.sendCommand(['sEt', 'k', 'v "w"']);
    const line = await until(() => lines.find((line) => line.includes('"k"')));
    assert.match(line, /^\d+\.\d{6} \[2 127\.0\.0\.1:\d+\] "sEt" "k" "v \\"w\\""$/);
  },

  '4, 14, 15: the cache: a hit, told of another\'s write, of expiry, of FLUSHALL': async () => {
    const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: 'LRU' });
    const [one, other] = [await client({ clientSideCache: cache }), await client()];
    assert.ok((await one.clientTrackingInfo()).flags.includes('on'));
    await other.mSet({ a: '1', b: '2' });
    for (let turn = 0; turn < 5; turn += 1) assert.equal(await one.get('a'), '1');
    assert.deepEqual([cache.stats().hitCount, cache.stats().missCount], [4, 1]);
    assert.equal(await one.get('b'), '2');
    assert.equal(cache.size(), 2);
    await other.set('a', '3');
    await until(async () => (await one.get('a')) === '3');
    await other.del('b');
    await until(async () => (await one.get('b')) === null);
    await other.set('soon', 'v', { expiration: { type: 'PX', value: 80 } });
    assert.equal(await one.get('soon'), 'v');
    await until(async () => (await one.get('soon')) === null);
    await other.set('a', '4');
    await until(async () => (await one.get('a')) === '4');
    for (const flush of ['flushAll', 'flushDb']) {
      await other.set('a', flush);
      await until(async () => (await one.get('a')) === flush);
      await other[flush]();
      await until(async () => (await one.get('a')) === null);
    }
    for (let turn = 0; turn < 500; turn += 1) {
      other.set(`hot:${turn % 7}`, `${turn}`);
      await one.get(`hot:${turn % 7}`);
    }
    await other.ping();
    for (let index = 0; index < 7; index += 1) {
      const now = await other.get(`hot:${index}`);
      await until(async () => (await one.get(`hot:${index}`)) === now);
    }
    await one.hSet('h', 'f', '1');
    assert.equal(await one.hGet('h', 'f'), '1');
    await other.hSet('h', 'f', '2');
    await until(async () => (await one.hGet('h', 'f')) === '2');
  },

  '15, 40: a cache that is cut off begins anew': async () => {
    const cache = new BasicClientSideCache({ ttl: 0, maxEntries: 0, evictPolicy: 'LRU' });
    const one = await client({ clientSideCache: cache, socket: { reconnectStrategy: 10 } });
    const other = await client();
    await other.set('a', '1');
    assert.equal(await one.get('a'), '1');
    const id = await one.clientId();
    assert.equal(await other.clientKill({ filter: 'ID', id }), 1);
    await other.set('a', '2');
    await until(async () => (await one.get('a')) === '2');
    assert.ok((await one.clientTrackingInfo()).flags.includes('on'));
  },

  '35, 45: a pool; blocking pops with fractional timeouts': async () => {
    const pool = createClientPool({ RESP: 3, socket: { host, port } }, { minimum: 2, maximum: 8 });
    pool.on('error', () => {});
    await pool.connect();
    try {
      const all = Array.from({ length: 400 }, (_, index) => pool.incr(`pool:${index % 4}`));
      await Promise.all(all);
      const counts = await pool.mGet([0, 1, 2, 3].map((index) => `pool:${index}`));
      assert.deepEqual(counts, ['100', '100', '100', '100']);
      assert.equal(await pool.blPop('none', 0.1), null);
      const waiting = pool.blPop('q', 5);
      await until(async () => (await pool.info('clients')).includes('blocked_clients:1'));
      await pool.rPush('q', 'v');
      assert.deepEqual({ ...(await waiting) }, { key: 'q', element: 'v' });
    } finally {
      await pool.close();
    }
  },

  '47, 49: SCAN, and keyspace events': async () => {
    const [one, listener] = [await client(), await client()];
    await one.mSet(Array.from({ length: 1000 }, (_, index) => [`stay:${index}`, 'v']));
    const seen = new Set();
    for await (const found of one.scanIterator({ MATCH: 'stay:*', COUNT: 100 })) {
      for (const key of [found].flat()) seen.add(key);
    }
    assert.equal(seen.size, 1000);
    await one.configSet('notify-keyspace-events', 'K$gx');
    try {
      const heard = [];
      await listener.pSubscribe('__key*', (text, channel) => heard.push(`${channel} ${text}`));
      await one.set('k', 'v');
      await one.pExpire('k', 20);
      await until(() => heard.length === 3);
      const names = ['set', 'expire', 'expired'];
      assert.deepEqual(heard, names.map((name) => `__keyspace@0__:k ${name}`));
      await sleep(1);
    } finally {
      await one.configSet('notify-keyspace-events', '');
    }
  },
};

run(Object.fromEntries(Object.entries(shows).map(([name, show]) => [name, closing(show)])));
