//! Figures of one core: plain counters, read by an errand and summed.

use pinion_shards::commands::Row;

/// Commands that are run between two looks at the clock, at most.
pub const RUN_COMMANDS_MAX: usize = 16;
/// Kinds of error counted by name; more are counted in sum only (Redis: 128).
pub const ERROR_KINDS_MAX: usize = 128;
/// Rates are means over this many samples ...
const SAMPLES: usize = 16;
/// ... taken this many milliseconds apart.
const SAMPLE_MS: u64 = 100;
/// Counters of commands; a power of two, and far more than there are rows.
const COMMAND_SLOTS: usize = 1024;

/// Figures of one core since its start or the last CONFIG RESETSTAT.
#[derive(Clone, Debug)]
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
    /// Batches sent to other cores.
    pub batches_out: u64,
    /// Batches run here against a parked neighbour's shard.
    pub batches_borrowed: u64,
    /// Times that a full lane paused reading.
    pub lane_waits: u64,
    /// Longest run of at most `RUN_COMMANDS_MAX` commands, in microseconds.
    pub run_us_worst: u64,
    /// Runs by time: bucket n counts those of less than 2^n microseconds, and not less than half.
    pub run_us: [u64; 32],
    /// Turns of the loop.
    pub ticks: u64,
    /// Times it slept.
    pub parks: u64,
    /// What each command did.
    pub calls: CallTable,
    /// Error replies by their first word.
    pub errors: Vec<(Box<str>, u64)>,
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
            batches_out: 0,
            batches_borrowed: 0,
            lane_waits: 0,
            run_us_worst: 0,
            run_us: [0; 32],
            ticks: 0,
            parks: 0,
            calls: CallTable::new(),
            errors: Vec::new(),
            rates: Rates::default(),
        }
    }

    /// Counts a command about to run here or on its way to its owner.
    #[inline]
    pub fn command(&mut self, row: &'static Row) {
        self.commands += 1;
        self.calls.call(row);
    }

    /// Notes that the commands counted since the last `ran` (at most `RUN_COMMANDS_MAX`) took
    /// `us` microseconds together; each is charged an equal part.
    #[inline]
    pub fn ran(&mut self, us: u64) {
        self.run_us_worst = self.run_us_worst.max(us);
        self.run_us[bucket(us)] += 1;
        self.calls.charge(us);
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
        }
    }

    /// To be called once in a while (each 100 ms under load); keeps the rates.
    #[inline]
    pub fn sample(&mut self, now: u64) {
        if now >= self.rates.at + SAMPLE_MS {
            self.rates.sample(now, [self.commands, self.input_bytes, self.output_bytes]);
        }
    }

    /// Commands, input bytes and output bytes a second, over the last 1.6 s of samples.
    pub fn rates(&self, now: u64) -> [u64; 3] {
        self.rates.mean(now)
    }

    /// Sets every figure back to zero.
    pub fn reset(&mut self) {
        *self = Self::new();
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

/// Calls of every command, found by the address of its row.
#[derive(Clone, Debug)]
pub struct CallTable {
    slots: Box<[Calls]>,
    run: [u16; RUN_COMMANDS_MAX],
    run_len: usize,
}

impl CallTable {
    fn new() -> Self {
        let slots = vec![Calls::default(); COMMAND_SLOTS].into_boxed_slice();
        Self { slots, run: [0; RUN_COMMANDS_MAX], run_len: 0 }
    }

    /// Those that did anything.
    pub fn iter(&self) -> impl Iterator<Item = &Calls> {
        self.slots.iter().filter(|calls| calls.row.is_some())
    }

    #[inline]
    fn call(&mut self, row: &'static Row) {
        let slot = self.slot(row);
        self.slots[slot].calls += 1;
        if self.run_len < RUN_COMMANDS_MAX {
            self.run[self.run_len] = slot as u16;
            self.run_len += 1;
        }
    }

    #[inline]
    fn charge(&mut self, us: u64) {
        if self.run_len == 0 {
            return;
        }
        let each = us * 1000 / self.run_len as u64;
        for &slot in &self.run[..self.run_len] {
            self.slots[usize::from(slot)].time_ns += each;
        }
        self.run_len = 0;
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
    counts: [u64; 3],
    /// Rates a second between two samples, the oldest overwritten.
    samples: [[u64; 3]; SAMPLES],
    next: usize,
}

impl Rates {
    fn sample(&mut self, now: u64, counts: [u64; 3]) {
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
    fn mean(&self, now: u64) -> [u64; 3] {
        if now.saturating_sub(self.at) > SAMPLE_MS * SAMPLES as u64 {
            return [0; 3];
        }
        let sum = |index: usize| self.samples.iter().map(|sample| sample[index]).sum::<u64>();
        [sum(0), sum(1), sum(2)].map(|sum| sum / SAMPLES as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pinion_shards::commands::{Group, Plan};

    static ONE: Row = Row::new("one", 1, Group::String, Plan::Session);
    static TWO: Row = Row::new("two", 1, Group::String, Plan::Session);

    #[test]
    fn a_run_is_charged_to_its_commands() {
        let mut stats = CoreStats::new();
        stats.command(&ONE);
        stats.command(&ONE);
        stats.command(&TWO);
        stats.ran(30);
        stats.error(Some(&TWO), b"-WRONGTYPE no\r\n", false);
        stats.error(None, b"ERR x", true);
        let of = |row: &'static Row| {
            *stats.calls.iter().find(|calls| std::ptr::eq(calls.row.unwrap(), row)).unwrap()
        };
        assert_eq!((of(&ONE).calls, of(&ONE).time_ns), (2, 20_000));
        assert_eq!((of(&TWO).calls, of(&TWO).failed), (1, 1));
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
