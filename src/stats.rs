//! Figures of one core: plain counters, read by an errand and summed.

use crate::histogram::Histogram;
use pinion_shards::commands::Row;
use pinion_shards::limits::PREFETCH_DEPTH;

/// Kinds of error counted by name; more are counted together (Redis has the same bound).
pub const ERROR_KINDS_MAX: usize = 128;
/// Counters of which rates are kept.
pub const RATES: usize = 5;
/// Rates are means over this many samples ...
const SAMPLES: usize = 16;
/// ... taken this many milliseconds apart.
const SAMPLE_MS: u64 = 100;
/// Counters of commands; a power of two, and far more than there are rows.
const COMMAND_SLOTS: usize = 1024;

/// Figures of one core since its start or the last CONFIG RESETSTAT.
#[derive(Debug)]
pub struct CoreStats {
    /// Commands run.
    pub commands: u64,
    /// Connections accepted.
    pub connections_received: u64,
    /// Connections closed at once, for `maxclients`.
    pub connections_rejected: u64,
    /// Bytes read from clients.
    pub input_bytes: u64,
    /// Bytes written to clients.
    pub output_bytes: u64,
    /// Error replies.
    pub error_replies: u64,
    /// Connections closed because of bytes that are no request.
    pub protocol_errors: u64,
    /// Clients closed because their requests were too large to buffer.
    pub query_limit_closed: u64,
    /// Clients closed because their replies were too large to buffer.
    pub output_limit_closed: u64,
    /// Clients closed because all together took too much memory.
    pub clients_evicted: u64,
    /// Batches sent to other cores.
    pub batches_out: u64,
    /// Batches run here against a parked neighbour's shard.
    pub batches_borrowed: u64,
    /// Times that a full lane paused reading.
    pub lane_waits: u64,
    /// Longest run of a group of requests, in microseconds.
    pub run_us_worst: u64,
    /// Such runs by time: bucket n counts those of less than 2^n microseconds, and not less than
    /// half.
    pub run_us: [u64; 32],
    /// Turns of the loop.
    pub ticks: u64,
    /// Time in these, sleep left out, in nanoseconds.
    pub tick_ns: u64,
    /// The longest turn.
    pub tick_ns_worst: u64,
    /// Time in what is done by the clock.
    pub cron_ns: u64,
    /// Time in removing what is due.
    pub expiry_ns: u64,
    /// Most requests that one turn ran.
    pub tick_requests_max: u64,
    /// Pieces of input that came.
    pub reads: u64,
    /// Pieces of output that went.
    pub writes: u64,
    /// Times it slept.
    pub parks: u64,
    /// What each command did.
    pub calls: CallTable,
    /// Error replies by their first word.
    pub errors: Vec<(Box<str>, u64)>,
    /// Error replies of kinds beyond `ERROR_KINDS_MAX`.
    pub errors_other: u64,
    /// How long commands took, if that is kept.
    pub latencies: Latencies,
    rates: Rates,
}

impl Default for CoreStats {
    fn default() -> Self {
        Self::new()
    }
}

impl CoreStats {
    /// All zero.
    pub fn new() -> Self {
        Self {
            commands: 0,
            connections_received: 0,
            connections_rejected: 0,
            input_bytes: 0,
            output_bytes: 0,
            error_replies: 0,
            protocol_errors: 0,
            query_limit_closed: 0,
            output_limit_closed: 0,
            clients_evicted: 0,
            batches_out: 0,
            batches_borrowed: 0,
            lane_waits: 0,
            run_us_worst: 0,
            run_us: [0; 32],
            ticks: 0,
            tick_ns: 0,
            tick_ns_worst: 0,
            cron_ns: 0,
            expiry_ns: 0,
            tick_requests_max: 0,
            reads: 0,
            writes: 0,
            parks: 0,
            calls: CallTable::new(),
            errors: Vec::new(),
            errors_other: 0,
            latencies: Latencies::default(),
            rates: Rates::default(),
        }
    }

    /// Counts a command about to run here or on its way to its owner.
    #[inline]
    pub fn command(&mut self, row: &'static Row) {
        self.commands += 1;
        self.calls.call(row);
    }

