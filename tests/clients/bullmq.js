// BullMQ: queues, workers, and all that they do with scripts over keys that they do not declare.
// Nothing may be lost, and nothing done twice. PINION_BULLMQ_JOBS says how many jobs `many` does.
'use strict';

const assert = require('node:assert/strict');
const { Queue, Worker, QueueEvents, FlowProducer, UnrecoverableError } = require('bullmq');
const { host, port, sleep, run } = require('./shows.js');

const JOBS = Number(process.env.PINION_BULLMQ_JOBS || 2000);
const WORKERS = 16;
const connection = { host, port, maxRetriesPerRequest: null };
const own = `${process.pid}`;
const open = [];

function keep(thing) {
  thing.on('error', () => {});
  open.push(thing);
  return thing;
}
const queue = (name, options) => keep(new Queue(`${name}-${own}`, { connection, ...options }));
const worker = (name, run, options) =>
  keep(new Worker(`${name}-${own}`, run, { connection, ...options }));
const events = (name) => keep(new QueueEvents(`${name}-${own}`, { connection }));

async function until(what, holds, patience = 30000) {
  const end = Date.now() + patience;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`${what} does not come`);
    await sleep(10);
  }
}
// Every job is done once, by one of many workers.
async function many() {
  const jobs = queue('many');
  const done = new Map();
  const began = Date.now();
  for (let at = 0; at < WORKERS; at++) {
    worker('many', async (job) => {
      done.set(job.data.number, (done.get(job.data.number) || 0) + 1);
    }, { concurrency: 4 });
  }
  for (let from = 0; from < JOBS; from += 500) {
    const count = Math.min(500, JOBS - from);
    await jobs.addBulk(Array.from({ length: count }, (_, at) =>
      ({ name: 'one', data: { number: from + at }, opts: { removeOnComplete: false } })));
  }
  await until('all jobs', () => done.size === JOBS, 600000);
  await until('all counted', async () => (await jobs.getCompletedCount()) === JOBS);
  const seconds = (Date.now() - began) / 1000;
  assert.deepEqual([...done.values()].every((times) => times === 1), true);
  assert.deepEqual(await jobs.getJobCounts('wait', 'active', 'failed', 'delayed'),
    { wait: 0, active: 0, failed: 0, delayed: 0 });
  console.error(`${JOBS} jobs in ${seconds.toFixed(2)} s: ${Math.round(JOBS / seconds)} a second`);
}

// Delayed jobs wait; those of a higher priority go first; LIFO goes ahead.
async function order() {
  const jobs = queue('order');
  await jobs.pause();
  assert.deepEqual(await jobs.isPaused(), true);
  await jobs.add('low', {}, { priority: 10 });
  await jobs.add('high', {}, { priority: 1 });
  await jobs.add('plain', {});
  await jobs.add('first', {}, { lifo: true });
  const added = Date.now();
  await jobs.add('late', {}, { delay: 300 });
  const names = [];
  let late = 0;
  worker('order', async (job) => {
    names.push(job.name);
    if (job.name === 'late') late = Date.now() - added;
  });
  await sleep(50);
  assert.deepEqual(names, []);
  await jobs.resume();
  await until('all five', () => names.length === 5);
  assert.deepEqual(names, ['first', 'plain', 'high', 'low', 'late']);
  assert.deepEqual(late >= 295 && late < 5000, true);
}

// What fails is tried again, with a pause that grows, or never again.
async function retries() {
  const jobs = queue('retries');
  const heard = events('retries');
  await heard.waitUntilReady();
  let tries = 0;
  worker('retries', async (job) => {
    if (job.name === 'hopeless') throw new UnrecoverableError('no');
    tries += 1;
    if (job.attemptsMade < 2) throw new Error('not yet');
    return { tries };
  });
  const opts = { attempts: 3, backoff: { type: 'exponential', delay: 20 } };
  const good = await jobs.add('good', {}, opts);
  assert.deepEqual(await good.waitUntilFinished(heard, 20000), { tries: 3 });
  const bad = await jobs.add('hopeless', {}, opts);
  await bad.waitUntilFinished(heard, 20000).then(
    () => { throw new Error('it should fail'); },
    (error) => assert.deepEqual(error.message, 'no'));
  assert.deepEqual(await jobs.getFailedCount(), 1);
  const failed = await jobs.getFailed();
  await failed[0].remove();
  assert.deepEqual(await jobs.getFailedCount(), 0);
}

