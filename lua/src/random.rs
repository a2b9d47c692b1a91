//! `math.random`, the same for everybody: numbers from a generator that begins where it is told.
//!
//! Source of the algorithm: POSIX, `lrand48`, whose numbers are what Redis's scripts see.

use crate::stack::{Raise, Stack};

/// The generator.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Random(u64);

impl Default for Random {
    fn default() -> Self {
        Self::of(0)
    }
}

impl Random {
    fn of(seed: u32) -> Self {
        Self(u64::from(seed) << 16 | 0x330e)
    }

    /// 31 bits.
    fn next(&mut self) -> u32 {
        self.0 = (self.0.wrapping_mul(0x5_deec_e66d) + 0xb) & 0xffff_ffff_ffff;
        (self.0 >> 17) as u32
    }
}

/// math.random([low,] [high])
pub(crate) fn random(stack: &mut Stack) -> Result<i32, Raise> {
    const RANGE: u32 = i32::MAX as u32;
    let ground = stack.ground();
    let mut generator = ground.random.get();
    let part = f64::from(generator.next() % RANGE) / f64::from(RANGE);
    ground.random.set(generator);
    let value = match stack.top() {
        0 => part,
        1 => {
            let high = whole(stack, 1)?;
            if high < 1.0 {
                return Err(stack.bad_argument(1, b"interval is empty"));
            }
            (part * high).floor() + 1.0
        }
        2 => {
            let (low, high) = (whole(stack, 1)?, whole(stack, 2)?);
            if low > high {
                return Err(stack.bad_argument(2, b"interval is empty"));
            }
            (part * (high - low + 1.0)).floor() + low
        }
        _ => return Err(stack.refuse_at(1, &[b"wrong number of arguments"])),
    };
    stack.push_number(value);
    Ok(1)
}

/// math.randomseed(number)
pub(crate) fn seed(stack: &mut Stack) -> Result<i32, Raise> {
    let seed = whole(stack, 1)?;
    stack.ground().random.set(Random::of(seed as i64 as u32));
    Ok(0)
}

/// An argument as a 32-bit integer.
fn whole(stack: &mut Stack, number: i32) -> Result<f64, Raise> {
    match stack.number(number) {
        Some(value) => Ok(f64::from(value as i64 as i32)),
        None => Err(stack.bad_kind(number, "number")),
    }
}