    /// Counts a command that has ended later than it began, or elsewhere.
    #[inline]
    pub fn command_late(&mut self, row: &'static Row) {
        let last = self.calls.last;
        self.command(row);
        self.calls.last = last;
    }

    /// Notes that the command counted last ran here for so long; which it was, if one was counted
    /// since and it does not take its time elsewhere.
    #[inline]
    pub fn ran(&mut self, nanos: u64) -> Option<&'static Row> {
        let slot = usize::from(std::mem::replace(&mut self.calls.last, NO_SLOT));
        let calls = self.calls.slots.get_mut(slot)?;
        calls.time_ns += nanos;
        self.latencies.add(slot, nanos);
        calls.row
    }

    /// Says of the command counted last that it is yet to end, or takes its time elsewhere.
    #[inline]
    pub fn goes_on(&mut self) {
        self.calls.last = NO_SLOT;
    }

    /// Leaves the command counted last to be charged together with others; which it was, if it has
    /// not gone on elsewhere.
    #[inline]
    pub fn put_off(&mut self) -> Option<&'static Row> {
        self.calls.waits = true;
        let slot = std::mem::replace(&mut self.calls.last, NO_SLOT);
        let row = self.calls.slots.get(usize::from(slot))?.row;
        if let Some(place) = self.calls.put_off.get_mut(self.calls.put_off_len) {
            *place = slot;
            self.calls.put_off_len += 1;
        }
        row
    }

    /// True if something has run since the last charge.
    #[inline]
    pub fn has_put_off(&self) -> bool {
        self.calls.waits
    }

    /// Charges those that were put off, each with an equal part.
    #[inline]
    pub fn charge_put_off(&mut self, nanos: u64) {
        self.calls.waits = false;
        let count = std::mem::take(&mut self.calls.put_off_len);
        let each = nanos / (count as u64).max(1);
        for index in 0..count {
            let slot = usize::from(self.calls.put_off[index]);
            self.calls.slots[slot].time_ns += each;
            self.latencies.add(slot, each);
        }
    }

    /// Notes how long a command ran that was counted before.
    pub fn charge(&mut self, row: &'static Row, nanos: u64) {
        let slot = self.calls.slot(row);
        self.calls.slots[slot].time_ns += nanos;
        self.latencies.add(slot, nanos);
    }

    /// Notes how long a turn of the loop took.
    #[inline]
    pub fn turned(&mut self, nanos: u64) {
        self.tick_ns += nanos;
        self.tick_ns_worst = self.tick_ns_worst.max(nanos);
    }

    /// Notes how long a group of requests took.
    #[inline]
    pub fn ran_group(&mut self, us: u64) {
        self.run_us_worst = self.run_us_worst.max(us);
        self.run_us[bucket(us)] += 1;
    }

    /// Counts an error reply; `line` is its text, with or without the `-`. `refused` says that
    /// the command was not run at all. `row` is none where it is not known.
    pub fn error(&mut self, row: Option<&'static Row>, line: &[u8], refused: bool) {
        self.error_replies += 1;
        if let Some(row) = row {
            self.calls.error(row, refused);
        }
        let line = line.strip_prefix(b"-").unwrap_or(line);
        let word = line.split(|&b| b == b' ' || b == b'\r').next().unwrap_or_default();
        let Ok(word) = std::str::from_utf8(&word[..word.len().min(32)]) else { return };
        if let Some((_, count)) = self.errors.iter_mut().find(|(known, _)| &**known == word) {
            *count += 1;
        } else if self.errors.len() < ERROR_KINDS_MAX {
            self.errors.push((word.into(), 1));
        } else {
            self.errors_other += 1;
        }
    }

    /// The histogram of each command that has one.
    pub fn histograms(&self) -> impl Iterator<Item = (&'static Row, &Histogram)> {
        let slots = self.latencies.histograms.iter().enumerate();
        slots.filter_map(|(slot, own)| Some((self.calls.slots[slot].row?, own.as_deref()?)))
    }

    /// The same figures, for somebody else to keep; histograms only if they are asked for.
    pub fn copied(&self, histograms: bool) -> Self {
        let latencies = &self.latencies;
        Self {
            calls: self.calls.clone(),
            errors: self.errors.clone(),
            latencies: if histograms { latencies.clone() } else { Latencies::default() },
            rates: self.rates.clone(),
            ..*self
        }
    }

    /// To be called once in a while (each 100 ms under load); keeps the rates.
    #[inline]
    pub fn sample(&mut self, now: u64) {
        if now >= self.rates.at + SAMPLE_MS {
            let counts =
                [self.commands, self.input_bytes, self.output_bytes, self.ticks, self.tick_ns];
            self.rates.sample(now, counts);
        }
    }

    /// Commands, input bytes, output bytes, turns and nanoseconds in these a second, over the last
    /// 1.6 s of samples.
    pub fn rates(&self, now: u64) -> [u64; RATES] {
        self.rates.mean(now)
    }

    /// Sets every figure back to zero.
    pub fn reset(&mut self) {
        let enabled = self.latencies.enabled;
        *self = Self::new();
        self.latencies.enabled = enabled;
    }
}

