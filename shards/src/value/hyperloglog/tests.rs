//! The two forms against each other, and against bytes that are neither.

use super::*;

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ bits >> 31
    }

    /// A mark with every rank that a register can hold; close to others, so that runs meet.
    fn mark(&mut self, registers: u64, ranks: u64) -> Mark {
        let register = (self.next() % registers) as u16;
        Mark { register, rank: 1 + (self.next() % ranks) as u8 }
    }
}

fn dense() -> Draft {
    let mut draft = Draft::default();
    draft.make_dense().unwrap();
    draft
}

fn ranks(draft: &Draft) -> Vec<u8> {
    draft.view().registers().unwrap().ranks().collect()
}

/// The bytes of runs behind a sparse head.
fn sparse_of(runs: &[u8]) -> Vec<u8> {
    let mut bytes = Draft::default().bytes[..HEAD].to_vec();
    bytes.extend_from_slice(runs);
    bytes
}

#[test]
fn marks_are_those_of_redis() {
    // What Redis 8 shows with PFDEBUG DECODE after PFADD h a b c.
    let mut draft = Draft::default();
    for element in [b"a", b"b", b"c"] {
        assert!(draft.raise(Mark::of(element), 3000).unwrap());
    }
    let text = draft.view().runs_text().unwrap();
    assert_eq!(text, "Z:8436 v:1,1 Z:4274 v:2,1 Z:3068 v:1,1 Z:603");
    assert_eq!(draft.view().estimate().unwrap(), 3);
}

#[test]
fn both_forms_agree() {
    for seed in 0..24 {
        println!("seed {seed}");
        let mut random = Random(seed);
        let registers = [16, 300, HLL_REGISTERS as u64][seed as usize % 3];
        let ranks_max = [2, 5, 32][seed as usize / 3 % 3];
        let (mut sparse, mut dense, mut model) =
            (Draft::default(), dense(), vec![0; HLL_REGISTERS]);
        for _ in 0..1500 {
            let mark = random.mark(registers, ranks_max);
            let kept = &mut model[usize::from(mark.register)];
            let raises = *kept < mark.rank;
            *kept = mark.rank.max(*kept);
            assert_eq!(sparse.view().lacks(mark).unwrap(), raises);
            assert_eq!(sparse.raise(mark, usize::MAX).unwrap(), raises);
            assert_eq!(dense.raise(mark, usize::MAX).unwrap(), raises);
            assert!(!sparse.view().lacks(mark).unwrap() && !dense.view().lacks(mark).unwrap());
        }
        assert!(!sparse.view().is_dense() && dense.view().is_dense());
        assert_eq!(ranks(&sparse), model);
        assert_eq!(ranks(&dense), model);
        let estimate = dense.view().estimate().unwrap();
        assert_eq!(sparse.view().estimate().unwrap(), estimate);
        assert_eq!(sparse.view().registers().unwrap().estimate(), estimate);
        sparse.make_dense().unwrap();
        assert_eq!(sparse, dense);
    }
}

#[test]
fn the_sparse_form_gives_way_at_its_bounds() {
    let mut draft = Draft::default();
    let mut random = Random(7);
    while !draft.view().is_dense() {
        assert!(draft.bytes.len() <= 200);
        draft.raise(random.mark(HLL_REGISTERS as u64, 32), 200).unwrap();
    }
    assert_eq!(draft.bytes.len(), DENSE_LEN);
    let mut draft = Draft::default();
    assert!(draft.raise(Mark { register: 9, rank: 33 }, 3000).unwrap());
    assert!(draft.view().is_dense());
    assert!(!draft.view().lacks(Mark { register: 9, rank: 33 }).unwrap());
}

#[test]
fn estimates_are_close_to_counts() {
    let mut draft = Draft::default();
    for count in 1..=200_000u64 {
        draft.raise(Mark::of(&count.to_le_bytes()), 3000).unwrap();
        if count.is_power_of_two() || count == 200_000 {
            let estimate = draft.view().estimate().unwrap();
            assert!(estimate.abs_diff(count) <= count / 40 + 1, "{count} seen, {estimate} said");
        }
    }
}

#[test]
fn an_estimate_is_kept_until_a_register_changes() {
    let mut draft = dense();
    assert_eq!(draft.view().known_estimate(), None);
    keep_estimate(&mut draft.bytes, 17);
    assert_eq!(draft.view().known_estimate(), Some(17));
    let mark = Mark { register: 16_383, rank: 51 };
    raise_dense(&mut draft.bytes, std::iter::once(mark));
    assert_eq!(draft.view().known_estimate(), None);
    keep_estimate(&mut draft.bytes, 18);
    raise_dense(&mut draft.bytes, std::iter::once(mark));
    assert_eq!(draft.view().known_estimate(), Some(18));
    keep_estimate(&mut draft.bytes, u64::MAX);
    assert_eq!(draft.view().known_estimate(), None);
}

#[test]
fn full_registers_have_no_estimate() {
    let mut draft = dense();
    draft.bytes[HEAD..].fill(0xff);
    assert_eq!(draft.view().estimate().unwrap() as i64, i64::MIN);
}

#[test]
fn only_a_sound_head_is_a_hyperloglog() {
    let good = dense().bytes;
    assert!(HyperLogLog::of(&good).is_ok());
    assert!(HyperLogLog::of(&good[..DENSE_LEN - 1]).is_err());
    assert!(HyperLogLog::of(&[&good[..], b"x"].concat()).is_err());
    for (at, byte) in [(0, b'h'), (3, b'l'), (4, 2), (4, 255)] {
        let mut bytes = good.clone();
        bytes[at] = byte;
        assert!(HyperLogLog::of(&bytes).is_err(), "byte {at}");
    }
    assert!(HyperLogLog::of(b"").is_err() && HyperLogLog::of(b"HYLL").is_err());
}

#[test]
fn corrupt_runs_are_refused() {
    for runs in [
        &b""[..],
        &[0x7f],             // a long run without its second byte
        &[0x7f, 0xfe],       // one register short
        &[0x7f, 0xff, 0x00], // one too many
        &[0x7f, 0xff, 0x7f], // a whole one, and half another
        &[0x7f, 0xfe, 0x81], // the last run goes beyond the end
        &[0xff; 4095],
    ] {
        let bytes = sparse_of(runs);
        let log = HyperLogLog::of(&bytes).unwrap();
        assert_eq!(log.estimate(), Err(CORRUPT), "{runs:x?}");
        assert!(log.to_dense().is_err() && log.registers().is_err());
        log.runs_text().unwrap();
    }
}

#[test]
fn random_runs_neither_panic_nor_grow() {
    for seed in 0..400 {
        let mut random = Random(seed);
        let len = random.next() % 600;
        let runs: Vec<u8> = (0..len).map(|_| random.next() as u8).collect();
        let mut draft = Draft { bytes: sparse_of(&runs) };
        let sound = draft.view().estimate().is_ok();
        for _ in 0..20 {
            let mark = random.mark(HLL_REGISTERS as u64, 40);
            let raised = draft.raise(mark, 3000);
            assert!(raised.is_ok() || !sound, "seed {seed}");
            assert!(draft.bytes.len() <= 3000 || draft.view().is_dense());
        }
        draft.view().runs_text();
        let _ = draft.make_dense();
    }
}