// A parent waits for its children, and has what they returned.
async function flows() {
  const flow = keep(new FlowProducer({ connection }));
  const heard = events('parents');
  await heard.waitUntilReady();
  worker('children', async (job) => job.data.number * 2);
  worker('parents', async (job) => {
    const values = Object.values(await job.getChildrenValues());
    return values.reduce((sum, value) => sum + value, 0);
  });
  const children = [1, 2, 3, 4, 5].map((number) =>
    ({ name: 'child', queueName: `children-${own}`, data: { number } }));
  const tree = await flow.add({ name: 'parent', queueName: `parents-${own}`, children });
  assert.deepEqual(await tree.job.waitUntilFinished(heard, 20000), 30);
}

// No more jobs in a time than the limit says.
async function limits() {
  const jobs = queue('limits');
  const times = [];
  worker('limits', async () => { times.push(Date.now()); },
    { limiter: { max: 5, duration: 300 }, concurrency: 10 });
  await jobs.addBulk(Array.from({ length: 15 }, (_, at) => ({ name: 'one', data: { at } })));
  await until('all limited', () => times.length === 15);
  assert.deepEqual(times[14] - times[0] >= 500, true);
}

// A schedule makes one job after the other.
async function schedules() {
  const jobs = queue('schedules');
  let ran = 0;
  worker('schedules', async () => { ran += 1; });
  await jobs.upsertJobScheduler('often', { every: 100 }, { name: 'tick', data: {} });
  await until('three ticks', () => ran >= 3);
  assert.deepEqual((await jobs.getJobSchedulers()).length, 1);
  await jobs.removeJobScheduler('often');
  assert.deepEqual((await jobs.getJobSchedulers()).length, 0);
}

// What a dead worker had in hand is done by another.
async function stalled() {
  const jobs = queue('stalled');
  const quick = { lockDuration: 300, stalledInterval: 200, skipLockRenewal: true };
  let seized;
  const dead = worker('stalled', () => new Promise((done) => { seized = done; }), quick);
  await jobs.add('one', { number: 7 });
  await until('it is in hand', () => seized !== undefined);
  let done = 0;
  worker('stalled', async (job) => { done += job.data.number; }, { ...quick, maxStalledCount: 3 });
  await until('it is done elsewhere', () => done === 7);
  await dead.close(true);
}

// Bulk work on a queue: moved back, drained, emptied.
async function cleaning() {
  const jobs = queue('cleaning');
  for (let at = 0; at < 20; at++) {
    await jobs.add('one', { at }, { delay: at % 2 ? 100000 : 0, jobId: `job-${at}` });
  }
  await jobs.add('one', { at: 0 }, { jobId: 'job-0' });
  assert.deepEqual(await jobs.getJobCounts('wait', 'delayed'), { wait: 10, delayed: 10 });
  await (await jobs.getJob('job-1')).promote();
  assert.deepEqual(await jobs.getJobCounts('wait', 'delayed'), { wait: 11, delayed: 9 });
  await jobs.drain(true);
  assert.deepEqual(await jobs.getJobCounts('wait', 'delayed'), { wait: 0, delayed: 0 });
  await jobs.add('last', {});
  await jobs.obliterate({ force: true });
  assert.deepEqual(await jobs.getJobCountByTypes('wait', 'completed'), 0);
}

/** Runs it with queues and workers that are closed afterwards. */
const closing = (show) => async () => {
  try {
    await show();
  } finally {
    await Promise.all(open.splice(0).map((one) => one.close(true).catch(() => {})));
  }
};

run({
  'jobs, many at once: each is done, and once': closing(many),
  'jobs, their order: pause, priorities, delays': closing(order),
  'jobs that fail: tried again, or never': closing(retries),
  'flows: parents after their children': closing(flows),
  'limits: so many in a time': closing(limits),
  'schedules: one after the other': closing(schedules),
  'stalled jobs: done by another': closing(stalled),
  'queues: drained, emptied': closing(cleaning),
});