/// The bucket of `CoreStats::run_us` for a time.
#[inline]
fn bucket(us: u64) -> usize {
    (u64::BITS - us.leading_zeros()).min(31) as usize
}

/// What one command did.
#[derive(Clone, Copy, Debug, Default)]
pub struct Calls {
    /// The command.
    pub row: Option<&'static Row>,
    /// Times it ran.
    pub calls: u64,
    /// Time it took in all, in nanoseconds.
    pub time_ns: u64,
    /// Times it was refused before it ran.
    pub rejected: u64,
    /// Times it ran and answered an error.
    pub failed: u64,
}

/// How long commands took, a histogram for each that ran.
#[derive(Clone, Debug, Default)]
pub struct Latencies {
    /// False keeps none, as `latency-tracking no` asks.
    pub enabled: bool,
    /// By slot of the table of calls.
    histograms: Vec<Option<Box<Histogram>>>,
}

impl Latencies {
    #[inline]
    fn add(&mut self, slot: usize, nanos: u64) {
        if !self.enabled {
            return;
        }
        match self.histograms.get_mut(slot) {
            Some(Some(histogram)) => histogram.add(nanos),
            _ => self.add_first(slot, nanos),
        }
    }

    #[cold]
    fn add_first(&mut self, slot: usize, nanos: u64) {
        if self.histograms.len() <= slot {
            self.histograms.resize(COMMAND_SLOTS, None);
        }
        self.histograms[slot].get_or_insert_default().add(nanos);
    }
}

/// No slot of the table.
const NO_SLOT: u16 = u16::MAX;

/// Calls of every command, found by the address of its row.
#[derive(Clone, Debug)]
pub struct CallTable {
    slots: Box<[Calls]>,
    /// That of the command counted last, until it is known how long that took.
    last: u16,
    /// Those of commands that are charged together.
    put_off: [u16; PREFETCH_DEPTH],
    put_off_len: usize,
    /// Something has run that is not charged.
    waits: bool,
}

impl CallTable {
    fn new() -> Self {
        let slots = vec![Calls::default(); COMMAND_SLOTS].into_boxed_slice();
        Self { slots, last: NO_SLOT, put_off: [0; PREFETCH_DEPTH], put_off_len: 0, waits: false }
    }

    /// Those that did anything.
    pub fn iter(&self) -> impl Iterator<Item = &Calls> {
        self.slots.iter().filter(|calls| calls.row.is_some())
    }

    #[inline]
    fn call(&mut self, row: &'static Row) {
        let slot = self.slot(row);
        self.slots[slot].calls += 1;
        self.last = slot as u16;
    }

    fn error(&mut self, row: &'static Row, refused: bool) {
        let slot = self.slot(row);
        let calls = &mut self.slots[slot];
        if refused {
            calls.rejected += 1;
        } else {
            calls.failed += 1;
        }
    }

