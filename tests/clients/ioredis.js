// ioredis: its handshake and ready check, pipelines, pub/sub, monitor mode, and transactions.
'use strict';

const assert = require('node:assert/strict');
const Redis = require('ioredis');
const { host, port, sleep, until, refused, run } = require('./shows.js');

const MESSAGES = 2000;
const open = [];

function client(options = {}) {
  const one = new Redis({ host, port, ...options });
  one.on('error', () => {});
  open.push(one);
  return one;
}

/** Runs it with clients that are closed afterwards. */
const closing = (show) => async () => {
  try {
    await show();
  } finally {
    for (const one of open.splice(0)) one.disconnect();
  }
};

const shows = {
  '1, 2, 8, 10, 11: connects in both protocols, with names, a database and a version': async () => {
    for (const protocol of [2, 3]) {
      const one = client({ protocol, connectionName: 'io', db: 5 });
      assert.equal(await one.ping(), 'PONG');
      const mine = await one.client('INFO');
      for (const word of [' name=io ', ' db=5 ', ` resp=${protocol} `, ' lib-name=ioredis']) {
        assert.ok(mine.includes(word), `${word} in ${mine}`);
      }
      assert.equal(await one.client('GETNAME'), 'io');
      assert.equal(await one.echo('hallo'), 'hallo');
    }
  },

  "18, 21, 22: the ready check reads INFO's fields": async () => {
    const one = client();
    await new Promise((ready) => one.once('ready', ready));
    const info = await one.info();
    for (const line of ['loading:0', 'role:master', 'redis_mode:standalone']) {
      assert.ok(info.includes(`\r\n${line}\r\n`), line);
    }
    assert.match(info, /\r\nredis_version:\d+\.\d+\.\d+\r\n/);
    assert.ok((await one.info('memory')).includes('\r\nmaxmemory_policy:noeviction\r\n'));
  },

  '6, 7: with a password: refused, then let in': async () => {
    const door = client();
    await door.config('SET', 'requirepass', 'secret');
    try {
      const wrong = client({ password: 'false', retryStrategy: null, maxRetriesPerRequest: 0 });
      const said = new Promise((error) => wrong.once('error', (one) => error(one.message)));
      assert.match(await said, /WRONGPASS|NOAUTH/);
      for (const options of [{ password: 'secret' }, { username: 'default', password: 'secret' }]) {
        for (const protocol of [2, 3]) {
          assert.equal(await client({ ...options, protocol }).set('k', 'v'), 'OK');
        }
      }
    } finally {
      await door.config('SET', 'requirepass', '');
    }
  },

  '23, 26, 30: CONFIG, COMMAND and CLIENT as it asks them': async () => {
    const one = client();
    assert.deepEqual(
      await one.config('GET', 'save', 'appendonly').then((list) => [...list].sort()),
      ['', 'appendonly', 'no', 'save'],
    );
    assert.ok((await one.command('COUNT')) > 200);
    assert.deepEqual(await one.command('GETKEYS', 'MSET', 'a', '1', 'b', '2'), ['a', 'b']);
    assert.ok(Number.isInteger(await one.client('ID')));
    assert.match(await refused(one.client('NOSUCH')), /unknown subcommand 'NOSUCH'/);
    assert.match(await refused(one.call('NOSUCH', 'a')), /unknown command 'NOSUCH', with args/);
  },

  '33, 36: values of all types, in both protocols': async () => {
    for (const protocol of [2, 3]) {
      const one = client({ protocol });
      await one.flushall();
      assert.equal(await one.get('none'), null);
      await one.hset('h', { a: '1', b: '2' });
      assert.deepEqual(await one.hgetall('h'), { a: '1', b: '2' });
      await one.zadd('z', 1.5, 'a', 'inf', 'b');
      assert.equal(Number(await one.zscore('z', 'a')), 1.5);
      assert.equal(await one.zscore('z', 'none'), null);
      assert.deepEqual((await one.zrange('z', 0, -1, 'WITHSCORES')).map(String), [
        'a', '1.5', 'b', 'inf',
      ]);
      await one.sadd('s', 'x', 'y');
      assert.deepEqual([...(await one.smembers('s'))].sort(), ['x', 'y']);
      assert.deepEqual(await one.mget('none', 'none2'), [null, null]);
      assert.match(await refused(one.lpush('h', 'x')), /^WRONGTYPE /);
      const id = await one.xadd('x', '*', 'f', 'v');
      assert.deepEqual(await one.xrange('x', '-', '+'), [[id, ['f', 'v']]]);
    }
  },

  '35: a pipeline of 10,000 commands, values of 5 MB': async () => {
    const one = client();
    const pipeline = one.pipeline();
    for (let index = 0; index < 5000; index += 1) {
      pipeline.set(`k:${index}`, index).get(`k:${index}`);
    }
    const replies = await pipeline.exec();
    assert.equal(replies.length, 10_000);
    replies.forEach(([error, reply], index) => {
      assert.equal(error, null);
      assert.equal(reply, index % 2 ? String((index - 1) / 2) : 'OK');
    });
    const great = Buffer.alloc(5_000_000, 'g');
    assert.equal(await one.set('great', great), 'OK');
    assert.ok((await one.getBuffer('great')).equals(great));
    assert.equal(await one.strlen('great'), 5_000_000);
  },

  '35: pipelines that it makes by itself': async () => {
    const one = client({ enableAutoPipelining: true });
    await one.ping();
    const before = Number(/total_reads_processed:(\d+)/.exec(await one.info('stats'))?.[1]);
    const all = [];
    for (let index = 0; index < 1000; index += 1) all.push(one.incr(`auto:${index % 10}`));
    const replies = await Promise.all(all);
    replies.forEach((reply, index) => assert.equal(reply, Math.floor(index / 10) + 1));
    const after = Number(/total_reads_processed:(\d+)/.exec(await one.info('stats'))?.[1]);
    assert.ok(after - before < 100, `${after - before} reads`);
    const mixed = await Promise.allSettled([one.set('s', 'x'), one.incr('s'), one.get('s')]);
    assert.deepEqual(mixed.map((one) => one.status), ['fulfilled', 'rejected', 'fulfilled']);
  },

  '38: transactions: errors in their places, EXECABORT, null for a watched key': async () => {
    const [one, other] = [client(), client()];
    const replies = await one.multi().set('a', 'x').incr('a').get('a').exec();
    assert.deepEqual([replies[0][1], replies[2][1]], ['OK', 'x']);
    assert.match(replies[1][0].message, /not an integer/);
    assert.match(await refused(one.multi().set('a').exec()), /^EXECABORT /);
    await one.watch('a');
    await other.set('a', 'y');
    assert.equal(await one.multi().set('a', 'z').exec(), null);
    await one.watch('a');
    await other.flushall();
    assert.equal(await one.multi().set('a', 'z').exec(), null);
    assert.deepEqual(await one.multi().set('a', 'z').exec(), [[null, 'OK']]);
    await one.multi({ pipeline: false });
    assert.equal(await one.set('b', '1'), 'QUEUED');
    assert.deepEqual((await one.exec()).map(([, reply]) => reply ?? null), ['OK']);
  },

  '12, 39: subscribes in both protocols; 2000 pipelined messages in their order': async () => {
    for (const protocol of [2, 3]) {
      const [one, listener] = [client({ protocol }), client({ protocol })];
      const heard = { message: [], pmessage: [], smessage: [] };
      for (const kind of Object.keys(heard)) {
        listener.on(kind, (...words) => heard[kind].push(words.join(' ')));
      }
      assert.equal(await listener.subscribe('news', 'other'), 2);
      assert.equal(await listener.psubscribe('n?ws'), 3);
      assert.equal(await listener.ssubscribe('sharded'), 1);
      assert.equal(String(await listener.ping()), protocol === 2 ? 'pong,' : 'PONG');
      assert.equal(await one.publish('news', 'first'), 2);
      assert.equal(await one.spublish('sharded', 'part'), 1);
      await until(() => heard.pmessage.length === 1 && heard.smessage.length === 1);
      assert.deepEqual(heard.pmessage, ['n?ws news first']);
      assert.deepEqual(heard.smessage, ['sharded part']);
      assert.deepEqual(await one.pubsub('NUMSUB', 'news', 'none').then((list) => [...list]), [
        'news', 1, 'none', 0,
      ]);
      assert.equal(await listener.punsubscribe('n?ws'), 2);
      const pipeline = one.pipeline();
      for (let index = 0; index < MESSAGES; index += 1) pipeline.publish('news', index);
      for (const reply of await pipeline.exec()) assert.deepEqual(reply, [null, 1]);
      await until(() => heard.message.length === MESSAGES + 1);
      heard.message.slice(1).forEach((said, index) => assert.equal(said, `news ${index}`));
      if (protocol === 2) assert.match(await refused(listener.get('k')), /subscriber mode/);
      assert.equal(await listener.unsubscribe(), 0);
      assert.equal(await listener.sunsubscribe(), 0);
    }
  },

  '40: CLIENT KILL TYPE pubsub closes subscribers, which subscribe again': async () => {
    const one = client();
    const listener = client({ retryStrategy: () => 10 });
    const heard = [];
    listener.on('message', (channel, text) => heard.push(text));
    listener.on('pmessage', (pattern, channel, text) => heard.push(text));
    await listener.subscribe('news');
    await listener.psubscribe('p*');
    assert.equal(await one.client('KILL', 'TYPE', 'pubsub'), 1);
    const both = () => Promise.all([one.publish('news', 'again'), one.publish('pp', 'too')]);
    await until(async () => (await both()).every((count) => count === 1));
    await until(() => heard.includes('again') && heard.includes('too'));
  },

  '31: monitor mode: lines as they were written': async () => {
    const [one, watcher] = [client({ db: 2 }), client()];
    await one.ping();
    const monitor = await watcher.monitor();
    const lines = [];
    monitor.on('monitor', (time, words, source, database) => {
      lines.push({ time, words, source, database });
    });
    await one.call('gEt', 'a "b"\\\r\n');
    await one.set('k', Buffer.from([0x00, 0xff]));
    await one.multi().incr('n').exec();
    const find = (word) => lines.filter((line) => line.words[0] === word);
    await until(() => find('exec').length || find('EXEC').length);
    const [get] = find('gEt');
    assert.equal(get.words[1], 'a "b"\\\\\\r\\n', 'quotes are undone by ioredis, nothing else is');
    assert.equal(get.database, '2');
    assert.match(get.source, /^127\.0\.0\.1:\d+$/);
    assert.match(get.time, /^\d+\.\d{6}$/);
    assert.equal(find('set').length, 1);
    assert.equal(find('incr').length, 1);
    monitor.disconnect();
  },

  '32: SLOWLOG and MEMORY USAGE': async () => {
    const one = client();
    await one.config('SET', 'slowlog-log-slower-than', '0');
    await one.slowlog('RESET');
    await one.set('slow', 'x');
    await one.config('SET', 'slowlog-log-slower-than', '10000');
    const entries = await one.slowlog('GET', '10');
    assert.ok(entries.some(([, , , words]) => words.join(' ') === 'set slow x'), entries);
    assert.ok((await one.slowlog('LEN')) > 0);
    await one.slowlog('RESET');
    assert.ok((await one.memory('USAGE', 'slow')) > 0);
  },

  '45: blocking pops: fractional timeouts, woken, freed by CLIENT UNBLOCK': async () => {
    const [one, other] = [client(), client()];
    const start = Date.now();
    assert.equal(await one.blpop('none', 0.1), null);
    assert.ok(Date.now() - start >= 80);
    const number = await one.client('ID');
    const blocked = () => other.info('clients').then((text) => text.includes('blocked_clients:1'));
    let waiting = one.blpop('q', 'r', 5);
    await until(blocked);
    await other.rpush('r', 'v');
    assert.deepEqual(await waiting, ['r', 'v']);
    waiting = one.bzpopmin('z', 5);
    await until(blocked);
    assert.equal(await other.client('UNBLOCK', number), 1);
    assert.equal(await waiting, null);
    waiting = one.xread('BLOCK', 5000, 'STREAMS', 'x', '$');
    await until(blocked);
    const id = await other.xadd('x', '*', 'f', 'v');
    assert.ok(JSON.stringify(await waiting).includes(id));
  },

  '47: scan streams see every key that stays': async () => {
    const one = client();
    const pipeline = one.pipeline();
    for (let index = 0; index < 1000; index += 1) pipeline.set(`stay:${index}`, 'v');
    await pipeline.exec();
    const seen = new Set();
    for await (const keys of one.scanStream({ match: 'stay:*', count: 50 })) {
      for (const key of keys) seen.add(key);
      await one.set(`new:${seen.size}`, 'v');
    }
    assert.equal(seen.size, 1000);
  },

  '49: keyspace events': async () => {
    const [one, listener] = [client(), client()];
    await one.config('SET', 'notify-keyspace-events', 'KEA');
    try {
      const heard = [];
      listener.on('pmessage', (pattern, channel, text) => heard.push(`${channel} ${text}`));
      await listener.psubscribe('__keyevent@0__:*');
      await one.set('k', 'v', 'PX', 30);
      await one.del('k', 'none');
      await one.set('k', 'v', 'PX', 30);
      await until(() => heard.includes('__keyevent@0__:expired k'));
      const names = heard.map((line) => line.split(':')[1]);
      assert.deepEqual(names.filter((name) => name !== 'new k'), [
        'set k', 'expire k', 'del k', 'set k', 'expire k', 'expired k',
      ]);
    } finally {
      await one.config('SET', 'notify-keyspace-events', '');
    }
  },

  '16, 35: 200 clients that come, ask and QUIT': async () => {
    const ones = Array.from({ length: 200 }, () => client());
    await Promise.all(ones.map((one, index) => one.set(`c:${index}`, index)));
    assert.deepEqual(await Promise.all(ones.map((one) => one.quit())), Array(200).fill('OK'));
    const door = client();
    await until(async () => {
      const count = Number(/connected_clients:(\d+)/.exec(await door.info('clients'))[1]);
      return count < 10;
    });
    assert.equal(await door.dbsize(), 200);
    await sleep(1);
  },
};

run(Object.fromEntries(Object.entries(shows).map(([name, show]) => [name, closing(show)])));