    /// The slot of `row`, by open addressing; there are always free ones, since rows are fewer.
    #[inline]
    fn slot(&mut self, row: &'static Row) -> usize {
        let address = std::ptr::from_ref(row).addr();
        let mut slot = (address >> 3).wrapping_mul(0x9e37_79b9) >> 5 & (COMMAND_SLOTS - 1);
        loop {
            match self.slots[slot].row {
                Some(known) if std::ptr::eq(known, row) => return slot,
                Some(_) => slot = (slot + 1) & (COMMAND_SLOTS - 1),
                None => {
                    self.slots[slot].row = Some(row);
                    return slot;
                }
            }
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Rates {
    /// When the last sample was taken.
    at: u64,
    /// The counts at that time.
    counts: [u64; RATES],
    /// Rates a second between two samples, the oldest overwritten.
    samples: [[u64; RATES]; SAMPLES],
    next: usize,
}

impl Rates {
    fn sample(&mut self, now: u64, counts: [u64; RATES]) {
        let elapsed = now.saturating_sub(self.at);
        if self.at > 0 && elapsed > 0 {
            for (index, count) in counts.iter().enumerate() {
                let more = count.saturating_sub(self.counts[index]);
                self.samples[self.next][index] = more.saturating_mul(1000) / elapsed;
            }
            self.next = (self.next + 1) % SAMPLES;
        }
        self.at = now;
        self.counts = counts;
    }

    /// Zero once no sample has come for longer than the window: an idle core takes none.
    fn mean(&self, now: u64) -> [u64; RATES] {
        if now.saturating_sub(self.at) > SAMPLE_MS * SAMPLES as u64 {
            return [0; RATES];
        }
        let sum = |index: usize| self.samples.iter().map(|sample| sample[index]).sum::<u64>();
        std::array::from_fn(|index| sum(index) / SAMPLES as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinion_shards::commands::{Group, Plan};

    static ONE: Row = Row::new("one", 1, Group::String, Plan::Session);
    static TWO: Row = Row::new("two", 1, Group::String, Plan::Session);

    #[test]
    fn time_is_charged_to_the_command_that_took_it() {
        let mut stats = CoreStats::new();
        stats.latencies.enabled = true;
        stats.command(&ONE);
        assert_eq!(stats.ran(10_000).unwrap().name, "one");
        assert!(stats.ran(5_000).is_none(), "nothing was counted since");
        stats.command(&ONE);
        stats.goes_on();
        assert!(stats.ran(5_000).is_none());
        stats.charge(&ONE, 10_000);
        stats.command(&TWO);
        stats.put_off();
        assert!(stats.has_put_off());
        stats.charge_put_off(30_000);
        assert!(!stats.has_put_off());
        stats.ran_group(30);
        let counts: Vec<_> = stats.histograms().map(|(row, own)| (row.name, own.total())).collect();
        assert!(counts.contains(&("one", 2)) && counts.contains(&("two", 1)), "{counts:?}");
        assert_eq!(stats.copied(true).histograms().count(), 2);
        assert_eq!(stats.copied(false).histograms().count(), 0);
        stats.error(Some(&TWO), b"-WRONGTYPE no\r\n", false);
        stats.error(None, b"ERR x", true);
        let of = |row: &'static Row| {
            *stats.calls.iter().find(|calls| std::ptr::eq(calls.row.unwrap(), row)).unwrap()
        };
        assert_eq!((of(&ONE).calls, of(&ONE).time_ns), (2, 20_000));
        assert_eq!((of(&TWO).calls, of(&TWO).failed, of(&TWO).time_ns), (1, 1, 30_000));
        assert_eq!(stats.run_us_worst, 30);
        assert_eq!(stats.run_us[5], 1);
        assert_eq!(stats.errors, [("WRONGTYPE".into(), 1), ("ERR".into(), 1)]);
    }

    #[test]
    fn rates_are_means_that_end() {
        let mut stats = CoreStats::new();
        stats.sample(1000);
        for tick in 1..=16 {
            stats.commands += 10;
            stats.sample(1000 + tick * 100);
        }
        assert_eq!(stats.rates(2600)[0], 100);
        assert_eq!(stats.rates(9000)[0], 0);
    }
}
